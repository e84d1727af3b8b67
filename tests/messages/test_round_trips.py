"""What the encoder makes, the decoder gives back: single messages, and whole logs to the rows of the extracts."""

from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from messages import encoder
from thorough import times

from data.messages import duis, gbcs, status

RTDS = Path(__file__).resolve().parents[3] / "shared" / "rtds"
needs_rtds = pytest.mark.skipif(not RTDS.is_dir(), reason="the Reference Test Data Set is not in ../shared/rtds")

# --- the encoder against the Reference Test Data Set ----------------------------------------------------------

METER, HUB = 0x00DB1234567890A0, 0x00DB1234567890A3
SUPPLIER, OPERATOR, ACB, CONTROLLER = 0x90B3D51F30010000, 0x90B3D51F30020000, 0x90B3D51F30000002, 0x90B3D51F30010008
SIGNING, AGREEMENT = "DigitalSigning", "KeyAgreement"
SUPPLIER_CELLS = [(2, SIGNING, None), (2, AGREEMENT, None), (2, AGREEMENT, 1)]
OPERATOR_CELLS = [(3, SIGNING, None), (3, AGREEMENT, None)]
SUPPLIER_OLD = [0x44899792D196F4B8, 0x405B8C62687D8F70, 0x41FB49221588C570]
SUPPLIER_NEW = [0x43046B4FB7C4F11B, 0x429667C1B8BB1E34, 0x4EB07A1BCA0DD58C]
OPERATOR_OLD, OPERATOR_NEW = [0x48CF97FA9F827FB5, 0x4BC9D38D1CB49F2A], [0x4238D306B6F725A2, 0x483E0AD640C236C5]
ACB_OLD = [0x42693535D3DDE101, 0x4A9CE02C39AB910B]
EXECUTED_AT = datetime(2030, 1, 15)


def rtds(name):
    return bytes.fromhex((RTDS / "gbcs" / f"{name}_GBCS.HEX").read_text().strip())


def all_replaced(cells, owner_before, before, owner, after):
    pairs = zip(cells, before, after, strict=True)
    return [encoder.replaced(of, 0, (owner_before, old), (owner, new)) for of, old, new in pairs]


def supplier_outcome(counter):
    cells = all_replaced(SUPPLIER_CELLS, SUPPLIER, SUPPLIER_OLD, SUPPLIER, SUPPLIER_NEW)
    return encoder.outcome(counter, encoder.SUPPLIER_BY_SUPPLIER, [encoder.counter_change(2, 0, 0)], cells)


def operator_outcome(counter, owner_before, before, after):
    cells = all_replaced(OPERATOR_CELLS, owner_before, before, OPERATOR, after)
    return encoder.outcome(counter, encoder.OPERATOR_BY_OPERATOR, [encoder.counter_change(3, 0)], cells)


def read_of(first, second):
    """Content of 6.24.1 for two roles: (role, counter, owner, [(usage, cell usage, key)])."""
    return encoder.cells_read(
        [
            encoder.role_cells(role, 0, counter, [encoder.held(usage, use, owner, key) for usage, use, key in cells])
            for role, counter, owner, cells in (first, second)
        ]
    )


def certificates_in(content):
    """Certificates as DER has them: SEQUENCE of a two-octet length, in it another, version 3 in [0]."""
    found, place = [], -1
    while (place := content.find(b"\xa0\x03\x02\x01\x02\x02", place + 1)) >= 0:
        size = int.from_bytes(content[place - 6 : place - 4], "big") + 4
        found.append(content[place - 8 : place - 8 + size])
    return found


def command(mode, party, cells, counter, content, **more):
    *new, authority = certificates_in(content)
    pairs = list(zip(new, cells, strict=True))
    return encoder.cells_command(mode, (cells[0][0], SIGNING, None), counter, 0, pairs, [authority], **more)


SUPPLIER_HELD = (
    2,
    0,
    SUPPLIER,
    [(SIGNING, None, SUPPLIER_OLD[0]), (AGREEMENT, None, SUPPLIER_OLD[1]), (AGREEMENT, 1, SUPPLIER_OLD[2])],
)
FROM_METER = (encoder.RESPONSE, 1000, METER, SUPPLIER)
SET = {
    "CS02aMAC_6.24.1_SUCCESS_RESPONSE": lambda content: (
        (encoder.RESPONSE, 1302, METER, ACB, 0x0008),
        read_of(
            SUPPLIER_HELD,
            (3, 1, OPERATOR, [(SIGNING, None, OPERATOR_OLD[0]), (AGREEMENT, None, OPERATOR_OLD[1])]),
        ),
        {},
    ),
    "CS02fMAC_6.24.1_SUCCESS_RESPONSE": lambda content: (
        (encoder.RESPONSE, 1302, METER, ACB, 0x011B),
        read_of(
            SUPPLIER_HELD,
            (8, 1, CONTROLLER, [(SIGNING, None, 0x4694FE8205DC1ACD), (AGREEMENT, None, 0x4C42629AFA881F7A)]),
        ),
        {},
    ),
    "CS02bNOByNOHandover_6.21_SUCCESS_RESPONSE": lambda content: (
        (encoder.RESPONSE, 1301, HUB, ACB, 0x0103),
        encoder.cells_response(operator_outcome(1301, ACB, ACB_OLD, OPERATOR_OLD)),
        {"date_time": encoder.DATE_TIME},
    ),
    "CS02bNOByNO_6.15.1_SUCCESS_RESPONSE": lambda content: (
        (encoder.RESPONSE, 1200, METER, OPERATOR, 0x0103),
        encoder.cells_response(operator_outcome(1200, OPERATOR, OPERATOR_OLD, OPERATOR_NEW)),
        {"date_time": encoder.DATE_TIME},
    ),
    "CS02bNOByNO_6.15.1_SUCCESS_COMMAND": lambda content: (
        (encoder.COMMAND, 1200, OPERATOR, METER, 0x0103),
        command(encoder.OPERATOR_BY_OPERATOR, OPERATOR, OPERATOR_CELLS, 1200, content),
        {},
    ),
    "CS02bSupplierBySupplier_6.15.1_8F66_FUTURE_DATED_SUCCESS_ALERT": lambda content: (
        (encoder.ALERT, 2000, METER, SUPPLIER, 0x00CB),
        encoder.cells_alert(0x8F66, EXECUTED_AT, supplier_outcome(1001)),
        {},
    ),
    "CS02bSupplierBySupplier_6.15.1_FUTURE_DATED_SUCCESS_COMMAND": lambda content: (
        (encoder.COMMAND, 1001, SUPPLIER, METER, 0x0102),
        command(
            encoder.SUPPLIER_BY_SUPPLIER,
            SUPPLIER,
            SUPPLIER_CELLS,
            1001,
            content,
            top_up_floor=0,
            execute_at=EXECUTED_AT,
        ),
        {},
    ),
    "CS02bSupplierBySupplier_6.15.1_FUTURE_DATED_SUCCESS_RESPONSE": lambda content: (
        (encoder.RESPONSE, 1001, METER, SUPPLIER, 0x0102),
        encoder.cells_response(),
        {"date_time": encoder.DATE_TIME},
    ),
    "CS02bSupplierBySupplier_6.15.1_IMMEDIATE_SUCCESS_RESPONSE": lambda content: (
        (*FROM_METER, 0x0102),
        encoder.cells_response(supplier_outcome(1000)),
        {"date_time": encoder.DATE_TIME},
    ),
    # A signing request is the Device's own: its bytes are taken as they are, by the length that stands before them.
    "CS02c_6.17_SUCCESS_RESPONSE": lambda content: ((*FROM_METER, 0x000A), content[36 : 36 + 0x117], {}),
    "CS02d_6.15.2_SUCCESS_RESPONSE": lambda content: ((*FROM_METER, 0x000B), encoder.integer(0), {}),
    "CS02e_6.24.2_SUCCESS_RESPONSE": lambda content: ((*FROM_METER, 0x000C), certificates_in(content)[0], {}),
}


@needs_rtds
def test_the_encoder_has_values_for_every_message_of_the_set():
    assert {f"{name}_GBCS.HEX" for name in SET} == {path.name for path in (RTDS / "gbcs").iterdir()}


@needs_rtds
@pytest.mark.parametrize("name", SET)
def test_the_encoder_makes_the_reference_test_data_set_byte_for_byte(name):
    content = rtds(name)
    head, payload, more = SET[name](content)
    is_maced = content[0] == 0xDD
    mac = content[-12:] if is_maced else b""
    unmaced = content[:-12] if is_maced else content
    # Signature and MAC are made with keys that nobody here has.
    signature = b"" if unmaced[-1] == 0 and is_maced else unmaced[-64:]
    assert encoder.message(*head, payload, signature=signature, mac=mac, **more) == content


# --- one message ----------------------------------------------------------------------------------------------

u64 = st.integers(0, 2**64 - 1)
counters = st.integers(0, 2**63 - 1)
usages = st.sampled_from(sorted(encoder.KEY_USAGE))
roles = st.sampled_from([0, 1, 2, 3, 4, 5, 6, 7, 8, 127])
codes = st.sampled_from([0, 5, 10, 17, 25, 30, 127])
cell_usages = st.sampled_from([None, 0, 1])
cells = st.tuples(roles, usages, cell_usages)
pairs = st.tuples(u64, u64)
replaced = st.tuples(cells, codes, pairs, pairs)
changes = st.tuples(roles, counters, st.none() | counters)
outcomes = st.tuples(
    counters, st.integers(0, 9), st.lists(changes, max_size=4), st.lists(replaced, min_size=1, max_size=9)
)
instants = st.datetimes(datetime(2012, 1, 1), datetime(2049, 12, 31)).map(lambda at: at.replace(microsecond=0))
heads = st.fixed_dictionaries(
    {
        "counter": u64,
        "originator": u64,
        "target": u64,
        "date_time": st.sampled_from([b"", encoder.DATE_TIME]),
        "signature": st.sampled_from([b"", encoder.SIGNATURE]),
        "mac": st.sampled_from([b"", encoder.MAC]),
        "supplementary": st.sampled_from([(), (1,), (1, 2), (1, 2, 3)]),
    }
)
strictly = st.booleans()


def encoded_outcome(values, strict=False):
    counter, mode, changed, happened = values
    return encoder.outcome(
        counter,
        mode,
        [encoder.counter_change(*one) for one in changed],
        [encoder.replaced(*one) for one in happened],
        strict,
    )


def decoded_outcome(found):
    """The plain values of a decoded outcome; a cell usage that was left out is management."""
    return (
        found.authorising_counter,
        found.replacement_mode,
        [
            (
                (one.cell.role, one.cell.key_usage, one.cell.cell_usage),
                one.status,
                (one.existing_subject, one.existing_key),
                (one.replacing_subject, one.replacing_key),
            )
            for one in found.cells
        ],
    )


def plain_outcome(values):
    counter, mode, _, happened = values
    return counter, mode, [((r, u, c or 0), code, old, new) for (r, u, c), code, old, new in happened]


def decoded(kind, code, content, head):
    """Decodes, and compares the header on the way."""
    found = gbcs.decode(encoder.message(kind, code=code, content=content, **head))
    assert (found.kind, found.message_code, found.raw_content) == (kind, code, content)
    assert (found.counter, found.originator, found.target) == (head["counter"], head["originator"], head["target"])
    assert (found.date_time, found.signature, found.mac) == (head["date_time"], head["signature"], head["mac"])
    supplementary = (*head["supplementary"], None, None, None)[:3]
    assert (
        found.supplementary_party,
        found.supplementary_counter,
        found.supplementary_originator_counter,
    ) == supplementary
    return found


def expected_status(happened):
    succeeded = [code == 0 for _, code, _, _ in happened]
    return "success" if all(succeeded) else "partial" if any(succeeded) else "failure"


@settings(deadline=None, max_examples=times(60, 2000))
@given(outcomes, heads, strictly)
def test_outcome_of_updated_cells(values, head, strict):
    found = decoded(2, 0x0102, encoder.cells_response(encoded_outcome(values, strict), strict), head)
    assert decoded_outcome(found.content.outcome) == plain_outcome(values)
    assert list(found.content.outcome.counter_changes) == values[2]
    for srv in ("6.15.1", "6.21", "6.23"):
        assert status.execution_status(srv, found) == expected_status(values[3])


@settings(deadline=None, max_examples=times(60, 2000))
@given(outcomes, heads, instants, st.sampled_from([0x8F66, 0x8F67]), strictly)
def test_alert_of_updated_cells(values, head, at, code, strict):
    found = decoded(3, 0x00CB, encoder.cells_alert(code, at, encoded_outcome(values, strict), strict), head)
    assert found.content.code == code
    assert found.content.at == at.strftime("%Y%m%d%H%M%SZ")
    assert found.content.authorising_counter == values[0]
    assert decoded_outcome(found.content.outcome) == plain_outcome(values)


@pytest.mark.parametrize("srv", ["6.15.1", "6.21", "6.23"])
def test_command_accepted_is_empty(srv):
    found = gbcs.decode(encoder.message(2, 9, METER, SUPPLIER, 0x0102, encoder.cells_response()))
    assert isinstance(found.content, gbcs.CommandAccepted)
    assert not status.execution_status(srv, found)


held = st.tuples(usages, cell_usages, u64, u64)
read_roles = st.one_of(
    st.tuples(roles, st.just(0), counters, st.lists(held, min_size=1, max_size=6)),
    st.tuples(roles, codes.filter(bool), st.none(), st.just([])),
)


@settings(deadline=None, max_examples=times(60, 2000))
@given(st.lists(read_roles, max_size=7), heads, st.sampled_from([0x0008, 0x011B]), strictly)
def test_cells_that_are_read(values, head, code, strict):
    content = encoder.cells_read(
        [encoder.role_cells(role, failed, counter, [encoder.held(*one) for one in cells])
         for role, failed, counter, cells in values],
        strict,
    )  # fmt: skip
    found = decoded(2, code, content, head)
    assert [
        (
            role.role,
            role.status,
            role.counter,
            [(c.key_usage, c.cell_usage, c.subject_unique_id, c.subject_key_identifier) for c in role.cells],
        )
        for role in found.content.roles
    ] == [
        (role, failed, counter, [(usage, use or 0, subject, key) for usage, use, subject, key in cells])
        for role, failed, counter, cells in values
    ]


@pytest.mark.parametrize("number", range(8))
def test_device_key_updated(number):
    found = gbcs.decode(encoder.message(2, 9, METER, SUPPLIER, 0x000B, encoder.integer(number)))
    assert found.content.status == number
    assert status.execution_status("6.15.2", found) == ("failure" if number else "success")


@pytest.mark.parametrize(("srv", "code"), [("6.17", 0x000A), ("6.24.2", 0x000C)])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_an_integer_in_place_of_what_was_asked_for_is_a_failure(srv, code, number):
    found = gbcs.decode(encoder.message(2, 9, METER, SUPPLIER, code, encoder.integer(number)))
    assert found.content == gbcs.Failure(number)
    assert status.execution_status(srv, found) == "failure"


def test_a_signing_request_is_a_success():
    asked = encoder.signing_request()
    found = gbcs.decode(encoder.message(2, 9, METER, SUPPLIER, 0x000A, asked))
    assert found.content.der == asked
    assert status.execution_status("6.17", found) == "success"


@pytest.mark.parametrize("usage", [SIGNING, AGREEMENT])
def test_the_devices_certificate(usage):
    der = encoder.certificate(usage, 0x4142434445464748, device=METER)
    found = gbcs.decode(encoder.message(2, 9, METER, SUPPLIER, 0x000C, der))
    (one,) = found.content.certificates
    assert (one.key_usage, one.subject_unique_id, one.subject_key_identifier) == (usage, METER, 0x4142434445464748)
    assert status.execution_status("6.24.2", found) == "success"
    assert status.cells(found) == [("Device", usage, "success", METER, 0x4142434445464748)]


@pytest.mark.parametrize("srv", ["6.15.1", "6.15.2", "6.17", "6.21", "6.23", "6.24.1", "6.24.2"])
def test_a_header_without_payload_is_empty(srv):
    code = {"6.15.2": 0x000B, "6.17": 0x000A, "6.24.1": 0x0008, "6.24.2": 0x000C}.get(srv, 0x0102)
    found = gbcs.decode(encoder.message(2, 9, METER, SUPPLIER, code, b""))
    assert isinstance(found.content, gbcs.Empty)
    assert not status.execution_status(srv, found)
    assert not status.execution_status(srv, None)


SUPPLIER_CERTIFICATE = encoder.certificate(SIGNING, 5, party=SUPPLIER)


@settings(deadline=None, max_examples=times(40, 1000))
@given(st.lists(cells, min_size=1, max_size=5), counters, st.none() | instants, st.none() | counters, heads)
def test_command_to_update_cells(targets, counter, execute_at, top_up, head):
    replacements = [(SUPPLIER_CERTIFICATE, target) for target in targets]
    content = encoder.cells_command(
        2, (2, SIGNING, None), counter, 0, replacements, [SUPPLIER_CERTIFICATE], top_up, execute_at
    )
    found = decoded(1, 0x0102, content, head).content
    assert [(c.role, c.key_usage, c.cell_usage) for c in found.cells] == [(r, u, c or 0) for r, u, c in targets]
    assert found.authorising_counter == counter
    assert found.execute_at == (execute_at and execute_at.strftime("%Y%m%d%H%M%SZ"))


# --- one DUIS message -----------------------------------------------------------------------------------------

credential_types = st.sampled_from(["Digital Signature", "Key Agreement"])
PARTY_ROLES = ["Supplier", "NetworkOperator", "ACB", "Recovery", "TransCoS", "Root", "LoadController"]
ids = st.tuples(u64, u64, u64)


def as_ids(found):
    return found.originator, found.target, found.counter


@settings(deadline=None, max_examples=times(40, 1000))
@given(ids, st.sampled_from(PARTY_ROLES), st.none() | instants, st.sampled_from([4, 5, 6, 7]))
def test_request_to_update_cells(identifier, role, at, variant):
    body = encoder.update_cells_body(role, encoder.replacement(b"1", b"2"), at)
    xml = encoder.request(encoder.request_id(*identifier), "6.15.1", variant, body)
    found = duis.parse(xml.encode())
    assert isinstance(found, duis.Request)
    assert (as_ids(found.request_id), found.srv, found.command_variant) == (identifier, "6.15.1", variant)
    assert (found.remote_party_role, found.credential_type, found.payload) == (role, None, None)


@settings(deadline=None, max_examples=times(20, 500))
@given(ids, credential_types, st.sampled_from(["6.17", "6.24.2", "6.15.2"]))
def test_request_with_a_credential_type(identifier, credential_type, srv):
    usage = SIGNING if credential_type == "Digital Signature" else AGREEMENT
    body = {
        "6.17": encoder.issue_body(credential_type),
        "6.24.2": encoder.read_key_body(credential_type),
        "6.15.2": encoder.update_key_body(encoder.certificate(usage, 77, device=identifier[1])),
    }[srv]
    found = duis.parse(encoder.request(encoder.request_id(*identifier), srv, 4, body).encode())
    assert (found.srv, found.credential_type, found.remote_party_role) == (srv, credential_type, None)


@pytest.mark.parametrize("wanted", [["Supplier"], ["Supplier", "NetworkOperator"], PARTY_ROLES])
def test_request_to_read_cells_names_every_role(wanted):
    xml = encoder.request(encoder.request_id(1, 2, 3), "6.24.1", 1, encoder.read_cells_body(wanted))
    assert duis.parse(xml.encode()).roles == tuple(wanted)


@settings(deadline=None, max_examples=times(40, 1000))
@given(ids, instants, st.sampled_from(["I0", "I99", "E20", "E21", "E30", "E4", "E061501"]), st.none() | st.binary())
def test_response(identifier, at, code, payload):
    xml = encoder.response(encoder.request_id(*identifier), code, at, "6.15.1", payload)
    found = duis.parse(xml.encode())
    assert isinstance(found, duis.Response)
    assert (as_ids(found.request_id), found.code, found.at, found.srv) == (identifier, code, at, "6.15.1")
    assert (found.payload or None) == (payload or None)


@settings(deadline=None, max_examples=times(20, 500))
@given(instants, st.integers(0, 0xFFFF), outcomes)
def test_device_alert(at, code, values):
    payload = encoder.message(3, 7, METER, SUPPLIER, 0x00CB, encoder.cells_alert(0x8F66, at, encoded_outcome(values)))
    for identifier, device in ((None, None), (encoder.request_id(METER, SUPPLIER, 7), METER)):
        found = duis.parse(encoder.device_alert(code, at, payload, identifier).encode())
        assert isinstance(found, duis.DeviceAlert)
        assert (found.device, found.at, found.code, found.payload) == (device, at, code, payload)


def test_dcc_alert():
    found = duis.parse(encoder.dcc_alert("N44", datetime(2021, 8, 3), METER).encode())
    assert found == duis.DCCAlert(datetime(2021, 8, 3), "N44", METER)


def test_only_the_namespace_counts_not_the_prefix():
    xml = encoder.response(encoder.request_id(1, 2, 3), "I0", datetime(2021, 8, 3), "6.17", b"x")
    other = xml.replace("sr:", "").replace("xmlns:sr", "xmlns")
    assert duis.parse(other.encode()) == duis.parse(xml.encode())


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2021-08-03T10:15:00Z", datetime(2021, 8, 3, 10, 15)),
        ("2021-08-03T10:15:00.5+01:00", datetime(2021, 8, 3, 9, 15, 0, 500_000)),
        ("2021-08-03T10:15:00", datetime(2021, 8, 3, 10, 15)),
    ],
)
def test_times_are_utc(text, at):
    xml = encoder.response(encoder.request_id(1, 2, 3), "I0", datetime(2001, 1, 1), "6.17")
    assert duis.parse(xml.replace("2001-01-01T00:00:00.000Z", text).encode()).at == at
