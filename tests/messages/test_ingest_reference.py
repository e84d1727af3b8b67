"""Four Devices with messages of DCC's Reference Test Data Set, all the way: logs, extracts, build, outcomes.

The set has each message of one Device and counter: here four Devices are given them, their EUI and the RequestID's
counter put in place of the set's (no signature is verified, so none is in the way).
"""

from datetime import datetime, timedelta
from pathlib import Path

import builds
import polars as pl
import pytest
from messages import encoder

from analysis import pipeline, tables
from data.history import history
from data.messages import gbcs as gbcs_decoded
from data.messages.ingest import ingest

RTDS = Path(__file__).parents[3] / "shared" / "rtds"
pytestmark = pytest.mark.skipif(not RTDS.is_dir(), reason="DCC's Reference Test Data Set is not in ../shared/rtds")
SET_DEVICES = ("00DB1234567890A0", "00DB1234567890A3")
SUPPLIER, OPERATOR, RECOVERY, ACB = 0x90B3D51F30010000, 0x90B3D51F30020000, 0x90B3D51F30040000, 0x90B3D51F30000002
DAY = datetime(2021, 8, 3, 10)
PASSED, HANDED_OVER, EMPTY, ALERTED = (0x00DB1234567890F0 + number for number in range(4))


def gbcs(name, device, counter=None, code=None):
    """The set's message with this Device; with this counter and message code where they are given."""
    text = (RTDS / "gbcs" / f"{name}_GBCS.HEX").read_text().strip()
    for each in SET_DEVICES:
        text = text.replace(each, f"{device:016X}")
    octets = bytearray.fromhex(text)
    start = octets.index(b"\xdf\x09") + 3
    if counter is not None:
        octets[start : start + 8] = counter.to_bytes(8)
    if code is not None:
        at = octets.index(b"\xff\x02\x01\x02") + 2
        octets[at : at + 2] = code.to_bytes(2)
    return bytes(octets)


def request(name, device, counter, at, *changes):
    """The set's Request as one that was sent to the Device."""
    xml = (RTDS / "requests" / f"{name}_REQUEST_DUIS.XML").read_text()
    for old, new in changes:
        assert old in xml
        xml = xml.replace(old, new)
    before = xml.partition("<sr:RequestID>")[2].partition("</sr:RequestID>")[0]
    after = f"{before[:23]}:{encoder.eui(device)}:{counter}"
    xml = xml.replace(before, after).replace("CommandVariant>4", "CommandVariant>5")
    return encoder.line(at, xml), after


class Story:
    """A Device's messages, a minute apart."""

    def __init__(self, device):
        self.device, self.at, self.counter, self.lines = device, DAY, 5000, []

    def ask(self, name, srv, reply, *changes, counter=None, with_counter=True, **options):
        self.counter += 1
        counter = counter or self.counter
        self.at += timedelta(minutes=1)
        line, identifier = request(name, self.device, counter, self.at, *changes)
        payload = gbcs(reply, self.device, counter if with_counter else None, **options)
        self.at += timedelta(seconds=30)
        self.lines += [line, encoder.line(self.at, encoder.response(identifier, "I0", self.at, srv, payload))]

    def keys(self):
        ds, ka = "Digital Signature", "Key Agreement"
        for credential_type in (ds, ka):
            self.ask("CS02c_6.17_SUCCESS", "6.17", "CS02c_6.17_SUCCESS_RESPONSE", (ds, credential_type))
        for usage in ("DigitalSigning", "KeyAgreement"):
            own = encoder.b64(encoder.certificate(usage, 99, device=self.device))
            xml = (RTDS / "requests" / "CS02d_6.15.2_SUCCESS_REQUEST_DUIS.XML").read_text()
            set_own = xml.partition("<sr:DeviceCertificate>")[2].partition("<")[0]
            self.ask("CS02d_6.15.2_SUCCESS", "6.15.2", "CS02d_6.15.2_SUCCESS_RESPONSE", (set_own, own))
        return self

    def read(self):
        self.ask("CS02aMAC_6.24.1_SUCCESS", "6.24.1", "CS02aMAC_6.24.1_SUCCESS_RESPONSE", with_counter=False)
        self.ask("CS02e_6.24.2_SUCCESS", "6.24.2", "CS02e_6.24.2_SUCCESS_RESPONSE")
        # The set's read asks for no Recovery cell.
        self.at += timedelta(minutes=1)
        identifier = encoder.request_id(SUPPLIER, self.device, 6000)
        cell = encoder.role_cells(1, 0, 0, [encoder.held("DigitalSigning", None, RECOVERY, 0xAA)])
        reply = encoder.message(2, 77, self.device, ACB, 8, encoder.cells_read([cell]), b"", encoder.MAC)
        asked = encoder.request(identifier, "6.24.1", 1, encoder.read_cells_body(["Recovery"]))
        answer = encoder.response(identifier, "I0", self.at, "6.24.1", reply)
        self.lines += [encoder.line(self.at, asked), encoder.line(self.at, answer)]
        return self

    def accept_for_later(self):
        """The operator's cells, in the words of the set's future-dated Response: accepted, and no more."""
        name = "CS02bSupplierBySupplier_6.15.1_FUTURE_DATED_SUCCESS_RESPONSE"
        changes = [("90-B3-D5-1F-30-02-00-00", "90-B3-D5-1F-30-01-00-00")]
        self.ask("CS02bNOByNO_6.15.1_SUCCESS", "6.15.1", name, *changes, counter=1001, code=0x0103)
        return self

    def alert(self):
        self.at += timedelta(hours=1)
        payload = gbcs("CS02bSupplierBySupplier_6.15.1_8F66_FUTURE_DATED_SUCCESS_ALERT", self.device)
        self.lines.append(encoder.line(self.at, encoder.device_alert(0x8F66, self.at, payload)))
        return self


def stories():
    passed, handed_over = Story(PASSED).keys(), Story(HANDED_OVER).keys()
    passed.ask("CS02bNOByNO_6.15.1_SUCCESS", "6.15.1", "CS02bNOByNO_6.15.1_SUCCESS_RESPONSE")
    name = "CS02bNOByNOHandover_6.21_SUCCESS"
    handed_over.ask(name, "6.21", f"{name}_RESPONSE", with_counter=False)
    empty, alerted = Story(EMPTY).keys().accept_for_later(), Story(ALERTED).keys().accept_for_later().alert()
    return [story.read() for story in (passed, handed_over, empty, alerted)]


def other_extracts(extracts):
    """What is no message, as small as the contract lets it be."""
    devices = [encoder.eui(story) for story in (PASSED, HANDED_OVER, EMPTY, ALERTED)]
    # Key identifiers as they stand in the set's messages.
    cells = [
        (SUPPLIER, "Supplier", "DigitalSigning", 0x44899792D196F4B8),
        (SUPPLIER, "Supplier", "KeyAgreement", 0x405B8C62687D8F70),
        (OPERATOR, "NetworkOperator", "DigitalSigning", 0x48CF97FA9F827FB5),
        (OPERATOR, "NetworkOperator", "KeyAgreement", 0x4BC9D38D1CB49F2A),
        (RECOVERY, "Recovery", "DigitalSigning", 0xAA),
    ]
    own = [(int(each.replace("-", ""), 16), "Device", "DigitalSigning", 0x41978BA90C066FFA) for each in devices]
    rows = {
        "devices": [
            builds.device(
                device_id=each, commissioned_at=DAY, responsible_supplier_id="S-ONE", network_operator_id="N-ONE"
            )
            for each in devices
        ],
        "dsp_checks": [
            {"device_id": each, "check": check, "checked_at": DAY, "passed": True}
            for each in devices
            for check in ("communicating", "recovery_cell")
        ],
        "registrations": [
            {"device_id": each, "supplier_id": "S-ONE", "effective_from": DAY.date(), "effective_to": None}
            for each in devices
        ],
        "certificates": [
            {
                "subject_unique_id": encoder.eui(subject),
                "remote_party_role": role,
                "certificate_usage": usage,
                "subject_key_identifier": encoder.eui(key),
                "status": "InUse",
            }
            for subject, role, usage, key in [*cells, *own]
        ],
        "parties": [
            builds.party(encoder.eui(subject), party_id, role)
            for subject, party_id, role in [
                (SUPPLIER, "S-ONE", "Supplier"),
                (OPERATOR, "N-ONE", "NetworkOperator"),
                (RECOVERY, "DCC", "Recovery"),
            ]
        ],
    }
    for extract, each in rows.items():
        builds.write(builds.table_of(extract, each), extracts / extract / "part-0.parquet")


def test_four_devices_of_the_set_go_the_whole_way(tmp_path):
    told = stories()
    lines = [line for story in told for line in story.lines]
    # The first answers of the last: in two logs, and backwards.
    encoder.write_log(tmp_path / "logs" / "b.ndjson.zst", lines[1::2][::-1])
    encoder.write_log(tmp_path / "logs" / "a.ndjson.gz", lines[::2])
    made = ingest(tmp_path / "logs", tmp_path / "extracts")
    assert made.quarantined == {}
    # Five Requests of each Device, and three that read it.
    assert (made.lines, made.service_responses, made.credential_reads) == (4 * 16 + 1, 4 * 8, 4 * 7)
    other_extracts(tmp_path / "extracts")
    as_at = DAY + timedelta(days=30)
    snapshot = pipeline.build(tmp_path / "extracts", tmp_path / "marts", pipeline.Parameters(as_at, 7, 0))
    assert snapshot.manifest["ignored_in_extracts"] == ["ingested"]
    tables.export(snapshot, "outcomes", tmp_path / "outcomes.parquet", ())
    outcomes = {row["device_id"]: row for row in pl.read_parquet(tmp_path / "outcomes.parquet").to_dicts()}
    names = ("reported", "unmet_checks", "actual", "device_keys", "finding", "cause")
    found = {device: tuple(row[name] for name in names) for device, row in outcomes.items()}
    unmet = ["update_network_operator"]
    handover, empty = "dcc_credential_handover", "empty_status"
    assert found == {
        encoder.eui(PASSED): ("passed", [], "secure", "not_read", "confirmed_pass", None),
        encoder.eui(HANDED_OVER): ("failed", unmet, "secure", "not_read", "over_reported", handover),
        encoder.eui(EMPTY): ("failed", unmet, "secure", "not_read", "over_reported", empty),
        encoder.eui(ALERTED): ("passed", [], "secure", "not_read", "confirmed_pass", None),
    }
    # Beside its events each Device has its own messages, in the order of their times, those of another in none.
    for number, story in enumerate(told):
        kept = history(snapshot, PASSED + number).messages
        assert kept.height == len(story.lines) == made.messages // 4 + (number == 3)
        assert kept["at"].is_sorted()
        assert {row["kind"] for row in kept.to_dicts()} == {"Request", "Response", *(["Device Alert"] * (number == 3))}
        payloads = [bytes.fromhex(row) for row in kept["message"] if not row.startswith("<")]
        assert {gbcs_decoded.decode(payload).originator for payload in payloads} == {story.device}
    alert_at = told[3].at - timedelta(minutes=4)
    assert outcomes[encoder.eui(ALERTED)]["reported_passed_at"] == alert_at
