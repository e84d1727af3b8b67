"""DUIS messages: Service Requests, Service Responses, Device Alerts and DCC Alerts, as XML.

Signatures are NOT verified.
"""

import binascii
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from lxml import etree

from data.messages.gbcs import Malformed, device_certificate

__all__ = ["DCCAlert", "DeviceAlert", "Malformed", "Request", "RequestID", "Response", "parse", "utc"]

GATEWAY = "{http://www.dccinterface.co.uk/ServiceUserGateway}"
MOST_BYTES = 8 << 20
# Service Reference Variants of the DUIS schema V5.4.
_SRVS = """
    1.1.1 1.1.2 1.2.1 1.2.2 1.5 1.6 1.7 2.1 2.2 2.3 2.5 3.1 3.2 3.3 3.4 3.5 4.1.1 4.1.2 4.1.3 4.1.4 4.2 4.3
    4.4.2 4.4.3 4.4.4 4.4.5 4.6.1 4.6.2 4.8.1 4.8.2 4.8.3 4.10 4.11.1 4.11.2 4.12.1 4.12.2 4.13 4.14 4.15 4.16
    4.17 4.18 5.1 5.2 5.3 6.2.1 6.2.2 6.2.3 6.2.4 6.2.5 6.2.7 6.2.8 6.2.9 6.2.10 6.4.1 6.4.2 6.5 6.6 6.7 6.8
    6.11 6.12 6.13 6.14.1 6.14.2 6.14.3 6.15.1 6.15.2 6.17 6.18.1 6.18.2 6.20.1 6.20.2 6.21 6.22 6.23 6.24.1
    6.24.2 6.25 6.26 6.27 6.28 6.29 6.30 6.31 6.32 7.1 7.2 7.3 7.4 7.5 7.6 7.7 7.8 7.9 7.10 7.11 7.12 7.13 7.14
    7.15 7.16 8.1.1 8.2 8.3 8.4 8.5 8.6 8.7.1 8.7.2 8.8.1 8.8.2 8.9 8.11 8.12.1 8.12.2 8.13 8.14.1 8.14.2 8.14.3
    8.14.4 9.1 11.1 11.2 11.3 11.4 12.1 12.2 14.1
"""
SRVS = frozenset(_SRVS.split())
VARIANTS = {str(variant): variant for variant in range(1, 10)}
CREDENTIAL_TYPES = {"DigitalSigning": "Digital Signature", "KeyAgreement": "Key Agreement"}
# Elements of a ResponseMessage, each other than the service's two names, that hold a GBCS payload of their own.
WITH_PAYLOAD = {"PreCommand", "LocalCommand", "CINMessage", "DSPScheduledMessage", "FutureDatedDeviceAlertMessage"}

_EUI = "[0-9A-Fa-f]{2}(?:-[0-9A-Fa-f]{2}){7}"
_REQUEST_ID = re.compile(f"({_EUI}):({_EUI}):(0|[1-9][0-9]{{0,19}})", re.ASCII)
_ONE_EUI = re.compile(_EUI, re.ASCII)
_CODE = re.compile("[IEW][0-9]{1,6}", re.ASCII)
_ALERT_CODE = re.compile("[0-9A-Fa-f]{4}", re.ASCII)
_DCC_ALERT_CODE = re.compile("[A-Z]{1,2}[0-9]{1,3}", re.ASCII)
_WORD = re.compile("[A-Za-z][A-Za-z0-9 ]{0,63}", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)?", re.ASCII)
_SPACE = bytes.maketrans(b"", b""), b" \t\r\n"


@dataclass(frozen=True, slots=True)
class RequestID:
    originator: int
    target: int
    counter: int


@dataclass(frozen=True, slots=True)
class Request:
    request_id: RequestID
    command_variant: int
    srv: str  # ServiceReferenceVariant
    credential_type: str | None  # "Digital Signature", "Key Agreement"
    remote_party_role: str | None  # in the contract's words; of 6.24.1 when it asks for one role
    roles: tuple[str, ...]  # all RemotePartyRole asked for (6.24.1)
    payload: bytes | None  # GBCS Command of a Signed Pre-Command


@dataclass(frozen=True, slots=True)
class Response:
    request_id: RequestID
    code: str
    at: datetime  # naive UTC
    srv: str | None
    payload: bytes | None  # GBCS, decoded from base64
    body: str | None  # which element of the ResponseMessage came (GBCSPayload, PreCommand, ...); None without one


@dataclass(frozen=True, slots=True)
class DeviceAlert:
    device: int | None  # from the ResponseID; the payload names it too
    at: datetime
    code: int | None  # AlertCode of the body
    payload: bytes | None
    request_id: RequestID | None = None  # of a future-dated Command's alert, where it is given
    response_code: str | None = None  # ResponseCode of the header


@dataclass(frozen=True, slots=True)
class DCCAlert:
    at: datetime
    code: str | None
    device: int | None = None  # the one Device that its body names


def parse(xml: bytes) -> Request | Response | DeviceAlert | DCCAlert:
    """The message in `xml`; raises `Malformed`. No entities, no DTD, no network; size and depth are bounded."""
    root = _root(xml)
    if root.tag == GATEWAY + "Request":
        return _request(root)
    if root.tag == GATEWAY + "Response":
        return _response(root)
    raise Malformed("xml_is_duis", "neither a Request nor a Response of the gateway's namespace")


def utc(text: str, rule: str) -> datetime:
    """An xs:dateTime as naive UTC; one without a zone is UTC already."""
    try:
        if _TIME.fullmatch(text):
            found = datetime.fromisoformat(text)
            return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
    except (ValueError, OverflowError):
        pass
    raise Malformed(rule, text[:40])


def _root(xml: bytes) -> etree._Element:
    if len(xml) > MOST_BYTES:
        raise Malformed("message_is_not_too_long", f"{len(xml)} octets")
    if b"<!DOCTYPE" in xml or b"<!ENTITY" in xml:
        raise Malformed("xml_has_no_dtd")
    parser = etree.XMLParser(
        # Whatever the declaration says: the text of a log is UTF-8, and another encoding could hide a DTD from above.
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )
    try:
        root = etree.fromstring(xml, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Malformed("xml_is_well_formed", str(error)[:200]) from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise Malformed("xml_has_no_dtd")
    return root


def _request(root: etree._Element) -> Request:
    parts = _children(root)
    header, body = _children(_only(parts, "Header")), _only(parts, "Body")
    request_id = _request_id(_text(header, "RequestID"))
    variant = _text(header, "CommandVariant")
    if variant not in VARIANTS:
        raise Malformed("command_variant_is_known", variant[:20])
    srv = _srv(_text(header, "ServiceReferenceVariant"))
    service = _service(body)
    fields = _children(service)
    roles = tuple(_word(role, "remote_party_role_is_a_word") for role in fields.get("RemotePartyRole", ()))
    payload = None
    if service.tag == GATEWAY + "SignedPreCommand":
        payload = _base64(_text(fields, "GBCSPayload"))
    return Request(
        request_id=request_id,
        command_variant=VARIANTS[variant],
        srv=srv,
        credential_type=_credential_type(srv, fields),
        remote_party_role=roles[0] if len(roles) == 1 else None,
        roles=roles,
        payload=payload,
    )


def _service(body: etree._Element) -> etree._Element:
    """The one element of the body that names the service; the body of others may hold more."""
    if len(body) != 1 or not isinstance(body[0].tag, str):
        raise Malformed("body_has_one_element", f"{len(body)}")
    return body[0]


def _credential_type(srv: str, fields: dict[str, list]) -> str | None:
    if "CredentialType" in fields:
        return _word(_only(fields, "CredentialType"), "credential_type_is_a_word")
    if srv == "6.15.2" and "DeviceCertificate" in fields:
        return CREDENTIAL_TYPES.get(device_certificate(_base64(_text(fields, "DeviceCertificate"))).key_usage)
    return None


def _response(root: etree._Element) -> Response | DeviceAlert | DCCAlert:
    parts = _children(root)
    header, body = _children(_only(parts, "Header")), _only(parts, "Body")
    code = _text(header, "ResponseCode")
    if not _CODE.fullmatch(code):
        raise Malformed("response_code_is_well_formed", code[:20])
    at = utc(_text(header, "ResponseDateTime"), "response_date_time_is_a_time")
    request_id = _request_id(_text(header, "RequestID")) if "RequestID" in header else None
    message = _service(body)
    name = _name(message)
    if name == "DCCAlertMessage":
        return DCCAlert(at, _dcc_alert_code(message), _device_in(message))
    fields = _children(message)
    if name == "DeviceAlertMessage":
        payload = _base64(_text(fields, "GBCSPayload"))
        return DeviceAlert(_device_of(header), at, _alert_code(_text(fields, "AlertCode")), payload, request_id, code)
    if name not in ("ResponseMessage", "SMETS1ResponseMessage"):
        raise Malformed("body_is_known", str(name)[:60])
    if name == "ResponseMessage" and "FutureDatedDeviceAlertMessage" in fields:
        alert = _children(_only(fields, "FutureDatedDeviceAlertMessage"))
        payload = _base64(_text(alert, "GBCSPayload"))
        code_of_alert = _alert_code(_text(alert, "FutureDatedAlertCode"))
        return DeviceAlert(_device_of(header), at, code_of_alert, payload, request_id, code)
    if request_id is None:
        raise Malformed("response_has_a_request_id")
    if name == "SMETS1ResponseMessage":
        return Response(request_id, code, at, None, None, name)
    return Response(request_id, code, at, _srv(_text(fields, "ServiceReferenceVariant")), *_payload(fields))


def _payload(fields: dict[str, list]) -> tuple[bytes | None, str | None]:
    """The GBCS message in the ResponseMessage, and which element it has beside the names of its service."""
    others = [name for name in fields if name not in ("ServiceReference", "ServiceReferenceVariant")]
    if not others:
        return None, None
    if len(others) > 1:
        raise Malformed("response_message_has_one_element", ", ".join(others)[:100])
    (name,) = others
    if name == "GBCSPayload":
        return _base64(_text(fields, name)), name
    if name in WITH_PAYLOAD:
        return _base64(_text(_children(_only(fields, name)), "GBCSPayload")), name
    return None, name


def _device_of(header: dict[str, list]) -> int | None:
    """The Device that an alert came from: the first in its ResponseID."""
    return _request_id(_text(header, "ResponseID")).originator if "ResponseID" in header else None


def _device_in(message: etree._Element) -> int | None:
    """The Device that a DCC Alert is about, where it names one and no other."""
    named = {(found.text or "").strip(" \t\r\n") for found in message.iter(GATEWAY + "DeviceID")}
    euis = {int(text.replace("-", ""), 16) for text in named if _ONE_EUI.fullmatch(text)}
    return euis.pop() if len(euis) == 1 == len(named) else None


def _dcc_alert_code(message: etree._Element) -> str:
    code = _text(_children(message), "DCCAlertCode")
    if not _DCC_ALERT_CODE.fullmatch(code):
        raise Malformed("alert_code_is_well_formed", code[:20])
    return code


def _alert_code(text: str) -> int:
    if not _ALERT_CODE.fullmatch(text):
        raise Malformed("alert_code_is_well_formed", text[:20])
    return int(text, 16)


def _children(element: etree._Element) -> dict[str, list]:
    """Name of each child of the gateway's namespace -> those of that name."""
    found: dict[str, list] = {}
    for child in element:
        tag = child.tag
        if type(tag) is str and tag.startswith(GATEWAY):
            found.setdefault(tag[len(GATEWAY) :], []).append(child)
    return found


def _name(element: etree._Element) -> str | None:
    tag = element.tag
    # What is no element, such as an entity that was not resolved, has a function for a tag.
    if isinstance(tag, str) and tag.startswith(GATEWAY):
        return tag[len(GATEWAY) :]
    return None


def _only(fields: dict[str, list], name: str) -> etree._Element:
    found = fields.get(name, ())
    if len(found) != 1:
        raise Malformed("element_stands_once", f"{name} {len(found)} times")
    return found[0]


def _text(fields: dict[str, list], name: str) -> str:
    element = _only(fields, name)
    if len(element):
        raise Malformed("element_holds_text_only", name)
    return (element.text or "").strip(" \t\r\n")


def _word(element: etree._Element, rule: str) -> str:
    text = (element.text or "").strip(" \t\r\n")
    if len(element) or not _WORD.fullmatch(text):
        raise Malformed(rule, text[:40])
    return text


def _request_id(text: str) -> RequestID:
    parts = _REQUEST_ID.fullmatch(text)
    if parts and (counter := int(parts[3])) < 1 << 64:
        return RequestID(int(parts[1].replace("-", ""), 16), int(parts[2].replace("-", ""), 16), counter)
    raise Malformed("request_id_is_well_formed", text[:80])


def _srv(text: str) -> str:
    if text not in SRVS:
        raise Malformed("srv_is_known", text[:20])
    return text


def _base64(text: str) -> bytes:
    try:
        octets = text.encode("ascii").translate(*_SPACE)
        return binascii.a2b_base64(octets, strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed("payload_is_base64", str(error)[:100]) from error
