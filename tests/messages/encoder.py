"""Makes GBCS messages, DUIS XML and message logs from plain values; shares no code with data/messages.

EUIs, counters and key identifiers are integers of 64 bits. A cell is (role, key usage, cell usage), with cell usage
0, 1 or None where it is left out, which means 0. Certificates are DER. Times are naive UTC.
"""

import base64
import gzip
import json
from datetime import UTC, datetime, timedelta
from xml.sax.saxutils import escape

import zstandard
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

COMMAND, RESPONSE, ALERT = 1, 2, 3
MANAGEMENT, TOP_UP = 0, 1
# BIT STRING of one octet: the bits that are not used, and the bits (keyUsage of RFC 5280).
KEY_USAGE = {"DigitalSigning": (7, 0x80), "KeyAgreement": (3, 0x08), "KeyCertSign": (2, 0x04)}
PROVIDE_CREDENTIALS, PROVIDE_TO_OTHERS = 0x0008, 0x011B
ISSUE_KEY, UPDATE_KEY, PROVIDE_CERTIFICATE, CELLS_ALERT = 0x000A, 0x000B, 0x000C, 0x00CB
# CS02b: the message code is this and the replacement mode.
UPDATE_CELLS = 0x0100
SUPPLIER_BY_SUPPLIER, OPERATOR_BY_OPERATOR, SUPPLIER_BY_TRANSITIONAL = 2, 3, 7
DONE_ALERT, FAILED_ALERT = 0x8F66, 0x8F67
SIGNATURE, MAC = bytes(range(64)), bytes(range(100, 112))
# The Reference Test Data Set's Devices say their time so.
DATE_TIME = bytes.fromhex("07DF0101FF000000008000FF")
NAMESPACE = "http://www.dccinterface.co.uk/ServiceUserGateway"


# --- DER, as the Reference Test Data Set has it: a length of 128 or more takes two octets -------------------------


def tlv(tag: int, body: bytes, strict: bool = False) -> bytes:
    """`strict`: the length in as few octets as can be, as DER asks for and the test data does not."""
    if len(body) < 128:
        return bytes([tag, len(body)]) + body
    if strict and len(body) < 256:
        return bytes([tag, 0x81, len(body)]) + body
    return bytes([tag, 0x82]) + len(body).to_bytes(2, "big") + body


def sequence(*parts: bytes, strict: bool = False) -> bytes:
    return tlv(0x30, b"".join(parts), strict)


def integer(number: int, tag: int = 0x02) -> bytes:
    return tlv(tag, number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True))


def enumerated(number: int) -> bytes:
    return integer(number, 0x0A)


def octets(number: int) -> bytes:
    return tlv(0x04, number.to_bytes(8, "big"))


def generalized_time(at: datetime) -> bytes:
    return tlv(0x18, at.strftime("%Y%m%d%H%M%SZ").encode())


NULL = bytes.fromhex("0500")


def key_usage(name: str) -> bytes:
    return tlv(0x03, bytes(KEY_USAGE[name]))


def cell(role: int, usage: str, cell_usage: int | None = None, tag: int = 0x30) -> bytes:
    return tlv(tag, integer(role) + key_usage(usage) + (b"" if cell_usage is None else integer(cell_usage)))


# --- contents of the use cases --------------------------------------------------------------------------------


def counter_change(role: int, floor: int, top_up_floor: int | None = None) -> bytes:
    special = b"" if top_up_floor is None else sequence(sequence(integer(0), integer(top_up_floor)))
    return sequence(integer(role), integer(floor), special)


def replaced(of: tuple, status: int, existing: tuple[int, int], replacing: tuple[int, int]) -> bytes:
    """What became of one cell; (subject, key identifier) before and after."""
    return sequence(cell(*of), enumerated(status), *map(octets, (*existing, *replacing)))


def outcome(counter: int, mode: int, changes: list[bytes], cells: list[bytes], strict: bool = False) -> bytes:
    """executionOutcome of CS02b."""
    listed = sequence(*changes, strict=strict), sequence(*cells, strict=strict)
    return sequence(integer(counter), integer(mode), *listed, strict=strict)


def cells_response(executed: bytes | None = None, strict: bool = False) -> bytes:
    """CS02b: command accepted, and what came of it where that is known."""
    return sequence(NULL, executed or b"", strict=strict)


def cells_alert(code: int, at: datetime, executed: bytes, strict: bool = False) -> bytes:
    return sequence(integer(code), generalized_time(at), executed, strict=strict)


def cells_command(
    mode: int,
    authorising: tuple,
    counter: int,
    floor: int,
    replacements: list[tuple[bytes, tuple]],
    path: list[bytes],
    top_up_floor: int | None = None,
    execute_at: datetime | None = None,
) -> bytes:
    """CS02b Command; each replacement is (certificate, cell)."""
    special = b"" if top_up_floor is None else tlv(0xA5, sequence(integer(0), integer(top_up_floor)))
    control = sequence(
        integer(mode), cell(*authorising, tag=0xA2), integer(counter, 0x83), integer(floor, 0x84), special
    )
    new = sequence(*(sequence(certificate, cell(*target)) for certificate, target in replacements))
    return sequence(control, new, sequence(*path), generalized_time(execute_at) if execute_at else b"")


def held(usage: str, cell_usage: int | None, subject: int, key: int) -> bytes:
    given = b"" if cell_usage is None else integer(cell_usage)
    return sequence(key_usage(usage), given, octets(subject), octets(key))


def role_cells(role: int, status: int, counter: int | None = None, cells: list[bytes] = ()) -> bytes:
    """One role of CS02a and CS02f; a role that failed has neither counter nor cells."""
    found = b"" if counter is None else integer(counter) + sequence(*cells)
    return sequence(integer(role), enumerated(status), found)


def cells_read(roles: list[bytes], strict: bool = False) -> bytes:
    return sequence(*roles, strict=strict)


# --- the envelope ---------------------------------------------------------------------------------------------


def length(size: int) -> bytes:
    if size < 128:
        return bytes([size])
    return b"\x81" + bytes([size]) if size < 256 else b"\x82" + size.to_bytes(2, "big")


def message(
    kind: int,
    counter: int,
    originator: int,
    target: int,
    code: int,
    content: bytes,
    signature: bytes = SIGNATURE,
    mac: bytes = b"",
    date_time: bytes = b"",
    supplementary: tuple[int, ...] = (),
) -> bytes:
    """One message: MAC header where there is a MAC, grouping header, content, signature (or none), MAC.

    supplementary: of the other party the EUI, and after it the counter, and after it the originator's counter.
    """
    other = code.to_bytes(2, "big") + b"".join(number.to_bytes(8, "big") for number in supplementary)
    grouped = b"".join(
        [
            bytes([0xDF, 0x09, kind]),
            counter.to_bytes(8, "big"),
            *(b"\x08" + party.to_bytes(8, "big") for party in (originator, target)),
            bytes([len(date_time)]) + date_time,
            length(len(other)) + other,
            length(len(content)) + content,
            length(len(signature)) + signature,
        ]
    )
    if not mac:
        return grouped
    ciphered = bytes.fromhex("1100000000") + grouped + mac
    return bytes.fromhex("DD000000000000") + length(len(ciphered)) + ciphered


# --- certificates ---------------------------------------------------------------------------------------------

_KEY = ec.derive_private_key(11, ec.SECP256R1())
_CA = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Z1")])
_PURPOSE = {"DigitalSigning": "digital_signature", "KeyAgreement": "key_agreement", "KeyCertSign": "key_cert_sign"}


def certificate(usage: str, key: int, device: int | None = None, party: int | None = None, ou: str = "02") -> bytes:
    """A Device's certificate, its EUI in the subject's alternative name, or a party's, its EUI in the subject."""
    subject = []
    if party is not None:
        subject = [
            x509.NameAttribute(x509.NameOID.ORGANIZATIONAL_UNIT_NAME, ou),
            x509.NameAttribute(
                x509.NameOID.X500_UNIQUE_IDENTIFIER,
                b"\0" + party.to_bytes(8, "big"),
                _type=x509.name._ASN1Type.BitString,
                _validate=False,
            ),
        ]
    since, until = datetime(2016, 4, 6), datetime(9999, 12, 31, 23, 59, 59)
    builder = x509.CertificateBuilder(_CA, x509.Name(subject), _KEY.public_key(), 1 + key, since, until)
    purposes = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    flags = dict.fromkeys((*purposes, "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"), False)
    builder = builder.add_extension(x509.KeyUsage(**flags | {_PURPOSE[usage]: True}), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier(key.to_bytes(8, "big")), critical=False)
    if device is not None:
        module = sequence(bytes.fromhex("060D2A863A0001848FB90F01020201"), octets(device))
        name = x509.OtherName(x509.ObjectIdentifier("1.3.6.1.5.5.7.8.4"), module)
        builder = builder.add_extension(x509.SubjectAlternativeName([name]), critical=True)
    return builder.sign(_KEY, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def revocation_list(serials: list[int], at: datetime) -> bytes:
    builder = x509.CertificateRevocationListBuilder(_CA, at, at + timedelta(days=30))
    for serial in serials:
        builder = builder.add_revoked_certificate(x509.RevokedCertificateBuilder(serial, at).build())
    return builder.sign(_KEY, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def signing_request() -> bytes:
    builder = x509.CertificateSigningRequestBuilder(x509.Name([]))
    return builder.sign(_KEY, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


# --- DUIS -----------------------------------------------------------------------------------------------------


def eui(number: int) -> str:
    return number.to_bytes(8, "big").hex("-").upper()


def request_id(originator: int, target: int, counter: int) -> str:
    return f"{eui(originator)}:{eui(target)}:{counter}"


def moment(at: datetime) -> str:
    return at.replace(tzinfo=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def element(name: str, *inner: str, prefix: str = "sr:") -> str:
    return f"<{prefix}{name}>{''.join(inner)}</{prefix}{name}>"


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def document(root: str, *inner: str, prefix: str = "sr:", version: str = "5.4") -> str:
    """`prefix` may be any, or empty: only the namespace counts."""
    declared = f"xmlns:{prefix[:-1]}" if prefix else "xmlns"
    head = "<?xml version='1.0' encoding='UTF-8'?>\n"
    return f'{head}<{prefix}{root} {declared}="{NAMESPACE}" schemaVersion="{version}">{"".join(inner)}</{prefix}{root}>'


def request(identifier: str, srv: str, variant: int, body: str) -> str:
    reference = ".".join(srv.split(".")[:2])
    header = element(
        "Header",
        element("RequestID", identifier),
        element("CommandVariant", str(variant)),
        element("ServiceReference", reference),
        element("ServiceReferenceVariant", srv),
    )
    return document("Request", header, element("Body", body))


def replacement(signing: bytes, agreement: bytes, top_up: bytes | None = None) -> str:
    certificates = [
        element("DigitalSigningCertificate", b64(signing)),
        element("KeyAgreementCertificate", b64(agreement)),
    ]
    if top_up is not None:
        certificates.append(element("KeyAgreementTopUpCertificate", b64(top_up)))
    return "".join(certificates)


def update_cells_body(role: str, certificates: str, execute_at: datetime | None = None) -> str:
    """6.15.1"""
    return element(
        "UpdateSecurityCredentialsKRP",
        element("ExecutionDateTime", moment(execute_at)) if execute_at else "",
        element("RemotePartyRole", role),
        element("RemotePartyFloorSeqNumber", "0"),
        element("ReplacementCertificates", element("SupplierOrNetworkOperatorCertificates", certificates)),
        element("ApplyTimeBasedCPVChecks", "true"),
    )


def handover_body(role: str, certificates: str) -> str:
    """6.21"""
    return element(
        "RequestHandoverOfDCCControlledDevice",
        element("RemotePartyRole", role),
        element("RemotePartyFloorSeqNumber", "0"),
        element("ReplacementCertificates", certificates),
        element("ApplyTimeBasedCPVChecks", "true"),
    )


def change_of_supplier_body(certificates: str, execute_at: datetime | None = None) -> str:
    """6.23"""
    return element(
        "UpdateSecurityCredentialsCoS",
        element("ExecutionDateTime", moment(execute_at)) if execute_at else "",
        element("RemotePartyFloorSeqNumber", "0"),
        element("ReplacementCertificates", certificates),
    )


def issue_body(credential_type: str) -> str:
    """6.17"""
    return element("IssueSecurityCredentials", element("CredentialType", credential_type))


def update_key_body(device_certificate: bytes) -> str:
    """6.15.2; which of the two keys it is only the certificate says."""
    return element("UpdateSecurityCredentialsDevice", element("DeviceCertificate", b64(device_certificate)))


def read_cells_body(roles: list[str]) -> str:
    """6.24.1"""
    return element("RetrieveDeviceSecurityCredentialsKRP", *(element("RemotePartyRole", role) for role in roles))


def read_key_body(credential_type: str) -> str:
    """6.24.2"""
    return element("RetrieveDeviceSecurityCredentialsDevice", element("CredentialType", credential_type))


def signed_body(command: bytes) -> str:
    """CommandVariant 5: the signed Pre-Command in place of the body."""
    return element("SignedPreCommand", element("GBCSPayload", b64(command)))


def _response(code: str, at: datetime, body: str, identifier: str | None = None, answer: str | None = None) -> str:
    header = element(
        "Header",
        element("RequestID", identifier) if identifier else "",
        element("ResponseID", answer) if answer else "",
        element("ResponseCode", code),
        element("ResponseDateTime", moment(at)),
    )
    return document("Response", header, element("Body", body))


def response(identifier: str, code: str, at: datetime, srv: str, payload: bytes | None = None) -> str:
    """A Response; without payload an acknowledgement or a rejection."""
    inner = "" if payload is None else element("GBCSPayload", b64(payload))
    return _response(code, at, _message(srv, inner), identifier)


def pre_command(identifier: str, at: datetime, srv: str, payload: bytes) -> str:
    inner = element("PreCommand", element("GBCSVersion", "4.3"), element("GBCSPayload", b64(payload)))
    return _response("I0", at, _message(srv, inner), identifier)


def future_dated_alert(identifier: str, code: int, at: datetime, srv: str, payload: bytes) -> str:
    """The alert of a future-dated Command, as a Response to its Request."""
    inner = element(
        "FutureDatedDeviceAlertMessage",
        element("FutureDatedAlertCode", f"{code:04X}"),
        element("GBCSPayload", b64(payload)),
        element("InstructionNumber", "1"),
        element("TotalCommandInstructions", "1"),
    )
    return _response("I0", at, _message(srv, inner), identifier)


def _message(srv: str, inner: str) -> str:
    return element(
        "ResponseMessage",
        element("ServiceReference", ".".join(srv.split(".")[:2])),
        element("ServiceReferenceVariant", srv),
        inner,
    )


def device_alert(code: int, at: datetime, payload: bytes, answer: str | None = None) -> str:
    """`answer`: the ResponseID, Device first."""
    inner = element("AlertCode", f"{code:04X}") + element("GBCSPayload", b64(payload))
    return _response("I0", at, element("DeviceAlertMessage", inner), answer=answer)


def dcc_alert(code: str, at: datetime, device: int) -> str:
    event = element("DeviceStatusChangeEvent", element("DeviceID", eui(device)), element("DeviceStatusChange"))
    inner = element("DCCAlertCode", escape(code)) + element("DCCAlert", event)
    return _response("I0", at, element("DCCAlertMessage", inner))


# --- logs -----------------------------------------------------------------------------------------------------


def line(at: datetime, xml: str) -> bytes:
    return json.dumps({"at": moment(at), "message": xml}).encode() + b"\n"


def write_log(path, lines: list[bytes]) -> None:
    """As its ending says: .ndjson, .ndjson.gz or .ndjson.zst."""
    content = b"".join(lines)
    if path.suffix == ".gz":
        content = gzip.compress(content, 1)
    elif path.suffix == ".zst":
        content = zstandard.ZstdCompressor().compress(content)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
