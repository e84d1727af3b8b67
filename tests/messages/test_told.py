"""A decoded message in words, and its cards on the Device page: against what went into the message."""

import re
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from messages import encoder
from messages.encoder import ALERT, COMMAND, RESPONSE
from streamlit.testing.v1 import AppTest
from thorough import times

from dashboard import message_cards, words_messages
from dashboard.words_messages import gist, raw, told

RTDS = Path(__file__).resolve().parents[3] / "shared" / "rtds"
METER, SUPPLIER = 0x00DB1234567890A0, 0x90B3D51F30010000
METER_ID, SUPPLIER_ID = "00-DB-12-34-56-78-90-A0", "90-B3-D5-1F-30-01-00-00"
AT = datetime(2021, 8, 3, 10, 15)
IDENTIFIER = encoder.request_id(SUPPLIER, METER, 1000)
SIGNING = (2, "DigitalSigning", None)
CELLS = [
    encoder.replaced(SIGNING, 0, (SUPPLIER, 0x11), (SUPPLIER, 0x4142434445464748)),
    encoder.replaced((2, "KeyAgreement", 1), 10, (SUPPLIER, 0x5152535455565758), (SUPPLIER, 0x22)),
]
PARTIAL = encoder.outcome(987_654, 2, [], CELLS)


def reply(code, content, counter=1000):
    return encoder.message(RESPONSE, counter, METER, SUPPLIER, code, content)


def by_part(message):
    return {line.part: line for line in told(message)}


def hexed(line):
    return line.raw.replace(" ", "").lower()


def test_the_header_says_who_to_whom_with_which_counter_and_what_for():
    lines = by_part(reply(0x0102, encoder.cells_response(PARTIAL), counter=1_234_567).hex())
    assert lines["GBCS message"].says == "Response"
    assert (lines["From"].says, lines["From"].raw) == ("the Device", METER_ID)
    assert lines["To"].raw == SUPPLIER_ID
    assert lines["Originator counter"].says.startswith("1,234,567")
    assert int(lines["Originator counter"].raw, 16) == 1_234_567
    assert "6.15.1, 6.21 or 6.23" in lines["Use case"].says
    assert lines["Use case"].raw == "0102"
    assert "not verified" in lines["Signature"].says
    assert hexed(lines["Signature"]) == encoder.SIGNATURE.hex()


def test_a_command_goes_the_other_way():
    cell = (3, "KeyAgreement", None)
    party = encoder.certificate("KeyAgreement", 3, party=SUPPLIER)
    content = encoder.cells_command(3, cell, 5, 0, [(party, cell)], [party], execute_at=AT)
    lines = by_part(encoder.message(COMMAND, 5, SUPPLIER, METER, 0x0103, content, mac=encoder.MAC).hex())
    assert (lines["From"].raw, lines["To"].says) == (SUPPLIER_ID, "the Device")
    assert "Network Operator, key agreement" in lines["Asks for"].says
    assert "3 August 2021, 10:15:00 UTC" in lines["Asks for"].says
    assert hexed(lines["MAC"]) == encoder.MAC.hex()


@pytest.mark.parametrize("strict", [False, True])
def test_each_cell_has_its_outcome_in_words_and_its_own_octets(strict):
    outcome = encoder.outcome(987_654, 2, [], CELLS, strict)
    lines = by_part(reply(0x0102, encoder.cells_response(outcome, strict)).hex())
    assert lines["Result"].says == "partial: 1 of 2 cells replaced"
    assert lines["Command's counter"].says.startswith("987,654")
    first, second = (
        lines["Cell: Supplier, digital signing"],
        lines["Cell: Supplier, key agreement, for prepayment top-up"],
    )
    assert first.says.startswith("success")
    assert "41-42-43-44-45-46-47-48" in first.says
    assert second.says.startswith("failure: noTrustAnchor (10)")
    assert "51-52-53-54-55-56-57-58" in second.says
    assert [hexed(first), hexed(second)] == [cell.hex() for cell in CELLS]


def test_an_alert_says_when_and_of_which_command():
    content = encoder.cells_alert(0x8F67, AT, PARTIAL)
    message = encoder.message(ALERT, 5, METER, SUPPLIER, 0x00CB, content).hex()
    lines = by_part(message)
    assert "8F67" in lines["Alert"].says
    assert lines["Executed"].says == "3 August 2021, 10:15:00 UTC"
    assert hexed(lines["Cell: Supplier, digital signing"]) == CELLS[0].hex()
    assert gist(message) == "8F67, partial"


@pytest.mark.parametrize(
    ("code", "content", "says"),
    [
        (0x0102, encoder.cells_response(), "an empty status"),
        (0x0102, b"", "an empty status"),
        (0x000B, encoder.integer(0), "success"),
        (0x000B, encoder.integer(5), "failure: wrongPublicKey (5)"),
        (0x000A, encoder.integer(2), "failure: keyPairGenerationFailed (2)"),
        (0x000A, encoder.signing_request(), "success"),
        (0x000C, encoder.integer(2), "failure: noCertificateHeld (2)"),
    ],
)
def test_what_the_result_is(code, content, says):
    assert says in by_part(reply(code, content).hex())["Result"].says


def test_cells_that_were_read_and_roles_that_failed():
    cells = [
        encoder.held("DigitalSigning", 0, SUPPLIER, 0x6162636465666768),
        encoder.held("KeyAgreement", 1, SUPPLIER, 0x7172737475767778),
    ]
    content = encoder.cells_read([encoder.role_cells(2, 0, 77, cells), encoder.role_cells(3, 25)])
    lines = by_part(reply(0x0008, content).hex())
    assert "2 cells" in lines["Cells of Supplier"].says
    assert lines["Cells of Network Operator"].says == "not read: trustAnchorNotFound (25)"
    assert "61-62-63-64-65-66-67-68 of " + SUPPLIER_ID in lines["Cell: Supplier, digital signing"].says
    top_up = lines["Cell: Supplier, key agreement, for prepayment top-up"]
    assert hexed(top_up) == cells[1].hex()


def test_the_devices_certificate():
    content = encoder.certificate("KeyAgreement", 0x4142434445464748, device=METER)
    line = by_part(reply(0x000C, content).hex())["The Device's key for key agreement"]
    assert "41-42-43-44-45-46-47-48 of " + METER_ID in line.says


def test_a_response_in_xml_has_both_headers():
    xml = encoder.response(IDENTIFIER, "I0", AT, "6.15.1", reply(0x0102, encoder.cells_response(PARTIAL)))
    lines = by_part(xml)
    assert lines["Asked by"].raw == SUPPLIER_ID
    assert lines["Service"].says == "Update Security Credentials (KRP)"
    assert lines["Response code"].raw == "I0"
    assert lines["Response time"].says == "3 August 2021, 10:15:00 UTC"
    assert lines["Result"].says.startswith("partial")
    assert gist(xml) == "partial"
    assert raw(xml).replace(" ", "").lower() == reply(0x0102, encoder.cells_response(PARTIAL)).hex()


def test_a_code_whose_text_nobody_knows_is_not_explained():
    lines = by_part(encoder.response(IDENTIFIER, "E1010", AT, "6.15.1"))
    assert "not known" in lines["Response code"].says
    assert "not known" in by_part(encoder.dcc_alert("N44", AT, METER))["Alert code"].says


def test_a_request_that_only_asks_for_a_pre_command_says_so():
    xml = encoder.request(IDENTIFIER, "6.17", 4, encoder.issue_body("Key Agreement"))
    lines = by_part(xml)
    assert "nothing goes to the Device" in lines["Command variant"].says
    assert lines["Credential"].says == "Key Agreement"


def test_what_cannot_be_read_says_why():
    for message in ("", "zz", "DF09", "<a/>", "<!DOCTYPE a>", "A" * 2_000_000):
        (line,) = told(message)
        assert line.part == "Not readable"
        assert "breaks the rule" in line.says
        assert gist(message) == "not readable"


def test_of_a_broken_payload_the_outer_message_is_still_told():
    lines = by_part(encoder.response(IDENTIFIER, "I0", AT, "6.15.1", b"\xdf\x09\x02"))
    assert lines["Asked of"].raw == METER_ID
    assert hexed(lines["Not readable"]) == "df0902"


WHOLE = reply(0x0102, encoder.cells_response(PARTIAL)), reply(0x0008, encoder.cells_read([encoder.role_cells(3, 25)]))


@settings(deadline=None, max_examples=times(100, 5000))
@given(st.sampled_from(WHOLE), st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6))
def test_nothing_that_comes_raises(message, changes):
    content = bytearray(message)
    for place, octet in changes:
        content[place % len(content)] = octet
    for text in (bytes(content).hex(), encoder.response(IDENTIFIER, "I0", AT, "6.15.1", bytes(content))):
        assert told(text)
        assert gist(text)


@settings(deadline=None, max_examples=times(30, 2000))
@given(st.text(max_size=60))
def test_no_text_raises(text):
    assert told(text)


@pytest.mark.skipif(not RTDS.is_dir(), reason="the Reference Test Data Set is not in ../shared/rtds")
def test_every_message_of_the_reference_test_data_set_is_told():
    paths = [path for path in RTDS.rglob("*") if path.suffix.lower() in (".hex", ".xml")]
    assert len(paths) > 20
    for path in paths:
        lines = told(path.read_text())
        assert len(lines) > 4, path.name
        assert not any(line.part == "Not readable" for line in lines), path.name


# --- on the page ----------------------------------------------------------------------------------------------


def events(count=1):
    xml = encoder.response(IDENTIFIER, "I0", AT, "6.15.1", reply(0x0102, encoder.cells_response(PARTIAL)))
    rows = [
        {"at": AT + timedelta(hours=n), "kind": "Response", "srv": "6.15.1", "request_id": IDENTIFIER, "message": xml}
        for n in range(count)
    ]
    columns = {"at": pl.Datetime("us"), **dict.fromkeys(("kind", "srv", "request_id", "message"), pl.String)}
    return pl.DataFrame(rows, schema=columns)


def page():
    import streamlit as st

    from dashboard import message_cards

    message_cards.messages(st.session_state["view"], st.session_state["events"])


def shown(demonstration, rows, opened=()):
    from analysis.selection import Selection
    from dashboard import cards

    app = AppTest.from_function(page, default_timeout=30)
    app.session_state["view"] = cards.View(demonstration, Selection(), METER_ID)
    app.session_state["events"] = rows
    for key in opened:
        app.session_state[key] = True
    app.run()
    assert not app.exception
    return app


def test_each_event_is_a_row_that_opens_to_its_message(demonstration):
    app = shown(demonstration, events(3))
    assert app.subheader[0].value == "The messages behind these events: 3"
    labels = [block.label.replace("\\", "") for block in app.expander]
    assert labels == [f"3 August 2021, {hour}:15:00 UTC · Response · 6.15.1 · partial" for hour in (10, 11, 12)]
    assert len(app.table) == 0
    app = shown(demonstration, events(3), ["message-1"])
    (table,) = app.table
    said = dict(zip(table.value["Part"], table.value["What it says"], strict=True))
    assert said["Result"].replace("\\", "") == "partial: 1 of 2 cells replaced"
    assert said["From"] == f"the Device `{METER_ID}`"
    code = [block.value for block in app.code]
    assert code[0].replace(" ", "").lower() == WHOLE[0].hex()
    assert "<sr:Response" in code[1]


def test_without_messages_the_card_says_so(demonstration):
    app = shown(demonstration, events(0))
    assert "There is none." in [block.value for block in app.markdown]
    assert len(app.expander) == 0


def test_of_very_many_the_first_are_shown_and_all_are_in_the_file(demonstration):
    count = message_cards.MOST_SHOWN + 3
    app = shown(demonstration, events(count))
    assert len(app.expander) == message_cards.MOST_SHOWN
    assert any(f"of {count:,} are shown" in block.value for block in app.markdown)
    rows = message_cards.as_rows(events(count))
    assert rows["at"].n_unique() == count
    assert rows.filter(pl.col("part") == "Result").height == count


def test_nothing_in_a_message_is_markdown(demonstration):
    rows = events(1).with_columns(kind=pl.lit("**bold** <b>"), srv=pl.lit("[a](http://x)"), message=pl.lit("<b>*x*"))
    label = shown(demonstration, rows).expander[0].label
    bare = re.sub(r"\\(.)", "", label)
    assert "bold" in bare
    assert not set("*[]<>`_") & set(bare)


def test_the_words_know_every_role_usage_and_status_that_the_decoder_knows():
    for role in [*range(9), 127]:
        for usage in encoder.KEY_USAGE:
            content = encoder.cells_read([encoder.role_cells(role, 0, 1, [encoder.held(usage, None, 1, 2)])])
            assert len(told(reply(0x0008, content).hex())) > 5
    for status in (5, 10, 17, 25, 30, 127):
        outcome = encoder.outcome(1, 2, [], [encoder.replaced(SIGNING, status, (1, 2), (3, 4))])
        assert "failure" in by_part(reply(0x0102, encoder.cells_response(outcome)).hex())["Result"].says


def test_the_rules_of_words_hold():
    """Parts of a table are short, so that it fits a narrow screen."""
    parts = {line.part for message in WHOLE for line in words_messages.told(message.hex())}
    assert max(map(len, parts)) <= 60
