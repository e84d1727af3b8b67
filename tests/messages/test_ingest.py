"""Message logs to extracts: what is joined, what is quarantined, and that no order or accident matters."""

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta

import polars as pl
import pyarrow.parquet as pq
import pytest
from builds import pco
from estates import SCHEMAS
from messages import encoder
from thorough import times

from data.extracts import InputRefused
from data.messages import gbcs, join
from data.messages import ingest as decoding
from data.messages.ingest import ingest

SUPPLIER, OTHER, OPERATOR = 0x90B3D51F30010000, 0x90B3D51F30030000, 0x90B3D51F30020000
ACB, TRANSITIONAL = 0x90B3D51F30000002, 0x90B3D51F30000004
DEVICE = 0x00DB123456789000
DAY = datetime(2021, 8, 3, 10, 15)
CERTIFICATES = encoder.replacement(b"a", b"b")
# Signed anew, the bytes would be others.
SIGNING_REQUEST = encoder.signing_request()


def later(**time):
    return DAY + timedelta(**time)


def identifier(counter, device=DEVICE, originator=SUPPLIER):
    return encoder.request_id(originator, device, counter)


def asked(counter, srv, body, variant=5, at=DAY, **names):
    return encoder.line(at, encoder.request(identifier(counter, **names), srv, variant, body))


def answered(counter, srv, payload=None, code="I0", at=None, **names):
    at = at or later(minutes=1)
    return encoder.line(at, encoder.response(identifier(counter, **names), code, at, srv, payload))


def reply(counter, code, content, device=DEVICE, party=SUPPLIER, kind=gbcs.RESPONSE, **options):
    ends = (party, device) if kind == gbcs.COMMAND else (device, party)
    return encoder.message(kind, counter, *ends, code, content, **options)


def outcome(counter, *statuses, role=2):
    cells = [
        encoder.replaced((role, usage, None), status, (SUPPLIER, 1), (SUPPLIER, 2))
        for usage, status in zip(itertools.cycle(["DigitalSigning", "KeyAgreement"]), statuses, strict=False)
    ]
    return encoder.outcome(counter, 2, [encoder.counter_change(role, 0)], cells)


def updated(counter, *statuses, **names):
    executed = outcome(counter, *statuses) if statuses else None
    return reply(counter, 0x0102, encoder.cells_response(executed), **names)


def alert(counter, *statuses, at=None, party=SUPPLIER, device=DEVICE, code=0x8F66):
    at = at or later(days=2)
    content = encoder.cells_alert(code, at, outcome(counter, *statuses))
    payload = reply(9000 + counter, 0x00CB, content, device=device, party=party, kind=gbcs.ALERT)
    return encoder.line(at, encoder.device_alert(code, at, payload, encoder.request_id(device, party, 1)))


def future_dated(counter, **names):
    """A 6.15.1 that the Device accepted for later."""
    body = encoder.update_cells_body("Supplier", CERTIFICATES, later(days=2))
    payload = updated(counter, device=names.get("device", DEVICE), party=names.get("originator", SUPPLIER))
    return [asked(counter, "6.15.1", body, **names), answered(counter, "6.15.1", payload, **names)]


def issue(counter, content=None, **names):
    body = encoder.issue_body("Digital Signature")
    payload = reply(counter, 0x0A, content or SIGNING_REQUEST, device=names.get("device", DEVICE))
    return [asked(counter, "6.17", body, **names), answered(counter, "6.17", payload, **names)]


class Made:
    """What ingest made of lines."""

    def __init__(self, folder, lines=None, name="log.ndjson", **options):
        self.logs, self.out = folder / "logs", folder / "extracts"
        if lines is not None:
            encoder.write_log(self.logs / name, lines)
        self.told = ingest(self.logs, self.out, **options)

    def rows(self, extract="service_responses"):
        files = sorted((self.out / extract).rglob("*.parquet"))
        return pl.concat([pl.read_parquet(file, hive_partitioning=False) for file in files]).to_dicts()

    def row(self):
        (row,) = self.rows()
        return row

    def quarantine(self):
        lines = (self.out / "ingested" / "quarantine.jsonl").read_text().splitlines()
        return [tuple(json.loads(line).values()) for line in lines]

    def everything(self):
        return self.rows(), self.rows("credential_reads"), self.quarantine()


def test_a_request_and_its_reply_are_a_row(tmp_path):
    made = Made(tmp_path, issue(7))
    assert made.row() == {
        "originator_id": "90-B3-D5-1F-30-01-00-00",
        "device_id": "00-DB-12-34-56-78-90-00",
        "originator_counter": 7,
        "srv": "6.17",
        "command_variant": 5,
        "credential_type": "Digital Signature",
        "remote_party_role": None,
        "sent_at": DAY,
        "responded_at": later(minutes=1),
        "response_code": "I0",
        "execution_status": "success",
    }
    assert made.quarantine() == []
    assert made.told.quarantined == {}


def test_the_extracts_have_the_contracts_types_and_months(tmp_path):
    lines = issue(7) + issue(8, at=later(days=40))
    lines += [asked(9, "6.24.1", encoder.read_cells_body(["Supplier"]), variant=1)]
    cell = encoder.held("KeyAgreement", 1, SUPPLIER, 0x0123456789ABCDEF)
    payload = reply(500, 0x08, encoder.cells_read([encoder.role_cells(2, 0, 0, [cell])]), party=ACB)
    made = Made(tmp_path, [*lines, answered(9, "6.24.1", payload)])
    for extract in ("service_responses", "credential_reads"):
        for file in (made.out / extract).rglob("*.parquet"):
            assert pq.read_schema(file) == SCHEMAS[extract]
    months = [folder.name for folder in sorted((made.out / "service_responses").iterdir())]
    assert months == ["month=2021-08", "month=2021-09"]
    assert made.rows("credential_reads") == [
        {
            "device_id": "00-DB-12-34-56-78-90-00",
            "read_at": later(minutes=1),
            "remote_party_role": "Supplier",
            "certificate_usage": "KeyAgreementTopUp",
            "status_code": "success",
            "subject_unique_id": "90-B3-D5-1F-30-01-00-00",
            "subject_key_identifier": "01-23-45-67-89-AB-CD-EF",
        }
    ]


@pytest.mark.parametrize(
    ("srv", "content", "code", "status"),
    [
        ("6.17", b"\x02\x01\x02", 0x0A, "failure"),
        ("6.15.2", b"\x02\x01\x00", 0x0B, "success"),
        ("6.15.2", b"\x02\x01\x06", 0x0B, "failure"),
        ("6.15.1", b"", 0x0102, None),
        ("6.15.1", encoder.cells_response(), 0x0102, None),
        ("6.15.1", encoder.cells_response(outcome(7, 0, 10)), 0x0102, "partial"),
        ("6.15.1", encoder.cells_response(outcome(7, 10, 10)), 0x0102, "failure"),
        ("6.15.1", encoder.cells_response(outcome(7, 0, 0, 0)), 0x0102, "success"),
        ("4.1.1", b"\xd9\x20", 0x28, None),
    ],
)
def test_the_status_is_what_the_payload_says(tmp_path, srv, content, code, status):
    body = encoder.issue_body("Key Agreement")
    made = Made(tmp_path, [asked(7, srv, body), answered(7, srv, reply(7, code, content))])
    assert (made.row()["execution_status"], made.row()["response_code"], made.quarantine()) == (status, "I0", [])


def test_no_response_an_acknowledgement_and_a_rejection(tmp_path):
    body = encoder.issue_body("Key Agreement")
    lines = [asked(counter, "6.17", body) for counter in (1, 2, 3, 4)]
    lines += [answered(2, "6.17", code="I99"), answered(3, "6.17", code="E20", at=later(hours=1))]
    lines += [answered(4, "6.17", code="I99"), issue(4, at=later(hours=2))[1]]
    rows = {row["originator_counter"]: row for row in Made(tmp_path, lines).rows()}
    told = {
        counter: (row["response_code"], row["responded_at"], row["execution_status"]) for counter, row in rows.items()
    }
    assert told == {
        1: (None, None, None),
        2: ("I99", later(minutes=1), None),
        3: ("E20", later(hours=1), None),
        4: ("I0", later(hours=2), "success"),
    }


def test_an_alert_brings_the_outcome_of_a_future_dated_command(tmp_path):
    lines = [line for counter in (1, 2, 3, 4) for line in future_dated(counter)]
    lines += [alert(1, 0, 0), alert(2, 10, 10, code=0x8F67), alert(3, 0, 10, code=0x8F67)]
    rows = Made(tmp_path, lines).rows()
    assert [(row["originator_counter"], row["execution_status"], row["responded_at"]) for row in rows] == [
        (1, "success", later(days=2)),
        (2, "failure", later(days=2)),
        (3, "partial", later(days=2)),
        # Cancelled, or its alert is missing: the bytes are the same.
        (4, None, later(minutes=1)),
    ]


def test_an_alert_comes_as_a_response_to_the_request_too(tmp_path):
    payload = reply(90, 0xCB, encoder.cells_alert(0x8F66, later(days=2), outcome(1, 0)), kind=gbcs.ALERT)
    xml = encoder.future_dated_alert(identifier(1), 0x8F66, later(days=2), "6.15.1", payload)
    made = Made(tmp_path, [*future_dated(1), encoder.line(later(days=2), xml)])
    assert (made.row()["execution_status"], made.quarantine()) == ("success", [])


def named_alert(counter, *statuses, srv="6.15.1", of=1, party=SUPPLIER, **names):
    """The alert of the Command with this counter, as a Response to the Request `of`."""
    content = encoder.cells_alert(0x8F66, later(days=2), outcome(counter, *statuses))
    payload = reply(90, 0xCB, content, party=party, kind=gbcs.ALERT)
    xml = encoder.future_dated_alert(identifier(of, **names), 0x8F66, later(days=2), srv, payload)
    return encoder.line(later(days=2), xml)


@pytest.mark.parametrize("before", [[], ["I99"], ["E30"]])
def test_the_code_of_the_response_that_brings_the_outcome_counts(tmp_path, before):
    """Whatever was said before: no Response, an acknowledgement, or that it was late."""
    lines = [future_dated(1)[0], *(answered(1, "6.15.1", code=code) for code in before), named_alert(1, 0, 0)]
    row = Made(tmp_path, lines).row()
    names = ("response_code", "responded_at", "execution_status")
    assert [row[name] for name in names] == ["I0", later(days=2), "success"]


@pytest.mark.parametrize(("srv", "code", "party"), [("6.21", 0x0102, ACB), ("6.23", 0x0107, TRANSITIONAL)])
def test_an_alert_that_names_its_request_needs_no_earlier_response(tmp_path, srv, code, party):
    body = encoder.change_of_supplier_body(CERTIFICATES) if srv == "6.23" else encoder.handover_body("Supplier", "")
    lines = [asked(1, srv, body, variant=1), named_alert(6002, 0, 10, srv=srv, party=party)]
    made = Made(tmp_path, lines)
    row = made.row()
    assert (row["srv"], row["response_code"], row["execution_status"], made.quarantine()) == (srv, "I0", "partial", [])
    # Where the Response came, the Command's counter is known, and an alert of another is of another.
    accepted = answered(1, srv, reply(6003, code, encoder.cells_response(), party=party))
    made = Made(tmp_path / "other", [*lines, accepted])
    assert made.quarantine() == [("log.ndjson", 2, "alert_is_of_its_command")]
    assert made.row()["execution_status"] is None


def test_an_alert_that_names_another_devices_request_is_of_none(tmp_path):
    made = Made(tmp_path, [*future_dated(1), named_alert(1, 0, device=DEVICE + 1)])
    assert made.quarantine() == [("log.ndjson", 3, "payload_is_of_the_request_id")]


def test_the_dccs_counter_ties_an_alert_to_the_request_through_its_response(tmp_path):
    body = encoder.change_of_supplier_body(CERTIFICATES, later(days=2))
    accepted = reply(6002, 0x0107, encoder.cells_response(), party=TRANSITIONAL)
    lines = [asked(1, "6.23", body, variant=1), answered(1, "6.23", accepted)]
    # The User's own counter is another's here: it must not be taken for the DCC's.
    lines += future_dated(6002, originator=OTHER)
    rows = Made(tmp_path, [*lines, alert(6002, 0, party=TRANSITIONAL)]).rows()
    assert [(row["srv"], row["execution_status"]) for row in rows] == [("6.23", "success"), ("6.15.1", None)]


def test_what_a_signed_pre_command_is_for_is_in_its_bytes(tmp_path):
    command = encoder.cells_command(
        3, (3, "DigitalSigning", None), 7, 0, [(encoder.sequence(), (3, "DigitalSigning", None))], []
    )
    key = encoder.sequence(encoder.key_usage("KeyAgreement"))
    own = encoder.certificate("KeyAgreement", 5, device=DEVICE)
    lines = [
        asked(counter, srv, encoder.signed_body(reply(counter, code, content, kind=gbcs.COMMAND)))
        for counter, srv, code, content in [
            (7, "6.15.1", 0x0103, command),
            (8, "6.17", 0x0A, key),
            (9, "6.15.2", 0x0B, own),
        ]
    ]
    rows = Made(tmp_path, lines).rows()
    assert [(row["remote_party_role"], row["credential_type"]) for row in rows] == [
        ("NetworkOperator", None),
        (None, "Key Agreement"),
        (None, "Key Agreement"),
    ]


def test_a_request_for_a_pre_command_is_a_row_of_its_own(tmp_path):
    command = encoder.sequence(encoder.key_usage("DigitalSigning"))
    unsigned = reply(7, 0x0A, command, kind=gbcs.COMMAND)[:-65]
    pre = encoder.pre_command(identifier(7), later(seconds=1), "6.17", unsigned)
    lines = [
        asked(7, "6.17", encoder.issue_body("Digital Signature"), variant=4),
        encoder.line(later(seconds=1), pre),
        asked(7, "6.17", encoder.signed_body(reply(7, 0x0A, command, kind=gbcs.COMMAND)), at=later(seconds=30)),
        answered(7, "6.17", code="I99", at=later(seconds=40)),
        issue(7, at=later(minutes=5))[1],
    ]
    made = Made(tmp_path, lines)
    assert [
        (row["command_variant"], row["response_code"], row["responded_at"], row["execution_status"])
        for row in made.rows()
    ] == [(4, "I0", later(seconds=1), None), (5, "I0", later(minutes=5), "success")]
    assert {row["credential_type"] for row in made.rows()} == {"Digital Signature"}
    assert made.quarantine() == []


def test_cells_and_device_certificates_are_read(tmp_path):
    roles = [
        encoder.role_cells(
            2, 0, 5, [encoder.held("KeyAgreement", 0, SUPPLIER, 2), encoder.held("DigitalSigning", None, SUPPLIER, 1)]
        ),
        encoder.role_cells(3, 25),
    ]
    lines = [
        asked(1, "6.24.1", encoder.read_cells_body(["Supplier", "NetworkOperator"]), variant=1),
        answered(1, "6.24.1", reply(600, 0x08, encoder.cells_read(roles), party=ACB, signature=b"", mac=encoder.MAC)),
        asked(2, "6.24.2", encoder.read_key_body("Digital Signature")),
        answered(2, "6.24.2", reply(2, 0x0C, encoder.certificate("DigitalSigning", 77, device=DEVICE))),
        asked(3, "6.24.2", encoder.read_key_body("Key Agreement")),
        answered(3, "6.24.2", reply(3, 0x0C, b"\x02\x01\x02")),
    ]
    made = Made(tmp_path, lines)
    read = [tuple(row.values())[2:] for row in made.rows("credential_reads")]
    own, supplier = "00-DB-12-34-56-78-90-00", "90-B3-D5-1F-30-01-00-00"
    assert sorted(read, key=repr) == sorted(
        [
            ("Supplier", "KeyAgreement", "success", supplier, "00-00-00-00-00-00-00-02"),
            ("Supplier", "DigitalSigning", "success", supplier, "00-00-00-00-00-00-00-01"),
            ("NetworkOperator", "DigitalSigning", "trustAnchorNotFound", None, None),
            ("NetworkOperator", "KeyAgreement", "trustAnchorNotFound", None, None),
            ("Device", "DigitalSigning", "success", own, "00-00-00-00-00-00-00-4D"),
            ("Device", "KeyAgreement", "noCertificateHeld", None, None),
        ],
        key=repr,
    )
    assert [row["execution_status"] for row in made.rows()] == ["partial", "success", "failure"]


GOOD = issue(1)
LINE = GOOD[1].decode()
SIGNED = encoder.signed_body(reply(9, 0x0A, encoder.sequence(encoder.key_usage("DigitalSigning")), kind=gbcs.COMMAND))
# Lines, each alone behind a good Request and its Response, and the rule it breaks.
BAD_LINES = {
    "line_is_json": [b"{\n", b"[" * 100_000 + b"\n", b'{"at":1,"at":2,"message":""}\n', b"1" * 5000 + b"\n"],
    "line_is_utf_8": [b'{"at":"\xff"}\n', b'{"at":"2021-08-03T10:15:00Z","message":"\\ud800"}\n'],
    "line_has_at_and_message": [b"[]\n", b"7\n", b'{"at":"2021-08-03T10:15:00Z"}\n', b'{"at":1,"message":"<a/>"}\n'],
    "at_is_a_time": [GOOD[0].replace(b"2021-08-03", b"2021-08-32")],
    "line_is_not_too_long": [b'{"at":"' + b" " * (9 << 20) + b'"}\n'],
    "xml_is_well_formed": [encoder.line(DAY, "<a>")],
    "xml_has_no_dtd": [encoder.line(DAY, '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><a>&b;</a>')],
    "xml_is_duis": [encoder.line(DAY, "<a/>")],
    "request_id_is_well_formed": [GOOD[0].replace(b"90-B3", b"90-B")],
    "srv_is_known": [asked(2, "6.99", encoder.issue_body("Key Agreement"))],
    "payload_is_base64": [GOOD[1].replace(b"GBCSPayload>", b"GBCSPayload>!", 1)],
    "payload_is_der": [answered(1, "6.17", reply(1, 0x0A, b"\x30\x05\x30\x05\x02\x01\0"))],
    "message_is_whole": [answered(1, "6.17", reply(1, 0x0A, b"\x02\x01\x01")[:-1])],
    "message_code_is_known": [answered(1, "6.17", reply(1, 0x0BAD, b"\x02\x01\x01"))],
    "message_code_is_of_the_service": [
        answered(1, "6.17", reply(1, 0x0B, b"\x02\x01\0")),
        asked(9, "6.15.2", SIGNED),
    ],
    "payload_is_a_response": [answered(1, "6.17", reply(1, 0x0A, b"\x30\x04\x03\x02\x07\x80", kind=gbcs.COMMAND))],
    "payload_is_a_command": [asked(9, "6.17", encoder.signed_body(reply(9, 0x0A, b"\x02\x01\x01")))],
    "payload_is_an_alert": [encoder.line(DAY, encoder.device_alert(0x8F66, DAY, reply(1, 0x0A, b"\x02\x01\x01")))],
    # Another Device, another counter, another party, a party and counter on whose behalf it is.
    "payload_is_of_the_request_id": [
        answered(1, "6.17", reply(1, 0x0A, b"\x02\x01\x01", device=DEVICE + 1)),
        answered(1, "6.17", reply(2, 0x0A, b"\x02\x01\x01")),
        answered(1, "6.17", reply(1, 0x0A, b"\x02\x01\x01", party=OTHER)),
        answered(1, "11.2", reply(1, 0x59, b"\xda", party=ACB, supplementary=(OTHER, 1))),
        answered(1, "11.2", reply(1, 0x59, b"\xda", party=ACB, supplementary=(SUPPLIER, 2))),
        asked(9, "6.17", SIGNED, device=DEVICE + 1),
        asked(9, "6.17", SIGNED, originator=OTHER),
    ],
    "payload_is_of_the_response_id": [alert(1, 0).replace(b"00-DB-12", b"00-DB-13")],
    "alert_code_is_of_the_payload": [alert(1, 0).replace(b"8F66", b"8F67")],
    "response_has_a_request": [
        answered(2, "6.17", code="E5"),
        encoder.line(DAY, encoder.pre_command(identifier(1), DAY, "6.17", reply(1, 0x0A, b"", kind=gbcs.COMMAND))),
    ],
    "response_is_of_the_service": [answered(1, "6.15.2", code="E5")],
    "alert_has_a_request": [alert(5, 0)],
}


@pytest.mark.parametrize(("rule", "line"), [(rule, line) for rule, each in BAD_LINES.items() for line in each])
def test_a_line_that_breaks_a_rule_is_quarantined_and_no_other(tmp_path, rule, line):
    made = Made(tmp_path, [b"\n", *GOOD, line])
    assert made.quarantine() == [("log.ndjson", 4, rule)]
    assert made.told.quarantined == {rule: 1}
    assert made.row()["execution_status"] == "success"


def test_two_different_final_responses_are_both_quarantined(tmp_path):
    made = Made(tmp_path, [*GOOD, GOOD[1], issue(1, b"\x02\x01\x01")[1], answered(1, "6.17", code="I99")])
    assert made.quarantine() == [("log.ndjson", line, "request_has_one_final_response") for line in (2, 3, 4)]
    assert (made.row()["response_code"], made.row()["execution_status"]) == ("I99", None)


def test_the_same_final_response_twice_is_one_and_the_last_counts(tmp_path):
    made = Made(tmp_path, [*GOOD, GOOD[1], issue(1, at=later(hours=3))[1], GOOD[0]])
    assert (made.quarantine(), made.row()["responded_at"]) == ([], later(hours=3))


def test_two_requests_of_one_request_id_are_both_quarantined(tmp_path):
    made = Made(tmp_path, [*GOOD, asked(1, "6.17", encoder.issue_body("Key Agreement"))])
    rule = "request_id_is_of_one_request"
    assert [q for q in made.quarantine() if q[2] == rule] == [("log.ndjson", 1, rule), ("log.ndjson", 3, rule)]
    assert made.rows() == []


def test_alerts_that_disagree_or_could_be_of_two_requests_are_quarantined(tmp_path):
    lines = [*future_dated(1), alert(1, 0), alert(1, 10, code=0x8F67)]
    lines += [*future_dated(2, originator=OTHER), *future_dated(2), alert(2, 0, party=TRANSITIONAL)]
    made = Made(tmp_path, lines)
    assert made.quarantine() == [
        ("log.ndjson", 3, "alerts_agree"),
        ("log.ndjson", 4, "alerts_agree"),
        ("log.ndjson", 9, "alert_tells_one_request"),
    ]
    assert {row["execution_status"] for row in made.rows()} == {None}


def test_a_log_that_cannot_be_unpacked_is_read_as_far_as_it_can(tmp_path):
    for name in ("a.ndjson.gz", "b.ndjson.zst"):
        encoder.write_log(tmp_path / "logs" / name, [*issue(ord(name[0])), os.urandom(1 << 20).hex().encode()])
        path = tmp_path / "logs" / name
        path.write_bytes(path.read_bytes()[:-1000])
    made = Made(tmp_path)
    assert {rule for _, _, rule in made.quarantine()} == {"log_can_be_unpacked"}
    assert [name for name, _, _ in made.quarantine()] == ["a.ndjson.gz", "b.ndjson.zst"]


def some_lines(devices, seed=1):
    """Lines of many Devices, good and bad, shuffled."""
    lines = []
    for device in range(DEVICE, DEVICE + devices):
        lines += issue(1, device=device) + future_dated(2, device=device)
        lines += [alert(2, 0, device=device), answered(3, "6.17", code="E5", device=device), b"{\n"]
        cells = [encoder.role_cells(2, 0, 0, [encoder.held("DigitalSigning", None, SUPPLIER, device)])]
        lines += [
            asked(4, "6.24.1", encoder.read_cells_body(["Supplier"]), variant=1, device=device),
            answered(4, "6.24.1", reply(4, 8, encoder.cells_read(cells), party=ACB, device=device), device=device),
        ]
    random.Random(seed).shuffle(lines)
    return lines


def write_in_parts(folder, lines, parts=3):
    endings = (".ndjson", ".ndjson.gz", ".ndjson.zst")
    for part in range(parts):
        encoder.write_log(folder / f"{part}{endings[part % 3]}", lines[part::parts])


def test_any_order_any_files_and_logs_that_come_later_give_the_same(tmp_path):
    lines = some_lines(20)
    write_in_parts(tmp_path / "at_once" / "logs", lines)
    at_once = Made(tmp_path / "at_once")
    assert len(at_once.rows()) == 60
    assert {row["execution_status"] for row in at_once.rows()} == {"success"}
    assert len(at_once.rows("credential_reads")) == 20
    assert at_once.told.quarantined == {"line_is_json": 20, "response_has_a_request": 20}
    one_by_one = tmp_path / "one_by_one"
    write_in_parts(one_by_one / "all", lines)
    for number, log in enumerate(sorted((one_by_one / "all").iterdir()), 1):
        (one_by_one / "logs").mkdir(exist_ok=True)
        log.rename(one_by_one / "logs" / log.name)
        last = Made(one_by_one)
        assert (last.told.files, last.told.decoded) == (number, 1)
    assert last.everything() == at_once.everything()
    assert files_of(last.out) == files_of(at_once.out)
    # A log that was taken away stays read.
    (one_by_one / "logs" / "0.ndjson").unlink()
    assert Made(one_by_one).everything() == at_once.everything()
    single = Made(tmp_path / "single", lines[::-1])
    assert single.everything()[:2] == at_once.everything()[:2]


def files_of(out):
    return {
        str(path.relative_to(out)): path.read_bytes()
        for extract in ("service_responses", "credential_reads", "messages")
        for path in (out / extract).rglob("*.parquet")
    }


def test_a_log_read_before_is_not_read_again_even_under_another_name(tmp_path, monkeypatch):
    first = Made(tmp_path, issue(1))
    (tmp_path / "logs" / "log.ndjson").rename(tmp_path / "logs" / "moved.ndjson")
    monkeypatch.setattr("data.messages.lines.read", None)
    again = Made(tmp_path)
    assert (first.told.decoded, again.told.decoded, again.rows()) == (1, 0, first.rows())


def test_a_log_that_has_grown_is_read_anew_and_one_that_was_replaced_is_another(tmp_path):
    Made(tmp_path, [*issue(1), b"{\n"])
    grown = Made(tmp_path, [*issue(1), b"{\n", *issue(2)])
    assert (grown.told.files, len(grown.rows()), len(grown.quarantine())) == (1, 2, 1)
    replaced = Made(tmp_path, issue(3))
    assert (replaced.told.files, len(replaced.rows())) == (2, 3)


def test_many_devices_at_a_time_are_put_together_as_all_at_once(tmp_path, monkeypatch):
    lines = some_lines(30)
    whole = Made(tmp_path / "whole", lines)
    monkeypatch.setattr(join, "MESSAGES_AT_ONCE", 25)
    parts = Made(tmp_path / "parts", lines)
    assert len(files_of(parts.out)) > len(files_of(whole.out))
    key = lambda row: repr(row)  # noqa: E731
    for extract in ("service_responses", "credential_reads", "messages"):
        assert sorted(parts.rows(extract), key=key) == sorted(whole.rows(extract), key=key)
    assert parts.quarantine() == whole.quarantine()


def test_processes_give_what_one_gives(tmp_path, monkeypatch):
    lines = some_lines(20)
    here = Made(tmp_path / "here", lines)
    monkeypatch.setattr("data.messages.ingest.WORTH_PROCESSES", 1)
    monkeypatch.setattr("data.messages.logs.BLOCK_BYTES", 50_000)
    there = Made(tmp_path / "there", lines, workers=2)
    assert there.everything() == here.everything()


def test_a_changed_decoder_reads_every_log_again_and_refuses_when_one_is_gone(tmp_path, monkeypatch):
    encoder.write_log(tmp_path / "logs" / "first.ndjson", issue(1))
    first = Made(tmp_path, issue(2))
    before = files_of(first.out)
    assert (first.told.decoded, Made(tmp_path).told.decoded) == (2, 0)
    monkeypatch.setattr(decoding, "decoder", lambda: "another")
    (tmp_path / "logs" / "first.ndjson").rename(tmp_path / "away.ndjson")
    with pytest.raises(InputRefused, match=r"first\.ndjson: was read by another version of the decoder"):
        Made(tmp_path)
    assert files_of(first.out) == before
    (tmp_path / "away.ndjson").rename(tmp_path / "logs" / "again.ndjson")
    again = Made(tmp_path)
    assert (again.told.decoded, files_of(again.out), Made(tmp_path).told.decoded) == (2, before, 0)


def test_the_decoder_is_told_by_its_sources(monkeypatch):
    decoding.decoder.cache_clear()
    package = decoding.files("data")
    listed = {path.name for path in (package / "messages").iterdir() if path.suffix in (".py", ".sql")}
    # Of the rest, one is of certificates alone, and what puts together has a digest of its own.
    joins = {path.name for path in (package / "messages").glob("*.sql")} | {"join.py"}
    decoders = {name.rpartition("/")[2] for name in decoding.DECODER} - {"cells.csv"}
    assert listed == decoders | joins | {"__init__.py", "certificates.py", "ingest.py"}
    assert len({decoding._digest_of(name) for name in decoding.DECODER}) == len(decoding.DECODER)


def test_killed_in_the_middle_and_run_again_gives_the_same(tmp_path):
    lines = some_lines(60)
    write_in_parts(tmp_path / "whole" / "logs", lines, parts=6)
    whole = Made(tmp_path / "whole")
    slow = (
        "import sys, time; from pathlib import Path; from data.messages import ingest, join, lines, logs\n"
        "read = lines.read\n"
        "def slowly(block):\n    time.sleep(0.01); return read(block)\n"
        "lines.read = slowly; logs.BLOCK_BYTES = 20_000\n"
        "print(flush=True)\n"
        "ingest.ingest(Path(sys.argv[1]), Path(sys.argv[2]))\n"
    )
    folder = tmp_path / "killed"
    write_in_parts(folder / "logs", lines, parts=6)
    chance = random.Random(7)
    killed = 0
    for _ in range(times(quick=4, thorough=40)):
        command = [sys.executable, "-c", slow, folder / "logs", folder / "extracts"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            time.sleep(chance.uniform(0, 0.6))
            killed += process.poll() is None
            process.send_signal(signal.SIGKILL)
        if chance.random() < 0.3:
            # From the start at times, or all would be done after a few.
            for note in sorted((folder / "extracts" / "ingested" / "decoded").glob("*.json"))[:2]:
                note.unlink()
    assert killed
    again = Made(folder)
    assert again.everything() == whole.everything()
    assert files_of(again.out) == files_of(whole.out)


def test_the_messages_of_a_device_are_kept(tmp_path):
    other = reply(95, 0x0B, b"\x01", kind=gbcs.ALERT)
    lines = [
        *issue(1),
        answered(1, "6.17", code="I99"),
        *future_dated(2),
        alert(2, 0),
        named_alert(2, 0, of=2),
        encoder.line(DAY, encoder.device_alert(0x81A0, later(days=3), other)),
        encoder.line(DAY, encoder.dcc_alert("N44", later(days=40), DEVICE)),
        encoder.line(DAY, encoder.dcc_alert("N44", DAY, DEVICE).replace("DeviceID", "Another")),
    ]
    made = Made(tmp_path, [*lines, *issue(1, device=DEVICE + 1)])
    kept = [row for row in made.rows("messages") if row["device_id"] == encoder.eui(DEVICE)]
    minute, two_days = later(minutes=1), later(days=2)
    assert sorted((row["at"], row["kind"], row["srv"] or "", row["request_id"] or "") for row in kept) == [
        (DAY, "Request", "6.15.1", identifier(2)),
        (DAY, "Request", "6.17", identifier(1)),
        (minute, "Response", "6.15.1", identifier(2)),
        (minute, "Response", "6.17", identifier(1)),
        (minute, "Response", "6.17", identifier(1)),
        (two_days, "Device Alert", "", ""),
        (two_days, "Device Alert", "", identifier(2)),
        (later(days=3), "Device Alert", "", ""),
        (later(days=40), "DCC Alert", "", ""),
    ]
    told = {row["message"] for row in kept}
    # What holds a GBCS message is kept as that, anything else as it came.
    assert SIGNING_REQUEST.hex().upper() in "".join(told)
    assert {json.loads(line)["message"] for line in (lines[0], lines[2], lines[8])} <= told
    assert made.told.messages == 9 + 2
    assert len(list((made.out / "messages").glob("month=*"))) == 2


def test_a_message_longer_than_its_contract_takes_is_not_kept(tmp_path):
    body = encoder.issue_body("Digital Signature") + "<!--" + "-x" * 16_400 + "-->"
    made = Made(tmp_path, [asked(1, "6.17", body), *issue(2)])
    assert (made.told.service_responses, made.told.messages, made.quarantine()) == (2, 2, [])


def test_what_ingest_did_not_write_is_not_overwritten(tmp_path):
    (tmp_path / "extracts" / "service_responses").mkdir(parents=True)
    with pytest.raises(InputRefused, match="not of ingest"):
        Made(tmp_path, issue(1))
    with pytest.raises(InputRefused, match="no message log"):
        ingest(tmp_path / "extracts", tmp_path / "other")
    with pytest.raises(InputRefused, match="no such folder"):
        ingest(tmp_path / "nowhere", tmp_path / "other")


def test_extracts_below_the_logs_are_no_logs(tmp_path):
    encoder.write_log(tmp_path / "log.ndjson", issue(1))
    for _ in range(2):
        assert ingest(tmp_path, tmp_path / "extracts").files == 1


def test_logs_of_bad_lines_only_give_empty_extracts(tmp_path):
    made = Made(tmp_path, [b"{\n"])
    assert made.everything() == ([], [], [("log.ndjson", 1, "line_is_json")])


def test_a_hundred_megabytes_without_a_line_end_are_not_held(tmp_path):
    path = tmp_path / "logs" / "long.ndjson"
    path.parent.mkdir()
    with path.open("wb") as file:
        file.write(GOOD[0])
        for _ in range(100):
            file.write(b"x" * (1 << 20))
        file.write(b"\n" + GOOD[1])
    program = (
        "import resource, sys; from pathlib import Path; from data.messages.ingest import ingest\n"
        "from data.messages import lines\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "ingest(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, path.parent, tmp_path / "extracts"], capture_output=True, text=True, check=True
    )
    assert int(ran.stdout) < 90 * 1024
    made = Made(tmp_path)
    assert made.quarantine() == [("long.ndjson", 2, "line_is_not_too_long")]
    assert made.row()["execution_status"] == "success"


def test_the_command_tells_what_it_did(tmp_path):
    encoder.write_log(tmp_path / "logs" / "log.ndjson", [*issue(1), b"{\n"])
    ran = pco("ingest", "--messages", tmp_path / "logs", "--out", tmp_path / "extracts")
    assert ran.status == 0
    assert "1 new of 1 logs, 3 messages in all" in ran.out
    assert "1 rows of service_responses and 0 of credential_reads" in ran.out
    assert "with 2 messages as they came" in ran.out
    assert "quarantined: 1 lines break line_is_json" in ran.out
    refused = pco("ingest", "--messages", tmp_path / "none", "--out", tmp_path / "x")
    assert (refused.status, len(refused.problems)) == (3, 1)
