"""Data and method: the road of each number, checksums, who fell silent, two snapshots; and Definitions."""

import csv
import hashlib
import json
import shutil
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
from builds import folders
from streamlit.testing.v1 import AppTest

from analysis import lineage, reporting
from analysis.pipeline import Parameters, build
from analysis.rates import rates as rates_of
from dashboard import charts_method, words_method
from data.contracts import contracts
from data.estate import generate
from data.export import outcomes_frame
from data.extracts import InputRefused, digests, survey
from data.marts import current, seal
from data.reduction import REDUCTIONS, WHOLE
from tests.app_pages import with_open_tables

PROJECT = Path(__file__).resolve().parent.parent
APP = PROJECT / "dashboard" / "streamlit_app.py"


# --- lineage ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", lineage.NUMBERS)
def test_a_road_names_only_what_is_there(number, demonstration):
    stage, made_of = lineage.NUMBERS[number]
    assert set(stage.extracts) <= contracts().keys()
    for name in stage.sql:
        assert (PROJECT / "data" / "sql" / f"{name}.sql").read_text(encoding="utf-8") == lineage.sql_text(name)
    for name in stage.rules:
        text = lineage.rule_text(name)
        assert text.startswith(f"def {name.rsplit('.', 1)[1]}(")
        assert lineage.says(text).endswith(".")
    for name in stage.references:
        assert (PROJECT / "data" / "reference" / f"{name}.csv").is_file()
    assert set(stage.columns) <= set(demonstration.frame("counts").columns)
    assert made_of
    assert number in rates_of(demonstration.frame("counts")).columns


def test_every_select_that_reads_an_extract_of_a_verdict_is_on_a_road():
    on_a_road = {name for stage, _ in lineage.NUMBERS.values() for name in stage.sql}
    of_no_verdict = ("incidents", "messages")
    read = {name for extract, name in [*REDUCTIONS.items(), *WHOLE.items()] if extract not in of_no_verdict}
    assert read <= on_a_road


@pytest.mark.parametrize("number", lineage.NUMBERS)
def test_a_road_names_the_extract_of_each_select_on_it(number):
    stage, _ = lineage.NUMBERS[number]
    reads = [*REDUCTIONS.items(), *WHOLE.items()]
    assert {extract for extract, name in reads if name in stage.sql} <= set(stage.extracts)


# --- checksums ----------------------------------------------------------------------------------------------


def test_the_manifest_has_the_checksum_of_every_extract_file(demonstration, demonstration_home):
    files = [file for extract in demonstration.manifest["extracts"].values() for file in extract["files"]]
    assert len(files) > 50
    for file in files:
        bytes_of = (demonstration_home / "extracts" / file["name"]).read_bytes()
        assert file["sha256"] == hashlib.sha256(bytes_of).hexdigest()
        assert file["bytes"] == len(bytes_of)


def test_a_file_that_is_gone_before_its_checksum_is_named(tmp_path):
    own = folders(tmp_path)
    found = survey(own.extracts)
    gone = found.files["parties"][0]
    gone.path.unlink()
    with pytest.raises(InputRefused, match="cannot be read any more") as refused:
        digests(found)
    assert refused.value.problems == [f"{gone.name}: cannot be read any more"]


# --- who fell silent ----------------------------------------------------------------------------------------

MONTHS = [f"2020-{month:02d}" for month in range(1, 13)]


def counts_of(**numbers):
    """Counts of parties: name -> Devices commissioned in each month of 2020; all due, half verified."""
    rows = [
        (party, month, "passed", actual, devices // 2)
        for party, of_party in numbers.items()
        for month, devices in zip(MONTHS, of_party, strict=True)
        for actual in ("secure", "unverified")
        if devices
    ]
    columns = ["supplier", "commissioned_month", "reported", "actual", "devices"]
    return pl.DataFrame(rows, columns, orient="row")


def silent_of(**numbers):
    table = reporting.by_party_and_month(counts_of(**numbers), "supplier", {})
    return reporting.silences(table, MONTHS)


@pytest.mark.parametrize(
    ("numbers", "found"),
    [
        ([20] * 9 + [0] * 3, [("stopped", "2020-09", 20.0, "2020-10", "2020-12", 3)]),
        ([18] * 9 + [0] * 3, []),
        ([40] * 6 + [0] * 2 + [40] * 4, [("resumed", "2020-06", 40.0, "2020-07", "2020-08", 2)]),
        # Six months are looked back on: the first five say nothing.
        ([40] * 5 + [0] + [40] * 6, []),
        ([0] * 6 + [2] * 6, []),
        ([20] * 11 + [2], []),
        ([100] + [0] * 5 + [60, 0, 0, 60, 60, 60], []),
        ([120] + [0] * 5 + [0] * 6, [("stopped", "2020-06", 20.0, "2020-07", "2020-12", 6)]),
    ],
)
def test_a_party_fell_silent_where_many_were_usual(numbers, found):
    rows = silent_of(one=numbers).drop("party", "name").rows()
    assert rows == found


def test_those_that_stopped_come_before_those_that_came_back():
    rows = silent_of(
        back=[60] * 6 + [0] + [60] * 5,
        small=[20] * 9 + [0] * 3,
        large=[90] * 9 + [0] * 3,
        steady=[50] * 12,
    )
    assert rows.select("party", "standing").rows() == [("large", "stopped"), ("small", "stopped"), ("back", "resumed")]


@pytest.mark.parametrize(
    ("as_at", "last"),
    [
        (datetime(2020, 3, 31, 0, 0), "2020-03"),
        (datetime(2020, 3, 30, 23, 59), "2020-02"),
        (datetime(2021, 1, 1), "2020-12"),
    ],
)
def test_a_month_is_judged_once_no_day_of_it_is_to_come(as_at, last):
    months = reporting.complete_months("2019-11", as_at)
    assert (months[0], months[1], months[2], months[-1]) == ("2019-11", "2019-12", "2020-01", last)


def test_coverage_by_party_and_month_counts_each_device_once(demonstration):
    table = reporting.by_party_and_month(demonstration.frame("counts"), "supplier_at_commissioning", {})
    own = outcomes_frame(demonstration).filter(pl.col("supplier_at_commissioning").is_not_null())
    party = own["supplier_at_commissioning"].value_counts().sort("count")["supplier_at_commissioning"][-1]
    of_party = own.filter(supplier_at_commissioning=party)
    for month in ("2020-01", "2021-08"):
        devices = [row for row in of_party.to_dicts() if f"{row['commissioned_at']:%Y-%m}" == month]
        due = [row for row in devices if row["reported"] != "not_due"]
        shown = table.filter(party=party, commissioned_month=month).row(0, named=True)
        assert shown["commissioned"] == len(devices) > 0
        assert shown["due"] == len(due)
        assert shown["verified"] == sum(row["actual"] != "unverified" for row in due)


def test_the_heat_map_marks_the_silent_months_and_keeps_to_so_many_parties():
    many = {f"party{number:02d}": [100 + 2 * number] * 12 for number in range(60)}
    table = reporting.by_party_and_month(counts_of(quiet=[20] * 9 + [0] * 3, **many), "supplier", {})
    silences = reporting.silences(table, MONTHS)
    silent = [("quiet", month) for month in MONTHS[9:]]
    heat, crosses = charts_method.by_party_and_month(table, silences, silent).data
    assert list(heat.y) == ["quiet", *(f"party{number:02d}" for number in range(59, 20, -1))]
    assert list(zip(crosses.y, crosses.x, strict=True)) == silent
    assert list(heat.z[0]) == [0.5] * 9 + [None] * 3


# --- the page -----------------------------------------------------------------------------------------------


@pytest.fixture
def app(demonstration, demonstration_home, monkeypatch):
    return page_of(demonstration_home / "marts", monkeypatch)


def page_of(marts, monkeypatch, page="data_and_method"):
    monkeypatch.setenv("PCO_MARTS", str(marts))
    app = AppTest.from_file(APP, default_timeout=60).run()
    return drawn(app.switch_page(f"app_pages/{page}.py"))


def drawn(app):
    with_open_tables(app.run())
    assert [error.value for error in app.error] == []
    assert [error.message for error in app.exception] == []
    return app


def text_of(app):
    return "\n".join(e.value for e in [*app.markdown, *app.header, *app.subheader, *app.caption, *app.info])


def road_of(app):
    return next(table.value for table in app.table if list(table.value.columns) == ["Stage", "What"])


def files_of(app):
    return next(frame.value for frame in app.dataframe if "SHA-256" in frame.value.columns)


@pytest.mark.parametrize("number", lineage.NUMBERS)
def test_the_road_ends_at_the_number_of_the_selected_devices(app, demonstration, number):
    app.multiselect(key="type").set_value(["ESME"])
    app.selectbox(key="number").set_value(number)
    last = road_of(drawn(app))["What"].iloc[-1]
    own = outcomes_frame(demonstration).filter(device_type="ESME")
    reported, actual, keys = own["reported"], own["actual"], own["device_keys"]
    due = reported.is_in(["passed", "failed"])
    by_hand = {
        "reported_failures": f"{(reported == 'failed').sum():,}",
        "reported_failure_rate": share((reported == "failed").sum(), due.sum()),
        "over_reported": f"{((reported == 'failed') & (actual == 'secure')).sum():,}",
        "missed_failures": f"{((reported == 'passed') & (actual == 'not_secure')).sum():,}",
        "verified_share": share((due & (actual != "unverified")).sum(), due.sum()),
        "device_keys_read_share": share((due & (keys != "not_read")).sum(), due.sum()),
        "actual_failure_rate": share(post_stratified(reported, actual), 1),
    }
    assert last.endswith(f": {by_hand[number]}")


def share(numerator, denominator):
    return f"{numerator / denominator:.2%}".replace("%", "\u00a0%")


def post_stratified(reported, actual):
    due = reported.is_in(["passed", "failed"]).sum()
    total = 0
    for stratum in ("passed", "failed"):
        mine = actual.filter(reported == stratum)
        verified = (mine != "unverified").sum()
        total += mine.len() / due * (mine == "not_secure").sum() / verified
    return total


def test_the_files_of_a_road_are_those_of_its_extracts_with_their_checksums(app, demonstration_home):
    shown = files_of(app)
    assert set(shown["extract"]) == {"devices", "service_responses", "dsp_checks"}
    on_disk = {
        file.relative_to(demonstration_home / "extracts").as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for name in set(shown["extract"])
        for file in (demonstration_home / "extracts" / name).rglob("*.parquet")
    }
    assert dict(zip(shown["file"], shown["SHA-256"], strict=True)) == on_disk


def test_the_sql_and_the_rules_are_shown_as_they_are(app):
    shown = [code.value for code in app.code]
    assert any("as attempt" in text and "from rows" in text for text in shown)
    assert any(text.startswith("def with_reported(") for text in shown)


def test_a_snapshot_without_checksums_is_shown_as_such(demonstration, monkeypatch, tmp_path):
    shutil.copytree(demonstration.folder.parents[1], tmp_path / "marts")
    file = tmp_path / "marts" / "snapshots" / demonstration.folder.name / "manifest.json"
    manifest = json.loads(file.read_text(encoding="utf-8"))
    for extract in manifest["extracts"].values():
        for described in extract["files"]:
            del described["sha256"]
    file.write_text(json.dumps(manifest), encoding="utf-8")
    seal(file.parent)
    shown = files_of(page_of(tmp_path / "marts", monkeypatch))
    assert set(shown["SHA-256"]) == {"not recorded"}


def test_quarantine_shows_up_to_five_samples_a_rule(app, demonstration):
    quarantine = demonstration.frame("quarantine")
    shown = next(pl.from_pandas(frame.value) for frame in app.dataframe if list(frame.value.columns)[-1] == "row")
    by_rule = {(row[0], row[1]): row[2] for row in shown.group_by("extract", "rule").len().rows()}
    held = {}
    for row in quarantine.to_dicts():
        key = (row["extract"], row["rule"])
        held[key] = held.get(key, 0) + len(row["samples"])
    assert by_rule == {key: min(number, 5) for key, number in held.items() if number}
    assert all(json.loads(text) for text in shown["row"])
    rows = sum(one["rows"] for one in demonstration.manifest["extracts"].values())
    bad = sum(one["quarantined"] for one in demonstration.manifest["extracts"].values())
    assert f"{bad:,} of {rows:,} rows read were quarantined" in text_of(app)


def test_with_one_snapshot_there_is_nothing_to_put_beside_it(app):
    assert "is the only one kept" in text_of(app)


def test_an_empty_selection_says_what_to_loosen(app):
    app.select_slider(key="period").set_value(("2018-01", "2018-01"))
    app.multiselect(key="type").set_value(["GPF"])
    app.multiselect(key="region").set_value(["South"])
    assert "Widen the period" in drawn(app).warning[0].value


# --- two snapshots ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_kept(tmp_path_factory):
    """Marts of three snapshots of one estate; before the last a file was changed and one added."""
    home = tmp_path_factory.mktemp("kept")
    generate(home / "own", 2_000, seed=3)
    for as_at, grace in (("2021-03-31", 7), ("2021-06-30", 9)):
        build(home / "own", home / "marts", Parameters(as_at=datetime.fromisoformat(as_at), grace_days=grace))
    parties = home / "own" / "parties"
    file = next(parties.rglob("*.parquet"))
    rows = pl.read_parquet(file, glob=False)
    rows.reverse().write_parquet(file)
    rows.head(1).write_parquet(parties / "again.parquet")
    build(home / "own", home / "marts")
    return home / "marts"


def beside(app):
    return next(table.value for table in app.table if "Snapshot 3" in table.value.columns)


def test_two_snapshots_are_put_side_by_side(two_kept, monkeypatch):
    app = page_of(two_kept, monkeypatch)
    assert (app.selectbox(key="before").value, app.selectbox(key="now").value) == (2, 3)
    app.selectbox(key="before").set_value(1)
    shown = beside(drawn(app)).set_index("What")
    assert shown.loc["As at", "Snapshot 1"] == "31 March 2021, 00:00 UTC"
    assert list(shown.loc["Grace period"]) == ["7 days", "7 days"]
    first, last = (json.loads((two_kept / "snapshots" / n / "manifest.json").read_text()) for n in ("000001", "000003"))
    for name in contracts():
        assert list(shown.loc[f"{name}: rows read (quarantined)"]) == [
            f"{one['extracts'][name]['rows']:,} ({one['extracts'][name]['quarantined']:,})" for one in (first, last)
        ]
    files = sum(len(extract["files"]) for extract in last["extracts"].values())
    assert shown.loc["Extract files", "Snapshot 3"] == (
        f"{files} files: {files - 2} the same, 1 of other content, 1 new; 0 gone"
    )
    assert "since snapshot 1" in text_of(app)


def test_another_grace_period_is_said(two_kept, monkeypatch):
    assert "Its grace period was 9 days, now it is 7." in text_of(page_of(two_kept, monkeypatch))


def test_one_snapshot_beside_itself_is_not_compared(two_kept, monkeypatch):
    app = page_of(two_kept, monkeypatch)
    app.selectbox(key="before").set_value(3)
    assert "Choose two different snapshots." in text_of(drawn(app))


def test_rates_side_by_side_are_those_of_the_selected_devices(two_kept, monkeypatch):
    app = page_of(two_kept, monkeypatch)
    app.multiselect(key="type").set_value(["CHF"])
    shown = beside(drawn(app)).set_index("What")
    own = outcomes_frame(current(two_kept)).filter(device_type="CHF")
    due = own.filter(pl.col("reported") != "not_due").height
    assert shown.loc["Devices due, of those selected", "Snapshot 3"] == f"{due:,}"
    failed = own.filter(reported="failed").height
    assert shown.loc["Reported failed, of those due", "Snapshot 3"] == share(failed, due)


def test_checksums_that_are_not_there_compare_nothing():
    class Kept:
        def __init__(self, **files):
            self.manifest = {"extracts": {"devices": {"files": [{"name": n} | f for n, f in files.items()]}}}

    old, new = Kept(a={}), Kept(a={"sha256": "1"})
    assert words_method.compared_files(old, new) == "1 file (their checksums were not recorded in both)"


# --- definitions --------------------------------------------------------------------------------------------


def test_definitions_hold_every_term_of_the_glossary(two_kept, monkeypatch):
    app = page_of(two_kept, monkeypatch, "definitions")
    assert [title.value for title in app.title] == ["Definitions"]
    text = (PROJECT / "data" / "reference" / "glossary.csv").read_text(encoding="utf-8")
    terms = [row["term"] for row in csv.DictReader(text.splitlines())]
    assert list(app.table[0].value["Term"]) == terms
    assert len(app.expander) == len(contracts())
