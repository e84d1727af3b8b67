"""Random logs through `ingest` to the extracts, row for row as the plain values say that they must be."""

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from messages import encoder
from messages.encoder import ALERT, COMMAND, RESPONSE, eui
from thorough import times

from data.messages.ingest import ingest

DEVICES = [0x00DB1234567890A0, 0x00DB1234567890A1, 0xFFDB1234567890FF]
USERS = [0x90B3D51F30010000, 0x90B3D51F30020000]
ACB, TRANSITIONAL = 0x90B3D51F30000002, 0x90B3D51F30000005
START = datetime(2021, 1, 30, 22, 0)
REPLACING = ("6.15.1", "6.21", "6.23")
CRITICAL = ("6.15.1", "6.15.2", "6.17", "6.24.2")
SRVS = (*REPLACING, "6.15.2", "6.17", "6.24.1", "6.24.2")
USAGE = {"Digital Signature": "DigitalSigning", "Key Agreement": "KeyAgreement"}
ROLES = {"Supplier": 2, "NetworkOperator": 3, "Recovery": 1, "ACB": 4, "TransCoS": 5, "Root": 0, "LoadController": 8}
# The cells that must be right on some type of Device: a role that could not be read gives a row for each of its own.
REQUIRED = {
    "Supplier": ["DigitalSigning", "KeyAgreement"],
    "NetworkOperator": ["DigitalSigning", "KeyAgreement"],
    "Recovery": ["DigitalSigning"],
    "ACB": ["DigitalSigning", "KeyAgreement"],
}
STATUS = {
    0: "success",
    5: "badCertificate",
    10: "noTrustAnchor",
    17: "insufficientMemory",
    25: "trustAnchorNotFound",
    30: "resourcesBusy",
    127: "other",
}
NOT_READ = {1: "invalidKeyUsage", 2: "noCertificateHeld", 3: "certificateRetrievalFailure"}
CERTIFICATES = {
    (device, usage): encoder.certificate(usage, 1000 + device % 7, device=device)
    for device in DEVICES
    for usage in USAGE.values()
}
PARTY = encoder.certificate("DigitalSigning", 3, party=USERS[0])
REQUEST_FOR_CERTIFICATE = encoder.signing_request()


@dataclass
class Event:
    """One Request and all that comes of it; `way` says how it came to an end."""

    device: int
    user: int
    counter: int
    srv: str
    credential_type: str
    role: str
    at: datetime
    transformed: bool
    way: str
    statuses: list[int]
    number: int
    roles: list[tuple]
    dcc_counter: int
    alert_as_response: bool
    copies: int
    wait: timedelta = field(default=timedelta(minutes=3))

    @property
    def identifier(self):
        return encoder.request_id(self.user, self.device, self.counter)

    @property
    def is_critical(self):
        return self.srv in CRITICAL

    @property
    def usage(self):
        return USAGE[self.credential_type]

    # --- who sends the Command, and with which counter: some the User, some the DCC --------------------------

    @property
    def sender(self):
        party = {"6.21": ACB, "6.23": TRANSITIONAL, "6.24.1": ACB}.get(self.srv)
        return (self.user, self.counter) if party is None else (party, self.dcc_counter)

    @property
    def code(self):
        codes = {"6.15.2": 0x000B, "6.17": 0x000A, "6.24.1": 0x0008, "6.24.2": 0x000C}
        return codes.get(self.srv, 0x0102 if self.role == "Supplier" else 0x0103)

    # --- what is sent ----------------------------------------------------------------------------------------

    def body(self):
        certificates = encoder.replacement(PARTY, PARTY)
        return {
            "6.15.1": lambda: encoder.update_cells_body(self.role, certificates),
            "6.21": lambda: encoder.handover_body(self.role, certificates),
            "6.23": lambda: encoder.change_of_supplier_body(certificates),
            "6.15.2": lambda: encoder.update_key_body(CERTIFICATES[self.device, self.usage]),
            "6.17": lambda: encoder.issue_body(self.credential_type),
            "6.24.1": lambda: encoder.read_cells_body([role for role, *_ in self.roles]),
            "6.24.2": lambda: encoder.read_key_body(self.credential_type),
        }[self.srv]()

    def command(self):
        cell = (ROLES[self.role], "DigitalSigning", None)
        content = {
            "6.15.1": lambda: encoder.cells_command(2, cell, self.counter, 0, [(PARTY, cell)], [PARTY]),
            "6.15.2": lambda: CERTIFICATES[self.device, self.usage],
            "6.17": lambda: encoder.sequence(encoder.key_usage(self.usage)),
            "6.24.2": lambda: encoder.sequence(encoder.key_usage(self.usage)),
        }[self.srv]()
        return encoder.message(COMMAND, self.counter, self.user, self.device, self.code, content, mac=encoder.MAC)

    def outcome(self):
        _, counter = self.sender
        cells = [
            encoder.replaced((ROLES[self.role], "DigitalSigning", place % 2 or None), one, (1, 2), (3, 4))
            for place, one in enumerate(self.statuses)
        ]
        return encoder.outcome(counter, 2, [], cells)

    def content(self):
        if self.way == "empty":
            return b""
        if self.srv in REPLACING:
            return encoder.cells_response(self.outcome() if self.way == "executed" else None)
        if self.srv == "6.24.1":
            return encoder.cells_read([self.role_cells(*one) for one in self.roles])
        if self.number or self.srv == "6.15.2":
            return encoder.integer(self.number)
        return REQUEST_FOR_CERTIFICATE if self.srv == "6.17" else CERTIFICATES[self.device, self.usage]

    def role_cells(self, role, failed, cells):
        if failed:
            return encoder.role_cells(ROLES[role], failed)
        return encoder.role_cells(ROLES[role], 0, 9, [encoder.held(*one) for one in cells])

    def reply(self):
        party, counter = self.sender
        return encoder.message(RESPONSE, counter, self.device, party, self.code, self.content())

    @property
    def has_alert(self):
        return self.srv in REPLACING and (
            self.way == "accepted, then alert"
            # Without the Response the DCC's counter is not known: only an alert that names its Request finds it.
            or (self.way in ("alert only", "late") and (self.srv == "6.15.1" or self.alert_as_response))
        )

    def messages(self):
        """(time in the log, XML) of each message."""
        answered_at, made = self.at + self.wait, []
        if self.is_critical and self.transformed:
            before = self.at - timedelta(seconds=30)
            made.append((before, encoder.request(self.identifier, self.srv, 4, self.body())))
            xml = encoder.pre_command(self.identifier, before + timedelta(seconds=9), self.srv, self.command())
            made.append((before + timedelta(seconds=9), xml))
        signed = self.is_critical and (self.transformed or self.counter % 2)
        body = encoder.signed_body(self.command()) if signed else self.body()
        made.append((self.at, encoder.request(self.identifier, self.srv, self.variant, body)))
        if self.acknowledged:
            at = self.at + timedelta(seconds=1)
            made.append((at, encoder.response(self.identifier, "I99", at, self.srv)))
        if self.replied:
            xml = encoder.response(self.identifier, "I0", answered_at, self.srv, self.reply())
            made.append((answered_at, xml))
        if self.way in ("E20", "E21", "E30", "E4", "I0"):
            made.append((answered_at, encoder.response(self.identifier, self.way, answered_at, self.srv)))
        if self.has_alert:
            made.append((self.alerted_at, self.alert()))
        return made

    def alert(self):
        party, _ = self.sender
        code = 0x8F66 if not any(self.statuses) else 0x8F67
        content = encoder.cells_alert(code, self.alerted_at, self.outcome())
        payload = encoder.message(ALERT, 77, self.device, party, 0x00CB, content)
        if self.alert_as_response:
            return encoder.future_dated_alert(self.identifier, code, self.alerted_at, self.srv, payload)
        return encoder.device_alert(code, self.alerted_at, payload)

    @property
    def variant(self):
        return 5 if self.is_critical else 1

    @property
    def acknowledged(self):
        return self.way in ("I99", "late", "acknowledged, then done")

    @property
    def replied(self):
        return self.way in ("executed", "accepted", "accepted, then alert", "empty", "acknowledged, then done")

    @property
    def alerted_at(self):
        return self.at + timedelta(days=2)

    # --- what must come of it --------------------------------------------------------------------------------

    def rows(self):
        made = []
        if self.is_critical and self.transformed:
            before = self.at - timedelta(seconds=30)
            made.append(self.row(4, before, before + timedelta(seconds=9), "I0", None))
        code, responded_at, status = None, None, None
        if self.acknowledged:
            code, responded_at = "I99", self.at + timedelta(seconds=1)
        if self.replied:
            code, responded_at, status = "I0", self.at + self.wait, self.status()
        if self.way in ("E20", "E21", "E30", "E4", "I0"):
            code, responded_at = self.way, self.at + self.wait
        if self.has_alert:
            # The message that brings the outcome has a ResponseCode of its own.
            code, responded_at, status = "I0", self.alerted_at, of_all(self.statuses)
        made.append(self.row(self.variant, self.at, responded_at, code, status))
        return made

    def row(self, variant, sent_at, responded_at, code, status):
        has_role = self.srv in ("6.15.1", "6.21")
        only = self.roles[0][0] if self.srv == "6.24.1" and len(self.roles) == 1 else None
        return {
            "originator_id": eui(self.user),
            "device_id": eui(self.device),
            "originator_counter": self.counter,
            "srv": self.srv,
            "command_variant": variant,
            "credential_type": self.credential_type if self.srv in ("6.17", "6.15.2", "6.24.2") else None,
            "remote_party_role": self.role if has_role else only,
            "sent_at": sent_at,
            "responded_at": responded_at,
            "response_code": code,
            "execution_status": status,
        }

    def status(self):
        if self.way == "empty":
            return None
        if self.srv in REPLACING:
            return of_all(self.statuses) if self.way == "executed" else None
        if self.srv == "6.24.1":
            return of_all([failed for _, failed, _ in self.roles])
        return "failure" if self.number else "success"

    def reads(self):
        if not self.replied or self.way == "empty" or self.srv not in ("6.24.1", "6.24.2"):
            return []
        at = self.at + self.wait
        if self.srv == "6.24.2":
            if self.number:
                return [self.read(at, "Device", self.usage, NOT_READ[self.number], None, None)]
            return [self.read(at, "Device", self.usage, "success", self.device, 1000 + self.device % 7)]
        found = []
        for role, failed, cells in self.roles:
            if failed:
                found += [self.read(at, role, usage, STATUS[failed], None, None) for usage in REQUIRED.get(role, [])]
            for usage, cell_usage, subject, key in [] if failed else cells:
                name = "KeyAgreementTopUp" if (usage, cell_usage) == ("KeyAgreement", 1) else usage
                found.append(self.read(at, role, name, "success", subject, key))
        return found

    def read(self, at, role, usage, status, subject, key):
        return {
            "device_id": eui(self.device),
            "read_at": at,
            "remote_party_role": role,
            "certificate_usage": usage,
            "status_code": status,
            "subject_unique_id": None if subject is None else eui(subject),
            "subject_key_identifier": None if key is None else eui(key),
        }


def of_all(codes):
    return "success" if not any(codes) else "failure" if all(codes) else "partial"


u64 = st.integers(0, 2**64 - 1)
failures = st.sampled_from([5, 10, 17, 25, 30, 127])
held = st.tuples(st.sampled_from(["DigitalSigning", "KeyAgreement"]), st.sampled_from([None, 0, 1]), u64, u64)
role_reads = st.one_of(
    st.tuples(st.sampled_from(sorted(ROLES)), st.just(0), st.lists(held, min_size=1, max_size=4)),
    st.tuples(st.sampled_from(sorted(ROLES)), failures, st.just([])),
)
ANY_WAY = ["none", "I99", "E20", "E21", "E30", "E4", "I0", "empty", "executed", "acknowledged, then done"]
LATER = ["accepted", "accepted, then alert", "alert only", "late"]
WAYS = {srv: [*ANY_WAY, *(LATER if srv in REPLACING else [])] for srv in SRVS}


@st.composite
def worlds(draw):
    """Events whose RequestIDs, and whose Commands' counters, are of one Request each."""
    events = []
    for _ in range(draw(st.sampled_from([1, 5, 30, 30]))):
        srv = draw(st.sampled_from(SRVS))
        most = {"6.15.2": 7, "6.17": 3, "6.24.2": 3}.get(srv, 0)
        event = Event(
            device=draw(st.sampled_from(DEVICES)),
            user=draw(st.sampled_from(USERS)),
            counter=draw(st.integers(1, 12) | st.just(2**63 - 1)),
            srv=srv,
            credential_type=draw(st.sampled_from(sorted(USAGE))),
            role=draw(st.sampled_from(["Supplier", "NetworkOperator"])),
            at=START + timedelta(minutes=draw(st.integers(0, 60 * 24 * 40))),
            transformed=draw(st.booleans()),
            way=draw(st.sampled_from(WAYS[srv])),
            statuses=draw(st.lists(st.just(0) | failures, min_size=1, max_size=4)),
            number=draw(st.integers(0, most)) if most else 0,
            roles=draw(st.lists(role_reads, min_size=1, max_size=4)),
            dcc_counter=draw(st.integers(1, 12)),
            alert_as_response=draw(st.booleans()),
            copies=draw(st.sampled_from([1, 1, 1, 2])),
        )
        if event.way == "acknowledged, then done" and event.srv in REPLACING:
            event.way = "I99"
        taken = {(e.device, e.user, e.counter) for e in events}
        sent = {(e.device, *e.sender) for e in events}
        if (event.device, event.user, event.counter) not in taken and (event.device, *event.sender) not in sent:
            events.append(event)
    return events


def as_counts(rows):
    return Counter(tuple(sorted(row.items(), key=lambda item: item[0])) for row in rows)


def extract(out, name):
    files = sorted((out / name).rglob("*.parquet"))
    table = pl.concat([pl.read_parquet(file, hive_partitioning=False) for file in files])
    month = {"service_responses": "sent_at", "credential_reads": "read_at"}[name]
    for file in files:
        months = pl.read_parquet(file, hive_partitioning=False)[month].dt.strftime("%Y-%m").unique().to_list()
        assert months in ([], [file.parent.name.removeprefix("month=")])
    return table


# A failure is not made smaller for minutes: each try is a run of `ingest`.
@settings(
    max_examples=times(5, 200),
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(worlds(), st.randoms(use_true_random=False), st.integers(1, 3))
def test_logs_become_the_rows_that_the_plain_values_say(events, dice, logs):
    lines = [encoder.line(*one) for event in events for one in event.messages() for _ in range(event.copies)]
    noise = [encoder.line(START, encoder.dcc_alert("N44", START, DEVICES[0])), b"\n", b"{}\n", b"not json\n"]
    lines += noise
    dice.shuffle(lines)
    with TemporaryDirectory() as folder:
        home = Path(folder)
        endings = ["ndjson", "ndjson.gz", "ndjson.zst"]
        for place in range(logs):
            encoder.write_log(home / "in" / f"{place}.{endings[place]}", lines[place::logs])
        told = ingest(home / "in", home / "out", workers=1)
        responses, reads = (extract(home / "out", name) for name in ("service_responses", "credential_reads"))
    assert as_counts(responses.to_dicts()) == as_counts(row for event in events for row in event.rows())
    expected_reads = as_counts(row for event in events for row in event.reads())
    # What two Responses say alike of one cell at one instant is one row.
    assert as_counts(reads.to_dicts()) == Counter(dict.fromkeys(expected_reads, 1))
    assert told.quarantined == {"line_has_at_and_message": 1, "line_is_json": 1}
    assert (told.service_responses, told.credential_reads) == (responses.height, reads.height)


def event(**changes):
    usual = {
        "device": DEVICES[0],
        "user": USERS[0],
        "counter": 1000,
        "srv": "6.15.1",
        "credential_type": "Digital Signature",
        "role": "Supplier",
        "at": START,
        "transformed": False,
        "way": "executed",
        "statuses": [0, 0],
        "number": 0,
        "roles": [("Supplier", 0, [("DigitalSigning", None, 1, 2)])],
        "dcc_counter": 7,
        "alert_as_response": False,
        "copies": 1,
    }
    return Event(**usual | changes)


def ingested(tmp_path, *lines_of_logs):
    """(responses, reads, quarantined by rule) of logs, each a list of lines."""
    for place, lines in enumerate(lines_of_logs):
        encoder.write_log(tmp_path / "in" / f"{place}.ndjson", lines)
    told = ingest(tmp_path / "in", tmp_path / "out", workers=1)
    return extract(tmp_path / "out", "service_responses"), extract(tmp_path / "out", "credential_reads"), told


def lines_of(*events):
    return [encoder.line(*one) for event in events for one in event.messages()]


def test_an_alert_finds_the_one_of_two_parties_that_it_is_for(tmp_path):
    """The User's counter and the DCC's are the same: only whom the alert is for tells them apart."""
    mine = event(way="accepted, then alert", statuses=[0, 10])
    dccs = event(srv="6.21", counter=2000, dcc_counter=1000, way="accepted, then alert", statuses=[0])
    responses, _, told = ingested(tmp_path, lines_of(mine, dccs))
    assert as_counts(responses.to_dicts()) == as_counts(mine.rows() + dccs.rows())
    assert set(responses["execution_status"]) == {"partial", "success"}
    assert told.quarantined == {}


def test_an_alert_of_another_device_brings_nothing(tmp_path):
    mine = event(way="accepted")
    other = event(device=DEVICES[1], way="alert only")
    alert = [line for line in lines_of(other) if b"8F66" in line]
    assert len(alert) == 1
    responses, _, told = ingested(tmp_path, lines_of(mine) + alert)
    assert responses.to_dicts() == mine.rows()
    assert responses["execution_status"].to_list() == [None]
    assert sum(told.quarantined.values()) == 1


def test_a_response_to_the_wrong_request_and_two_different_ones_are_quarantined(tmp_path):
    lost = event(counter=1, way="executed")
    twice = event(counter=2, way="executed", statuses=[0])
    again = event(counter=2, way="executed", statuses=[10], wait=timedelta(minutes=9))
    whole = event(counter=3)
    lines = lines_of(lost)[1:] + lines_of(twice) + lines_of(again)[1:] + lines_of(whole)
    responses, _, told = ingested(tmp_path, lines)
    rows = {row["originator_counter"]: row for row in responses.to_dicts()}
    assert set(rows) == {2, 3}
    # Which of the two is right nobody can tell: it is as if there were none.
    assert (rows[2]["response_code"], rows[2]["execution_status"]) == (None, None)
    assert rows[3] == whole.rows()[0]
    assert sum(told.quarantined.values()) == 3


def test_a_log_that_comes_later_gives_what_one_run_over_both_would(tmp_path):
    ways = ["executed", "accepted, then alert", "none", "late"]
    events = [event(counter=n, way=way) for n, way in enumerate(ways, 1)]
    lines = lines_of(*events)
    random.Random(1).shuffle(lines)
    half = len(lines) // 2
    once, _, _ = ingested(tmp_path / "once", lines)
    encoder.write_log(tmp_path / "twice" / "in" / "a.ndjson", lines[:half])
    ingest(tmp_path / "twice" / "in", tmp_path / "twice" / "out", workers=1)
    encoder.write_log(tmp_path / "twice" / "in" / "b.ndjson.gz", lines[half:])
    told = ingest(tmp_path / "twice" / "in", tmp_path / "twice" / "out", workers=1)
    assert told.decoded == 1
    later = extract(tmp_path / "twice" / "out", "service_responses")
    assert as_counts(later.to_dicts()) == as_counts(once.to_dicts()) == as_counts(r for e in events for r in e.rows())
