"""Every GBCS message of DCC's Reference Test Data Set has the fields that its name promises; bad bytes break a rule."""

from pathlib import Path

import pytest
from messages import encoder

from data.messages import gbcs, status

RTDS = Path(__file__).parents[3] / "shared" / "rtds"
HERE = pytest.mark.skipif(not RTDS.is_dir(), reason="DCC's Reference Test Data Set is not in ../shared/rtds")
ESME, GSME = 0x00DB1234567890A0, 0x00DB1234567890A3
SUPPLIER, OPERATOR, ACB = 0x90B3D51F30010000, 0x90B3D51F30020000, 0x90B3D51F30000002
# What the file's name promises: kind, code, Device, whom it is for (or from), counter, content, status.
NAMED = {
    "CS02aMAC_6.24.1_SUCCESS_RESPONSE": (2, 0x0008, ESME, ACB, 1302, gbcs.TrustAnchorCells, "success"),
    "CS02fMAC_6.24.1_SUCCESS_RESPONSE": (2, 0x011B, ESME, ACB, 1302, gbcs.TrustAnchorCells, "success"),
    "CS02bNOByNOHandover_6.21_SUCCESS_RESPONSE": (2, 0x0103, GSME, ACB, 1301, gbcs.CredentialsUpdated, "success"),
    "CS02bNOByNO_6.15.1_SUCCESS_COMMAND": (1, 0x0103, ESME, OPERATOR, 1200, gbcs.UpdateCells, None),
    "CS02bNOByNO_6.15.1_SUCCESS_RESPONSE": (2, 0x0103, ESME, OPERATOR, 1200, gbcs.CredentialsUpdated, "success"),
    "CS02bSupplierBySupplier_6.15.1_8F66_FUTURE_DATED_SUCCESS_ALERT": (
        *(3, 0x00CB, ESME, SUPPLIER, 2000, gbcs.Alert, "success"),
    ),
    "CS02bSupplierBySupplier_6.15.1_FUTURE_DATED_SUCCESS_COMMAND": (
        *(1, 0x0102, ESME, SUPPLIER, 1001, gbcs.UpdateCells, None),
    ),
    "CS02bSupplierBySupplier_6.15.1_FUTURE_DATED_SUCCESS_RESPONSE": (
        *(2, 0x0102, ESME, SUPPLIER, 1001, gbcs.CommandAccepted, None),
    ),
    "CS02bSupplierBySupplier_6.15.1_IMMEDIATE_SUCCESS_RESPONSE": (
        *(2, 0x0102, ESME, SUPPLIER, 1000, gbcs.CredentialsUpdated, "success"),
    ),
    "CS02c_6.17_SUCCESS_RESPONSE": (2, 0x000A, ESME, SUPPLIER, 1000, gbcs.CertificateSigningRequest, "success"),
    "CS02d_6.15.2_SUCCESS_RESPONSE": (2, 0x000B, ESME, SUPPLIER, 1000, gbcs.DeviceKeyUpdated, "success"),
    "CS02e_6.24.2_SUCCESS_RESPONSE": (2, 0x000C, ESME, SUPPLIER, 1000, gbcs.DeviceCertificates, "success"),
}


def octets(name):
    return bytes.fromhex((RTDS / "gbcs" / f"{name}_GBCS.HEX").read_text())


@HERE
def test_every_message_of_the_set_is_promised_something():
    assert {path.name.removesuffix("_GBCS.HEX") for path in (RTDS / "gbcs").iterdir()} == set(NAMED)


@HERE
@pytest.mark.parametrize("name", NAMED)
def test_a_message_has_what_its_name_promises(name):
    kind, code, device, party, counter, content, told = NAMED[name]
    message = gbcs.decode(octets(name))
    ends = (message.target, message.originator) if kind == gbcs.COMMAND else (message.originator, message.target)
    assert (message.kind, message.message_code, *ends, message.counter) == (kind, code, device, party, counter)
    assert type(message.content) is content
    has_mac = "MAC" in name or kind == gbcs.COMMAND
    # A Command to the Device is signed by the User, and has the DCC's MAC around it.
    assert len(message.signature) == (0 if "MAC" in name else 64)
    assert len(message.mac) == (12 if has_mac else 0)
    srv = next(part for part in name.split("_") if part.startswith("6."))
    assert status.execution_status(srv, message) == told


@HERE
def test_the_cells_of_the_set_by_hand():
    updated = gbcs.decode(octets("CS02bSupplierBySupplier_6.15.1_IMMEDIATE_SUCCESS_RESPONSE")).content.outcome
    assert updated.authorising_counter == 1000
    assert updated.counter_changes == ((2, 0, 0),)
    # Read off the hex: existing and replacing key identifiers of the three Supplier cells.
    assert [
        (c.cell.key_usage, c.cell.cell_usage, c.status, c.existing_key, c.replacing_key) for c in updated.cells
    ] == [
        ("DigitalSigning", 0, 0, 0x44899792D196F4B8, 0x43046B4FB7C4F11B),
        ("KeyAgreement", 0, 0, 0x405B8C62687D8F70, 0x429667C1B8BB1E34),
        ("KeyAgreement", 1, 0, 0x41FB49221588C570, 0x4EB07A1BCA0DD58C),
    ]
    alert = gbcs.decode(octets("CS02bSupplierBySupplier_6.15.1_8F66_FUTURE_DATED_SUCCESS_ALERT")).content
    assert (alert.code, alert.authorising_counter, alert.at) == (0x8F66, 1001, "20300115000000Z")
    read = status.cells(gbcs.decode(octets("CS02aMAC_6.24.1_SUCCESS_RESPONSE")))
    assert read == [
        ("Supplier", "DigitalSigning", "success", SUPPLIER, 0x44899792D196F4B8),
        ("Supplier", "KeyAgreement", "success", SUPPLIER, 0x405B8C62687D8F70),
        ("Supplier", "KeyAgreementTopUp", "success", SUPPLIER, 0x41FB49221588C570),
        ("NetworkOperator", "DigitalSigning", "success", OPERATOR, 0x48CF97FA9F827FB5),
        ("NetworkOperator", "KeyAgreement", "success", OPERATOR, 0x4BC9D38D1CB49F2A),
    ]
    own = status.cells(gbcs.decode(octets("CS02e_6.24.2_SUCCESS_RESPONSE")))
    assert own == [("Device", "DigitalSigning", "success", ESME, 0x41978BA90C066FFA)]


@HERE
def test_each_message_of_the_set_cut_short_breaks_a_rule():
    for name in NAMED:
        whole = octets(name)
        for end in range(0, len(whole), 7):
            with pytest.raises(gbcs.Malformed):
                gbcs.decode(whole[:end])
        with pytest.raises(gbcs.Malformed):
            gbcs.decode(whole + b"\0")


def reply(code, content, **options):
    return encoder.message(gbcs.RESPONSE, 1000, ESME, SUPPLIER, code, content, **options)


CELL = (2, "DigitalSigning", None)


def outcome(*statuses):
    cells = [encoder.replaced(CELL, each, (SUPPLIER, 1), (SUPPLIER, 2)) for each in statuses]
    return encoder.outcome(1000, 2, [encoder.counter_change(2, 0)], cells)


# A BIT STRING of keyEncipherment, which no cell is for; an identifier of seven octets.
NO_USE = b"\x03\x02\x05\x20"
SHORT_CELL = encoder.sequence(encoder.key_usage("DigitalSigning"), encoder.octets(1), b"\x04\x07" + bytes(7))
BROKEN = {
    "starts_as_gbcs": b"\xe0\x09" + bytes(60),
    "mac_header_is_empty": b"\xdd\x01" + bytes(60),
    "security_header_is_known": reply(0x0B, b"\x02\x01\0", mac=encoder.MAC).replace(b"\x11\0\0", b"\x31\0\0", 1),
    "kind_is_known": encoder.message(4, 1, ESME, SUPPLIER, 0x0B, b"\x02\x01\0"),
    "system_title_has_8_octets": reply(0x0B, b"\x02\x01\0").replace(b"\x08\x00\xdb", b"\x07\x00\xdb", 1),
    "date_time_is_of_its_length": reply(0x0B, b"\x02\x01\0", date_time=b"\x07"),
    "message_is_whole": reply(0x0B, b"\x02\x01\0")[:-1],
    "nothing_follows_the_message": reply(0x0B, b"\x02\x01\0") + b"\0",
    "signature_is_of_its_length": reply(0x0B, b"\x02\x01\0", signature=b"\1"),
    "message_code_is_known": reply(0x0BAD, b"\x02\x01\0"),
    "payload_is_der": reply(0x0B, b"\x02\x7f\0"),
    "payload_has_its_elements": reply(0x0B, b"\x04\x01\0"),
    "nothing_follows_in_the_payload": reply(0x0B, b"\x02\x01\0\x05\0"),
    "integer_is_not_negative": reply(0x0B, b"\x02\x01\xff"),
    "integer_is_of_64_bits": reply(0x0B, b"\x02\x0a" + bytes(10)),
    "failure_is_not_nought": reply(0x0A, b"\x02\x01\0"),
    "an_outcome_has_cells": reply(0x0102, encoder.cells_response(outcome())),
    "key_usage_is_known": reply(0x0102, encoder.cells_response(outcome(0)).replace(b"\x03\x02\x07\x80", NO_USE)),
    "identifier_has_8_octets": reply(0x08, encoder.cells_read([encoder.role_cells(2, 0, 0, [SHORT_CELL])])),
    "certificate_is_der": reply(0x0C, b"\x30\x03\x02\x01\0"),
    "alert_code_is_of_its_message_code": encoder.message(
        gbcs.ALERT, 1, ESME, SUPPLIER, 0xCB, encoder.cells_alert(0x8F12, encoder.datetime(2030, 1, 1), outcome(0))
    ),
    "kind_is_of_the_message_code": reply(0xCB, encoder.cells_alert(0x8F66, encoder.datetime(2030, 1, 1), outcome(0))),
}


@pytest.mark.parametrize("rule", BROKEN)
def test_bytes_that_break_a_rule_name_it(rule):
    with pytest.raises(gbcs.Malformed) as broken:
        gbcs.decode(BROKEN[rule])
    assert broken.value.rule == rule


def test_a_header_with_no_payload_is_empty():
    message = gbcs.decode(reply(0x0102, b""))
    assert message.content == gbcs.Empty()
    assert status.execution_status("6.15.1", message) is None


@pytest.mark.parametrize(
    ("statuses", "told"),
    [
        ((0, 0, 0), "success"),
        ((10, 10), "failure"),
        ((0, 10, 0), "partial"),
        ((5,), "failure"),
        # A code without a name is no success.
        ((42,), "failure"),
        ((0, 42), "partial"),
    ],
)
def test_cells_that_all_succeed_are_a_success_and_some_are_partial(statuses, told):
    message = gbcs.decode(reply(0x0102, encoder.cells_response(outcome(*statuses))))
    assert status.execution_status("6.15.1", message) == told


def test_a_reply_to_another_service_is_no_answer():
    message = gbcs.decode(reply(0x0B, b"\x02\x01\0"))
    assert status.execution_status("6.15.2", message) == "success"
    with pytest.raises(gbcs.Malformed) as broken:
        status.execution_status("6.17", message)
    assert broken.value.rule == "message_code_is_of_the_service"
    # What this project does not look into is not judged.
    assert status.execution_status("11.2", gbcs.decode(reply(0x59, b"\xda\x01"))) is None


def test_a_failed_role_is_a_row_a_required_cell():
    roles = [
        encoder.role_cells(3, 25),
        encoder.role_cells(1, 30),
        encoder.role_cells(4, 127),
        encoder.role_cells(8, 25),
    ]
    read = status.cells(gbcs.decode(reply(0x08, encoder.cells_read(roles))))
    assert read == [
        ("NetworkOperator", "DigitalSigning", "trustAnchorNotFound", None, None),
        ("NetworkOperator", "KeyAgreement", "trustAnchorNotFound", None, None),
        ("Recovery", "DigitalSigning", "resourcesBusy", None, None),
        ("ACB", "DigitalSigning", "other", None, None),
        ("ACB", "KeyAgreement", "other", None, None),
    ]


def test_a_status_and_a_role_without_a_name_are_kept_as_numbers():
    held = [encoder.held("DigitalSigning", None, SUPPLIER, 1)]
    roles = [encoder.role_cells(3, 42), encoder.role_cells(99, 0, 0, held), encoder.role_cells(99, 25)]
    assert status.cells(gbcs.decode(reply(0x08, encoder.cells_read(roles)))) == [
        ("NetworkOperator", "DigitalSigning", "status 42", None, None),
        ("NetworkOperator", "KeyAgreement", "status 42", None, None),
        ("role 99", "DigitalSigning", "success", SUPPLIER, 1),
    ]
    assert status.cells(gbcs.decode(reply(0x0C, b"\x02\x01\x09"))) == [("Device", None, "status 9", None, None)]


@pytest.mark.parametrize(("srv", "code"), [("6.15.2", 0x0B), ("6.17", 0x0A), ("6.24.2", 0x0C)])
def test_an_integer_without_a_name_is_a_failure(srv, code):
    assert status.execution_status(srv, gbcs.decode(reply(code, b"\x02\x01\x7f"))) == "failure"


def test_a_role_that_says_two_things_has_no_cells_and_the_others_have_theirs():
    held = [encoder.held("DigitalSigning", None, SUPPLIER, 1)]
    roles = [encoder.role_cells(2, 0), encoder.role_cells(3, 25, 0, held), encoder.role_cells(1, 0, 0, held)]
    message = gbcs.decode(reply(0x08, encoder.cells_read(roles)))
    assert status.is_at_odds(message)
    assert status.cells(message) == [("Recovery", "DigitalSigning", "success", SUPPLIER, 1)]
    assert not status.is_at_odds(gbcs.decode(reply(0x08, encoder.cells_read(roles[2:]))))
