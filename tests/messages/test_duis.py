"""The DUIS messages of DCC's Reference Test Data Set, and XML that breaks a rule."""

from datetime import datetime
from pathlib import Path

import pytest
from messages import encoder

from data.messages import duis

RTDS = Path(__file__).parents[3] / "shared" / "rtds"
HERE = pytest.mark.skipif(not RTDS.is_dir(), reason="DCC's Reference Test Data Set is not in ../shared/rtds")
ESME, GSME = 0x00DB1234567890A0, 0x00DB1234567890A3
SUPPLIER, OPERATOR, ACB = 0x90B3D51F30010000, 0x90B3D51F30020000, 0x90B3D51F30000002
# originator, Device, counter, CommandVariant, SRV, credential type, role, roles
NAMED = {
    "CS02aMAC_6.24.1": (SUPPLIER, ESME, 1000, 1, "6.24.1", None, None, ("Supplier", "NetworkOperator")),
    "CS02fMAC_6.24.1": (ACB, ESME, 1302, 1, "6.24.1", None, None, ("Supplier", "LoadController")),
    "CS02bNOByNOHandover_6.21": (
        *(SUPPLIER, GSME, 1001, 1, "6.21"),
        *(None, "NetworkOperator", ("NetworkOperator",)),
    ),
    "CS02bNOByNO_6.15.1": (OPERATOR, ESME, 1200, 4, "6.15.1", None, "NetworkOperator", ("NetworkOperator",)),
    "CS02bSupplierBySupplier_6.15.1_FUTURE_DATED": (
        *(SUPPLIER, ESME, 1001, 4, "6.15.1"),
        *(None, "Supplier", ("Supplier",)),
    ),
    "CS02bSupplierBySupplier_6.15.1_IMMEDIATE": (
        *(SUPPLIER, ESME, 1000, 4, "6.15.1"),
        *(None, "Supplier", ("Supplier",)),
    ),
    "CS02c_6.17": (SUPPLIER, ESME, 1000, 4, "6.17", "Digital Signature", None, ()),
    "CS02d_6.15.2": (SUPPLIER, ESME, 1000, 4, "6.15.2", "Digital Signature", None, ()),
    "CS02e_6.24.2": (SUPPLIER, ESME, 1000, 4, "6.24.2", "Digital Signature", None, ()),
}


@HERE
def test_every_request_of_the_set_is_promised_something():
    names = {path.name.removesuffix("_SUCCESS_REQUEST_DUIS.XML") for path in (RTDS / "requests").iterdir()}
    assert names == set(NAMED)


@HERE
@pytest.mark.parametrize("name", NAMED)
def test_a_request_has_what_its_name_promises(name):
    request = duis.parse((RTDS / "requests" / f"{name}_SUCCESS_REQUEST_DUIS.XML").read_bytes())
    found = request.request_id
    assert (
        *(found.originator, found.target, found.counter, request.command_variant, request.srv),
        *(request.credential_type, request.remote_party_role, request.roles),
    ) == NAMED[name]


@HERE
def test_the_responses_of_the_set():
    read = duis.parse((RTDS / "readfw-response.xml").read_bytes())
    assert read.request_id == duis.RequestID(SUPPLIER, 0x88738457002F961E, 1660751141087)
    assert (read.code, read.at, read.srv) == ("I0", datetime(2022, 8, 17, 15, 45, 42, 790000), "11.2")
    assert (read.body, read.payload[:7].hex(), read.payload[-1:]) == ("GBCSPayload", "dd000000000000", b"\x9f")
    error = duis.parse((RTDS / "acknowledgement-error.xml").read_bytes())
    assert (error.code, error.payload, error.body) == ("E65", None, None)


AT = datetime(2021, 8, 3, 10, 15)
IDENTIFIER = encoder.request_id(SUPPLIER, ESME, 7)


def asked(body=None, srv="6.17", variant=5, identifier=IDENTIFIER):
    return encoder.request(identifier, srv, variant, body or encoder.issue_body("Key Agreement"))


def answered(**changes):
    return encoder.response(**{"identifier": IDENTIFIER, "code": "I0", "at": AT, "srv": "6.17"} | changes)


def test_an_alert_says_its_device_and_code():
    answer = encoder.request_id(ESME, SUPPLIER, 9)
    alert = duis.parse(encoder.device_alert(0x8F66, AT, b"\xdf\x09", answer).encode())
    assert alert == duis.DeviceAlert(ESME, AT, 0x8F66, b"\xdf\x09", response_code="I0")
    of_command = duis.parse(encoder.future_dated_alert(IDENTIFIER, 0x8F67, AT, "6.15.1", b"\xdf\x09").encode())
    assert of_command == duis.DeviceAlert(None, AT, 0x8F67, b"\xdf\x09", duis.RequestID(SUPPLIER, ESME, 7), "I0")
    assert duis.parse(encoder.dcc_alert("N16", AT, ESME).encode()) == duis.DCCAlert(AT, "N16", ESME)


def test_a_pre_command_is_told_from_a_reply():
    response = duis.parse(encoder.pre_command(IDENTIFIER, AT, "6.17", b"\xdf\x09").encode())
    assert (response.body, response.payload) == ("PreCommand", b"\xdf\x09")


def test_lower_case_and_white_space_are_as_the_schema_allows():
    request = duis.parse(asked(identifier=f" {IDENTIFIER.lower()} ").encode())
    assert request.request_id == duis.RequestID(SUPPLIER, ESME, 7)


def test_a_time_with_a_zone_is_converted():
    xml = answered().replace(encoder.moment(AT), "2021-08-03T11:15:00.5+01:00")
    assert duis.parse(xml.encode()).at == datetime(2021, 8, 3, 10, 15, 0, 500000)


BOMB = "".join(f'<!ENTITY {a} "{10 * f"&{b};"}">' for a, b in zip("bcdefghij", "abcdefghi", strict=True))
NO_TIMES = ["", "now", "2021-13-01T00:00:00Z", "2021-08-03", "2021-W31-2T00:00:00Z", "0001-01-01T00:00:00+14:00"]
NO_REQUEST_IDS = ["", "a:b:1", IDENTIFIER + "x", IDENTIFIER + ":7", IDENTIFIER[:-1] + "01", IDENTIFIER[:-1] + "9" * 20]
BROKEN = {
    "xml_is_well_formed": [asked()[:-5], "", "<a>&b;</a>", "<a>" * 300, "\0", "<a/><b/>", "\ud800"],
    "xml_has_no_dtd": [
        f'<!DOCTYPE a [<!ENTITY a "ha">{BOMB}]><a>&j;</a>',
        '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        asked().replace("<sr:Request ", '<!DOCTYPE a [<!ENTITY e SYSTEM "http://127.0.0.1/">]><sr:Request ', 1),
    ],
    "xml_is_duis": ["<Request/>", asked().replace("ServiceUserGateway", "Another"), "<a/>"],
    "message_is_not_too_long": ["<a>" + " " * duis.MOST_BYTES + "</a>"],
    "request_id_is_well_formed": [asked(identifier=each) for each in NO_REQUEST_IDS],
    "srv_is_known": [asked(srv="6.99"), answered(srv="6.99")],
    "command_variant_is_known": [asked(variant=0), asked(variant=44)],
    "body_has_one_element": [asked(body="<!-- -->"), asked(body=2 * encoder.issue_body("Key Agreement"))],
    "element_stands_once": [
        asked().replace("<sr:CommandVariant>", "<sr:RequestID>x</sr:RequestID><sr:CommandVariant>"),
        answered().replace("sr:ResponseCode>", "sr:Other>"),
    ],
    "element_holds_text_only": [asked().replace("</sr:CommandVariant>", "<sr:b/></sr:CommandVariant>")],
    "credential_type_is_a_word": [asked(body=encoder.issue_body("&lt;script&gt;"))],
    "remote_party_role_is_a_word": [asked(body=encoder.read_cells_body(["x" * 65]), srv="6.24.1")],
    "payload_is_base64": [
        asked(body=encoder.signed_body(b"").replace("<sr:GBCSPayload>", "<sr:GBCSPayload>3Q=A")),
        answered(payload=b"1234").replace("==", "="),
        answered(payload=b"1234").replace("==", "é="),
    ],
    "certificate_is_der": [asked(body=encoder.update_key_body(b"\x30\x01\x02"), srv="6.15.2")],
    "response_code_is_well_formed": [answered(code="OK"), answered(code="")],
    "response_date_time_is_a_time": [answered().replace(encoder.moment(AT), each) for each in NO_TIMES],
    "response_has_a_request_id": [answered().replace(f"<sr:RequestID>{IDENTIFIER}</sr:RequestID>", "")],
    "response_message_has_one_element": [answered(payload=b"1").replace("<sr:GBCSPayload>", "<sr:A/><sr:GBCSPayload>")],
    "body_is_known": [answered().replace("sr:ResponseMessage", "sr:Surprise")],
    "alert_code_is_well_formed": [
        encoder.device_alert(0x8F66, AT, b"1").replace("8F66", "8F6"),
        encoder.dcc_alert("?", AT, ESME),
    ],
}


@pytest.mark.parametrize(("rule", "xml"), [(rule, xml) for rule, each in BROKEN.items() for xml in each])
def test_xml_that_breaks_a_rule_names_it(rule, xml):
    with pytest.raises(duis.Malformed) as broken:
        duis.parse(xml.encode(errors="surrogatepass"))
    assert broken.value.rule == rule


@pytest.mark.parametrize("declared", ["UTF-16", "UTF-7", "UCS-4", "EBCDIC-US"])
def test_a_dtd_does_not_hide_behind_an_encoding(declared):
    hidden = '<!DOCTYPE a [<!ENTITY a "ha">]><a>&a;</a>'
    encoded = {"UTF-16": "utf-16-be", "UTF-7": "utf-7", "UCS-4": "utf-32-be", "EBCDIC-US": "cp037"}[declared]
    for start in (f'<?xml version="1.0" encoding="{declared}"?>', ""):
        with pytest.raises(duis.Malformed):
            duis.parse((start + hidden).encode(encoded))
        with pytest.raises(duis.Malformed):
            duis.parse(start.encode() + hidden.encode(encoded))
