"""One Device: its checks, cells and rows against the oracle, and the page drawn without a browser."""

import io
import re
from dataclasses import replace
from datetime import datetime, time, timedelta
from pathlib import Path
from unittest.mock import patch

import estates
import oracle
import polars as pl
import pytest
from builds import (
    OPERATOR,
    USER_CHECKS,
    certificate,
    device,
    dsp_check,
    eui,
    march,
    read,
    response,
    sealed_as_it_is,
    secure_devices,
    spell,
)
from estates import make_estate
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook
from oracle.actual import REQUIRED_CELLS, cell_verdict, changes_of, device_key_verdict, latest_reads, row_verdict
from oracle.evidence import gather, gather_world, rows_by_device
from oracle.explain import causes_by_check
from oracle.reported import attempts_at, checks_of, met_at
from streamlit.testing.v1 import AppTest
from test_build import BAD, GOOD, built, few, planned
from test_pages import contrast

from analysis import device_timeline
from analysis.device import Device, asked_for, came_back
from analysis.device import device as device_of
from dashboard import cards, charts_device, words_device
from data import reduction
from data.export import outcomes_frame
from data.history import NoEvidenceKept, examples, history, with_part
from tests.app_pages import plots

APP = Path(__file__).resolve().parent.parent / "dashboard" / "streamlit_app.py"
OUTCOME_OF = {"success": "success", "partial": "partial", "failure": "other"}


def key_of(device_id):
    return int(device_id.replace("-", ""), 16)


def shown(snapshot, device_id) -> Device:
    return device_of(history(snapshot, key_of(device_id)))


# --- the search ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "90-B3-D5-1F-30-01-00-0A",
        "90-b3-d5-1f-30-01-00-0a",
        "90B3D51F3001000A",
        "90b3d51f3001000a",
        " 90:B3:d5:1F:30:01:00:0a\n",
        "90 b3 d5 1f 30 01 00 0a",
        "90\u201190\u2011".replace("90\u201190\u2011", "90\u2011B3\u2011D5\u20111F\u201130\u201101\u201100\u20110A"),
    ],
)
def test_an_eui_is_found_in_any_case_with_or_without_hyphens(text):
    assert asked_for(text).key == 0x90B3D51F3001000A


@pytest.mark.parametrize("key", [0, 1, 2**63 - 1, 2**63, 2**64 - 1])
def test_an_eui_at_the_ends_of_64_bits_is_read_whole(key):
    assert asked_for(f"{key:016x}").key == key


@pytest.mark.parametrize(
    "text", ["", "-", "90-B3-D5-1F-30-01-00-0G", "90B3D51F3001000A0", "0x90B3D51F3001000A", "\u0660" * 16]
)
def test_what_is_no_eui_has_no_key_and_is_no_part(text):
    assert asked_for(text).key is None
    assert not asked_for(text).is_part


def test_four_to_fifteen_digits_are_a_part():
    assert [asked_for("a" * n).is_part for n in (3, 4, 15, 16)] == [False, True, True, False]


def test_a_part_finds_those_that_begin_or_end_with_it(demonstration):
    ids = [text.replace("-", "") for text in outcomes_frame(demonstration)["device_id"]]
    for part in (ids[7][:13], ids[11][-5:], ids[3][:4], "FFFFF"):
        wanted = sorted(int(text, 16) for text in ids if text.startswith(part) or text.endswith(part))
        assert with_part(demonstration, part) == wanted[:11], part


# --- against the oracle -------------------------------------------------------------------------------------


def compare(snapshot, extracts, as_at, grace_days):
    """Every Device's page against the oracle and the exported outcome; returns how many there were."""
    clean, _ = oracle.check(extracts, estates.BUILD_START)
    indexed, world = rows_by_device(clean), gather_world(clean)
    as_at = as_at or oracle.default_as_at(clean)
    inventory = {row["device_id"]: row for row in clean["devices"]}
    exported = outcomes_frame(snapshot).to_dicts()
    for row in exported:
        one = shown(snapshot, row["device_id"])
        known = gather(indexed, inventory[row["device_id"]], as_at, world)
        assert one.differs == {}
        assert one.eui == row["device_id"]
        compare_checks(one, known, row)
        compare_cells(one, known)
        compare_rows(one, known)
        assert words_device.reasons(one)
        assert device_timeline.events(one)["lane"].is_in(device_timeline.lanes(one)).all()
        charts_device.timeline(device_timeline.events(one), device_timeline.lanes(one), words_device.marks(one), None)
    return len(exported)


def compare_checks(one, known, exported):
    checks = {row["check"]: row for row in one.checks.to_dicts()}
    assert list(checks) == checks_of(known.device["device_type"])
    causes = causes_by_check(list(checks), known)
    for name, row in checks.items():
        assert row["met_at"] == met_at(name, known), name
        assert (row["verdict"] == "not met") == (name in exported["unmet_checks"])
        if name in USER_NAMES:
            assert row["tries"] == len(attempts_at(name, known))
        # Causes are of unmet checks alone.
        wanted = causes[name] if row["verdict"] == "not met" else []
        assert row["causes"] == "; ".join(wanted)


USER_NAMES = checks_of("ESME")[:5]


def compare_cells(one, known):
    cells = {tuple(row["cell"].split("/")): row for row in one.cells.to_dicts()}
    assert list(cells) == REQUIRED_CELLS[known.device["device_type"]]
    for cell, row in cells.items():
        verdict, read_at = cell_verdict(cell, known)
        latest = latest_reads(cell, known)
        assert row["verdict"] == verdict, cell
        assert row["read_at"] == (latest[0]["read_at"] if latest else None)
        assert read_at in (None, row["read_at"])
        assert row["changed_at"] == max(changes_of(cell[0], known), default=None)
        if verdict != "not_read":
            # What is shown was found by a row that has the verdict.
            found = {content_of(r) for r in latest if row_verdict(r, cell[0], known) == verdict}
            assert content_of({**row, "subject_key_identifier": row["key_identifier"]}) in found
    for row in one.keys.to_dicts():
        assert row["verdict"] == device_key_verdict(row["cell"].split("/")[1], known)


def content_of(row):
    return row["status_code"], row["subject_unique_id"], row["subject_key_identifier"]


DSP_CHECKS = {
    "communicating": "The DSP finds that the Device communicates",
    "recovery_cell": "The DSP finds the Recovery Trust Anchor Cell populated",
}


def compare_rows(one, known):
    """Each row that the outcome rests on is there, and no other."""
    attempts = [r for r in known.attempts if step_of(r)]
    assert sorted(one.attempts.select("sent_at", "counted_at", "outcome").rows()) == sorted(
        (r["sent_at"], r["responded_at"] or r["sent_at"], outcome_of(r)) for r in attempts
    )
    assert sorted(one.dsp_checks.select("checked_at", "check", "passed").rows()) == sorted(
        (r["checked_at"], DSP_CHECKS[r["check"]], r["passed"]) for r in known.dsp_checks if r["check"] in DSP_CHECKS
    )
    cells = {(role, usage) for cells in REQUIRED_CELLS.values() for role, usage in cells}
    cells |= {("Device", "DigitalSigning"), ("Device", "KeyAgreement")}
    reads = [r for r in known.reads if (r["remote_party_role"], r["certificate_usage"]) in cells]
    assert sorted(one.reads.select("read_at", "cell", "status_code").rows()) == sorted(
        (r["read_at"], f"{r['remote_party_role']}/{r['certificate_usage']}", r["status_code"]) for r in reads
    )
    spells = one.spells.select("supplier_id", "effective_from", "effective_to").rows()
    assert sorted(spells, key=str) == sorted(
        [(r["supplier_id"], r["effective_from"], r["effective_to"]) for r in known.spells], key=str
    )


def step_of(row):
    """Whether a verdict may rest on such an attempt."""
    srv, kind, role = row["srv"], row["credential_type"], row["remote_party_role"]
    if srv in ("6.17", "6.15.2"):
        return kind in ("Digital Signature", "Key Agreement")
    return srv == "6.23" or (srv in ("6.15.1", "6.21") and role in ("NetworkOperator", "Supplier"))


def outcome_of(row):
    if row["response_code"] in (None, "I99", "E20", "E21", "E30"):
        return "no_response"
    if row["response_code"] != "I0":
        return "other"
    return "empty" if not row["execution_status"] else OUTCOME_OF.get(row["execution_status"], "other")


@few(25)
@given(
    plan=planned(GOOD) | planned(BAD),
    as_at=estates.as_ats(),
    grace_days=estates.grace_days(),
    a_bucket=st.sampled_from([1, 3, 100]),
)
def test_every_page_of_every_estate_equals_the_oracle(plan, as_at, grace_days, a_bucket):
    extracts = make_estate(**plan)
    with patch.object(reduction, "DEVICES_A_BUCKET", a_bucket), built(extracts, as_at, grace_days) as snapshot:
        compare(snapshot, extracts, as_at, grace_days)


# --- by hand ------------------------------------------------------------------------------------------------


def estate(*changes):
    """One secure Device; each change is (extract, rows to put in its place or a function of the rows)."""
    extracts = secure_devices((1,))
    for extract, change in changes:
        extracts[extract] = change(extracts[extract]) if callable(change) else change
    return extracts


def verdicts(frame):
    return dict(frame.select("cell", "verdict").rows())


def test_a_stale_read_says_since_when_and_by_what():
    handover = response(check=("6.21", None, "NetworkOperator"), sent_at=march(21), responded_at=march(22))
    with built(estate(("service_responses", lambda rows: [*rows, handover]))) as snapshot:
        one = shown(snapshot, eui(1))
        cell = one.cells.row(2, named=True)
        assert (cell["cell"], cell["verdict"]) == ("NetworkOperator/DigitalSigning", "not_read")
        assert (cell["read_at"], cell["changed_at"]) == (march(20), march(22))
        assert cell["changed_by"] == "SRV 6.21 (Network Operator)"
        said = words_device.cell_reason(cell)
        assert "last read 20 March 2021, 00:00 UTC, before SRV 6.21 (Network Operator) on 22 March 2021" in said
        assert set(one.reads.filter(stands="stale")["cell"]) == {
            "NetworkOperator/DigitalSigning",
            "NetworkOperator/KeyAgreement",
        }


def test_a_change_of_supplier_makes_the_supplier_cells_stale_from_midnight():
    spells = [spell(effective_to=march(21).date()), spell(supplier_id="S-TWO", effective_from=march(21).date())]
    seen = dsp_check(check="other", checked_at=march(25))
    with built(estate(("registrations", spells), ("dsp_checks", lambda rows: [*rows, seen]))) as snapshot:
        one = shown(snapshot, eui(1))
        cell = one.cells.row(0, named=True)
        assert (cell["verdict"], cell["changed_by"]) == ("not_read", "a change of Supplier")
        assert cell["changed_at"] == datetime.combine(march(21).date(), time())
        happened = device_timeline.events(one)
        assert happened.filter(kind="change")["at"].to_list() == [march(21)]
        assert happened.filter(kind="spell").select("began_at", "at").rows() == [
            (datetime(2021, 2, 1), march(21)),
            (march(21), None),
        ]


@pytest.mark.parametrize("order", [1, -1])
def test_of_several_reads_at_one_instant_the_worst_counts(order):
    wrong = read(cell=("Supplier", "DigitalSigning", OPERATOR))
    failed = read(status_code="noTrustAnchor", subject_unique_id=None, subject_key_identifier=None)
    older = read(read_at=march(19), subject_unique_id=None)
    with built(estate(("credential_reads", lambda rows: [wrong, failed, older, *rows][::order]))) as snapshot:
        one = shown(snapshot, eui(1))
        cell = one.cells.row(0, named=True)
        assert (cell["verdict"], cell["subject_unique_id"]) == ("wrong_party", OPERATOR)
        assert cell["belongs_to"] == "The party N-ONE (N-ONE) as NetworkOperator"
        assert cell["expected"] == "The party S-ONE (S-ONE)"
        of_cell = one.reads.filter(cell="Supplier/DigitalSigning")
        assert of_cell.height == 4
        assert sorted(of_cell["stands"]) == ["counts", "superseded", "superseded", "superseded"]
        assert of_cell.filter(stands="counts")["subject_unique_id"].to_list() == [OPERATOR]


def test_a_certificate_not_in_use_is_unknown():
    other = "C9-00-00-00-00-00-00-09"
    changed = estate(("credential_reads", lambda rows: [*rows[1:], read(subject_key_identifier=other)]))
    with built(changed) as snapshot:
        one = shown(snapshot, eui(1))
        assert one.differs == {}
        assert verdicts(one.cells)["Supplier/DigitalSigning"] == "unknown_certificate"
        assert list(verdicts(one.cells).values()).count("right") == 4


def test_a_wrong_outcome_is_found_out():
    """The verdict is made of the rows alone, so an outcome that they do not bear out is seen."""
    with built(estate()) as snapshot:
        found = history(snapshot, key_of(eui(1)))
        fault = "Supplier/DigitalSigning: unknown_certificate"
        lie = {"actual": "not_secure", "faults": fault, "finding": "missed_failure"}
        one = device_of(replace(found, outcome=found.outcome | lie))
        assert one.differs == {"actual": "secure", "faults": "", "finding": "confirmed_pass"}
        assert r"`actual`: in the snapshot not\_secure, made anew secure" in words_device.differs(one)


def test_a_dsp_check_that_was_not_passed_is_shown():
    failing = [dsp_check(check="recovery_cell", passed=False, checked_at=march(day)) for day in (4, 5)]
    changed = estate()
    changed["dsp_checks"] = [row for row in changed["dsp_checks"] if row["check"] != "recovery_cell"] + failing
    with built(changed) as snapshot:
        one = shown(snapshot, eui(1))
        check = one.checks.row(by_predicate=pl.col("check") == "recovery_cell", named=True)
        assert (check["verdict"], check["tries"], check["came_back"]) == ("not met", 2, "2 not passed")
        assert words_device.tries(check) == "2 not passed"
        assert device_timeline.events(one).filter(kind="not_passed")["at"].to_list() == [march(4), march(5)]


def test_what_is_not_known_yet_is_not_there():
    """As at 10 March the Response of 12 March, the read of 20 March and the spell from 15 March are unknown."""
    late = response(check=USER_CHECKS[1], responded_at=march(12))
    later = spell(supplier_id="S-TWO", effective_from=march(15).date())
    changes = (
        ("service_responses", lambda rows: [rows[0], late, *rows[2:]]),
        ("registrations", lambda rows: [*rows, later]),
    )
    with built(estate(*changes), march(10)) as snapshot:
        one = shown(snapshot, eui(1))
        check = one.checks.row(1, named=True)
        assert (check["verdict"], check["came_back"]) == ("not met", "1 no_response (no code)")
        assert set(verdicts(one.cells).values()) == {"not_read"}
        assert (one.reads.height, one.spells.height) == (0, 1)
        assert check["causes"] == "timeout"


def test_a_handover_is_the_cause_and_is_told_with_its_clause():
    update, handover = USER_CHECKS[4], ("6.21", None, "NetworkOperator")
    rejected = response(check=update, response_code="E4", execution_status=None)
    changes = ("service_responses", lambda rows: [*rows[:4], rejected, response(check=handover)])
    with built(estate(changes)) as snapshot:
        one = shown(snapshot, eui(1))
        assert one.checks.row(4, named=True)["came_back"] == "1 other (E4)"
        said = words_device.reasons(one)
        assert "**Reported failed.** 1 of the 7 checks for an ESME is not met" in said
        assert "1 rejected or failed (E4)" in said
        assert "**Cause: DCC credential handover.**" in said
        assert "Clause: SEC Appendix AC section 5: the criteria name SRV 6.15.1 only." in said
        assert one.attempts.filter(response_code="E4")["code_means"].to_list() == [
            "Role not authorised for the Device at that time"
        ]


def test_an_own_key_that_is_not_in_use_is_a_fault():
    own = [read(cell=("Device", usage, eui(1))) for usage in ("DigitalSigning", "KeyAgreement")]
    held = certificate(eui(1), "Device", "DigitalSigning")
    changes = (
        ("credential_reads", lambda rows: [*rows, *own]),
        ("certificates", lambda rows: [*rows, held]),
    )
    with built(estate(*changes)) as snapshot:
        one = shown(snapshot, eui(1))
        assert verdicts(one.keys) == {"Device/DigitalSigning": "in_use", "Device/KeyAgreement": "not_in_use"}
        assert one.keys["key_identifier"].to_list() == ["C0-00-00-00-00-00-00-01"] * 2
        assert one.outcome["actual"] == "not_secure"
        assert "its certificate is not one in use" in words_device.reasons(one)


def test_what_came_back_counts_each_kind():
    frame = pl.DataFrame(
        [
            ("no_response", "E21", None),
            ("other", "I0", "failure"),
            ("no_response", "E21", None),
            ("success", "I0", None),
        ],
        ["outcome", "response_code", "execution_status"],
        orient="row",
    )
    assert came_back(frame) == "2 no_response (E21); 1 other (I0, failure); 1 success"
    assert (
        words_device.came_back(came_back(frame)) == "2 no Response (E21); 1 rejected or failed (I0, failure); 1 success"
    )


def test_names_of_the_extracts_are_no_markdown():
    assert words_device.plain("A*B_C $x$ [l](u) `c` <b>") == r"A\*B\_C \$x\$ \[l\](u) \`c\` \<b\>"


@pytest.mark.parametrize("kind", charts_device.KINDS)
def test_colours_can_be_told_from_the_light_and_the_dark_page(kind):
    assert contrast(charts_device.KINDS[kind].colour, "#FFFFFF") >= 3
    assert contrast(charts_device.KINDS[kind].colour, "#0E1117") >= 3


def test_no_two_kinds_have_one_symbol():
    kinds = [*charts_device.KINDS.values(), charts_device.REQUEST]
    assert len({kind.symbol for kind in kinds}) == len(kinds)


def test_a_snapshot_of_before_evidence_was_kept_says_so():
    with built(estate()) as snapshot:
        old = replace(snapshot, manifest={k: v for k, v in snapshot.manifest.items() if k != "partials"})
        with pytest.raises(NoEvidenceKept):
            history(old, key_of(eui(1)))


# --- the page -----------------------------------------------------------------------------------------------


def app_at(home, monkeypatch, **query):
    monkeypatch.setenv("PCO_MARTS", str(home / "marts"))
    app = AppTest.from_file(APP, default_timeout=60)
    for name, value in query.items():
        app.query_params[name] = value
    return app.run().switch_page("app_pages/device.py").run()


@pytest.fixture
def opened(demonstration, demonstration_home, monkeypatch):
    def open_page(**query):
        return no_error(app_at(demonstration_home, monkeypatch, **query))

    return open_page


def no_error(app):
    assert [error.value for error in app.error] == []
    assert [error.message for error in app.exception] == []
    return app


def text_of(app):
    return "\n".join(e.value for e in [*app.markdown, *app.header, *app.subheader, *app.caption, *app.warning])


@pytest.fixture(scope="module")
def of_each_finding(demonstration):
    return outcomes_frame(demonstration).sort("device_id").unique("finding", keep="last", maintain_order=True)


def test_without_a_search_there_is_a_device_of_each_finding_to_look_at(opened, demonstration):
    app = opened()
    outcomes = outcomes_frame(demonstration)
    sample = examples(demonstration)
    counted = dict(outcomes.group_by("finding").len().rows())
    assert dict(sample.select("finding", "devices").rows()) == counted
    finding_of = {key_of(d): finding for d, finding in outcomes.select("device_id", "finding").rows()}
    assert {finding_of[key] for key in sample["device_key"]} == set(counted)
    labels = [button.label for button in app.button if (button.key or "").startswith("pick-")]
    assert f"Over-reported ({counted['over_reported']:,})" in labels
    assert len(labels) == len(counted)


def test_a_button_fills_the_search(opened, demonstration):
    app = opened(type="ESME")
    button = next(button for button in app.button if button.label.startswith("Missed failure"))
    no_error(button.click().run())
    wanted = button.key.removeprefix("pick-")
    assert key_of(app.text_input(key="device").value) == int(wanted)
    assert "is a missed failure" in app.header[0].value
    assert app.query_params["device"] == app.text_input(key="device").value


def test_the_page_of_each_finding_says_it(opened, of_each_finding, demonstration):
    for row in of_each_finding.to_dicts():
        app = opened(device=row["device_id"].replace("-", "").lower(), type="CHF", region="North")
        assert app.header[0].value.startswith(f"{row['device_id']} is ")
        assert words_device.FINDINGS[row["finding"]][0] in app.header[0].value
        said = text_of(app)
        assert {"passed": "Reported passed", "failed": "Reported failed", "not_due": "Not due"}[row["reported"]] in said
        assert {"secure": "Secure by", "not_secure": "Not secure by", "unverified": "Not verified"}[
            row["actual"]
        ] in said
        unmet = len(row["unmet_checks"])
        of = 7 if row["device_type"] in ("ESME", "GPF") else 6
        assert f"Checks: {of - unmet} of {of} are met" in said
        for fault in row["faults"]:
            cell = fault.split(":")[0]
            assert cell == "Device" or words_device.cell_name(cell) in said


def test_the_link_keeps_the_span_of_the_timeline(opened, of_each_finding, demonstration):
    device_id = of_each_finding.filter(finding="confirmed_failure")["device_id"][0]
    app = opened(device=device_id, span=words_device.SPANS[1])
    assert app.segmented_control(key="span").value == words_device.SPANS[1]
    due = outcomes_frame(demonstration).filter(device_id=device_id)["due_at"][0]
    [plot] = plots(app)
    ends = plot["layout"]["xaxis"]["range"]
    assert due < datetime.fromisoformat(ends[1]) < due + timedelta(days=1)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("nonsense", "other characters than hex digits"),
        ("90", "with 2 hex digits it is too short"),
        ("90-B3-D5-1F-30-01-00-00-00", "with 18 hex digits it has too many"),
        ("FFFF-FFFF-FFFF-FFFF", "FF-FF-FF-FF-FF-FF-FF-FF is not in this snapshot"),
        ("FEDCBA", "No Device in scope begins or ends with these 6 hex digits"),
        ("<b>**x**</b>", "other characters than hex digits"),
    ],
)
def test_what_is_not_found_says_what_to_do(opened, typed, said):
    app = opened(device=typed)
    assert said in app.warning[0].value
    assert typed not in app.warning[0].value or typed == "90"
    assert not app.header


def test_a_part_of_several_devices_offers_them(opened, demonstration):
    ids = sorted(outcomes_frame(demonstration)["device_id"])
    app = opened(device=ids[0][:5])
    assert "More than 10 Devices begin or end with these digits" in app.warning[0].value
    assert [b.label for b in app.button if (b.key or "").startswith("pick-")] == ids[:10]


def test_a_device_out_of_scope_is_told_from_one_that_is_not_there(tmp_path, monkeypatch):
    extracts = secure_devices((1, 2))
    extracts["devices"][1] = device(2, device_status="Withdrawn")
    with built(extracts) as snapshot:
        app = no_error(app_at(snapshot.folder.parents[2], monkeypatch, device=eui(2)))
        # 5 attempts, 2 DSP checks, 5 reads and a spell.
        assert "is not in scope" in app.warning[0].value
        assert "13 rows about it" in app.warning[0].value


def test_evidence_that_does_not_bear_out_the_outcome_is_never_silent(monkeypatch):
    with built(estate()) as snapshot:
        [file] = snapshot.evidence_files("cell_reads")
        pl.read_parquet(file, glob=False, hive_partitioning=False).head(4).write_parquet(file)
        sealed_as_it_is(snapshot)
        app = app_at(snapshot.folder.parents[2], monkeypatch, device=eui(1))
        assert len(app.error) == 1
        assert "Do not rely on what is said of this Device" in app.error[0].value
        assert "`actual`: in the snapshot secure, made anew unverified" in app.error[0].value
        assert "Secure by its certificates" not in text_of(app)
        assert "Cells: 4 of 5" in text_of(app)


def test_every_row_is_in_the_tables_and_their_files(demonstration, of_each_finding):
    one = shown(demonstration, of_each_finding.filter(finding="confirmed_failure")["device_id"][0])
    for name in words_device.EVIDENCE:
        rows = words_device.kept_rows(one, name)
        assert pl.read_csv(io.BytesIO(cards.as_csv(rows))).height == rows.height
        sheet = load_workbook(io.BytesIO(cards.as_xlsx(rows))).worksheets[0]
        assert sheet.max_row - 1 == rows.height or rows.is_empty()
    assert words_device.kept_rows(one, "attempts").height > 0


def test_the_timeline_has_the_instants_and_every_event(demonstration, of_each_finding):
    for device_id in of_each_finding["device_id"]:
        one = shown(demonstration, device_id)
        happened = device_timeline.events(one)
        figure = charts_device.timeline(happened, device_timeline.lanes(one), words_device.marks(one), None)
        lines = {shape.x0 for shape in figure.layout.shapes}
        row = one.outcome
        assert lines == {row["commissioned_at"].isoformat(), row["due_at"].isoformat(), one.history.as_at.isoformat()}
        named = [note.text for note in figure.layout.annotations]
        assert sum(bool(re.match("Commissioned|Due|Snapshot", text)) for text in named) == 3
        drawn = sum(
            len(trace.x) for trace in figure.data if trace.name in {k.name for k in charts_device.KINDS.values()}
        )
        assert drawn == happened.filter(pl.col("kind") != "spell").height
        rows = one.attempts.height + one.dsp_checks.height + one.reads.height + one.history.incidents.height
        changes = {row["changed_supplier_at"], one.changed_on} - {None}
        assert drawn == rows + len(changes)
