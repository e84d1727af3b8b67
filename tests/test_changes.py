"""What changed between two snapshots, held against plain Python over the exported outcomes of both."""

import shutil
from collections import Counter
from datetime import datetime
from pathlib import Path
from unittest.mock import patch

import polars as pl
import pytest
from builds import device, folders, pco, pco_build, secure_devices
from streamlit.testing.v1 import AppTest

from analysis import changes, reporting
from analysis.pipeline import FINDINGS, Parameters, build
from analysis.rates import rates
from analysis.selection import Selection, select
from dashboard import charts_changes, words_changes
from data import reduction
from data.changes import changed_findings, is_whole, shared_devices
from data.estate import generate
from data.export import outcomes_frame
from data.marts import snapshots
from tests.app_pages import with_open_tables

APP = Path(__file__).resolve().parent.parent / "dashboard" / "streamlit_app.py"
EARLY, MIDDLE = "2021-03-31T00:00", "2021-05-31T00:00"


@pytest.fixture(scope="session")
def kept(tmp_path_factory):
    """Marts of: another estate, one estate at two instants, the middle one twice, and its latest."""
    home = tmp_path_factory.mktemp("several")
    generate(home / "other", 300, seed=2)
    generate(home / "own", 4_000, seed=1)
    build(home / "other", home / "marts")
    for as_at, grace in ((EARLY, 7), (MIDDLE, 21), (MIDDLE, 7)):
        build(home / "own", home / "marts", Parameters(as_at=datetime.fromisoformat(as_at), grace_days=grace))
    build(home / "own", home / "marts")
    return home / "marts"


def of_number(marts, number):
    return next(one for one in snapshots(marts) if one.number == number)


def by_hand(earlier, later, keeps=lambda row: True):
    """(finding before, finding now) -> Devices, from the exported rows; the later row says whether a Device is kept."""
    before = {row["device_id"]: row for row in outcomes_frame(earlier).to_dicts()}
    now = {row["device_id"]: row for row in outcomes_frame(later).to_dicts()}
    found = Counter()
    for device_id in before.keys() | now.keys():
        if keeps(now.get(device_id) or before[device_id]):
            pair = (
                before[device_id]["finding"] if device_id in before else "absent",
                now[device_id]["finding"] if device_id in now else "absent",
            )
            found[pair] += 1
    return found


def compared(earlier, later, selection):
    changed = select(changed_findings(earlier, later), selection)
    return changes.matrix(changed, select(reporting.tally(pl.scan_parquet(later.files("counts"))), selection))


def counted(table):
    return Counter({(b, n): devices for b, n, devices in table.select("before", "now", "devices").rows() if devices})


@pytest.fixture(scope="module")
def in_buckets(tmp_path_factory):
    """An estate at two instants, each with 16 files of outcomes."""
    home = tmp_path_factory.mktemp("buckets")
    generate(home / "own", 1_000, seed=1)
    with patch.object(reduction, "DEVICES_A_BUCKET", 64):
        for as_at in (EARLY, MIDDLE):
            build(home / "own", home / "marts", Parameters(as_at=datetime.fromisoformat(as_at)))
    return snapshots(home / "marts")


@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_buckets_compared_some_at_a_time_give_the_whole(in_buckets, at_once):
    earlier, later = in_buckets
    assert len(earlier.files("outcomes")) == len(later.files("outcomes")) >= 8
    with patch("data.changes.BUCKETS_AT_ONCE", at_once):
        table = compared(earlier, later, Selection())
        shared = shared_devices(earlier, later)
    assert counted(table) == by_hand(earlier, later)
    assert shared == len({*outcomes_frame(earlier)["device_id"]} & {*outcomes_frame(later)["device_id"]})


@pytest.mark.parametrize(("before", "now"), [(2, 5), (5, 2), (3, 4), (4, 5)])
def test_the_matrix_equals_plain_python_over_both_exports(kept, before, now):
    earlier, later = of_number(kept, before), of_number(kept, now)
    table = compared(earlier, later, Selection())
    wanted = by_hand(earlier, later)
    assert counted(table) == wanted
    assert len(wanted) > 5
    found = changes.totals(table)
    assert found["both"] == shared_devices(earlier, later)
    assert found["both"] + found["new"] == later.rows("outcomes")
    assert found["both"] + found["left"] == earlier.rows("outcomes")


def test_the_matrix_of_filtered_devices_goes_by_what_the_later_snapshot_says(kept):
    earlier, later = of_number(kept, 2), of_number(kept, 5)
    supplier = outcomes_frame(later)["supplier"].drop_nulls().value_counts().sort("count")["supplier"][-1]
    chosen = Selection("2019-06", "2021-07", ("ESME", "GPF"), ("North",), "supplier", (supplier,))

    def keeps(row):
        return (
            row["device_type"] in ("ESME", "GPF")
            and row["csp_region"] == "North"
            and "2019-06" <= f"{row['commissioned_at']:%Y-%m}" <= "2021-07"
            and row["supplier"] == supplier
        )

    wanted = by_hand(earlier, later, keeps)
    assert wanted
    assert counted(compared(earlier, later, chosen)) == wanted


def test_a_device_that_left_the_scope_is_counted_as_left(tmp_path):
    own = folders(tmp_path / "a", secure_devices((1, 2, 3)))
    assert pco_build(own).status == 0
    rows = secure_devices((1, 2, 3))
    rows["devices"][0] = device(1, device_status="Decommissioned")
    later = folders(tmp_path / "b", rows)
    assert pco_build(later._replace(marts=own.marts)).status == 0
    table = compared(*snapshots(own.marts), Selection())
    assert counted(table) == {("confirmed_pass", "confirmed_pass"): 2, ("confirmed_pass", "absent"): 1}
    assert changes.totals(table)["left"] == 1


def test_every_finding_has_a_row_and_a_column():
    assert set(changes.FINDINGS) == {*FINDINGS.values(), "not_due"}


def changed_rows(*rows):
    schema = {"finding_before": pl.String, "finding_now": pl.String, "devices": pl.Int64}
    return pl.DataFrame(rows, schema, orient="row")


NOW = pl.DataFrame({"finding": ["missed_failure", "confirmed_pass", "confirmed_failure"], "devices": [19, 50, 6]})
CHANGED = changed_rows(
    ("over_reported", "missed_failure", 9),
    ("confirmed_pass", "missed_failure", 2),
    ("unverified_pass", "confirmed_failure", 4),
    ("missed_failure", "confirmed_pass", 3),
    ("missed_failure", None, 1),
    (None, "confirmed_pass", 7),
)


def test_what_did_not_change_is_what_is_left():
    table = changes.matrix(CHANGED, NOW)
    unchanged = {row["now"]: row["devices"] for row in table.filter(kind="unchanged").to_dicts() if row["devices"]}
    assert unchanged == {"missed_failure": 8, "confirmed_pass": 40, "confirmed_failure": 2}


def test_the_dangerous_changes_come_first():
    listed = changes.changes_only(changes.matrix(CHANGED, NOW))
    assert listed.select("before", "now").rows() == [
        ("confirmed_pass", "missed_failure"),
        ("over_reported", "missed_failure"),
        ("unverified_pass", "confirmed_failure"),
        ("missed_failure", "absent"),
        ("missed_failure", "confirmed_pass"),
        ("absent", "confirmed_pass"),
    ]


@pytest.mark.parametrize(
    ("before", "now", "kind"),
    [
        ("confirmed_pass", "missed_failure", "newly_missed"),
        ("confirmed_failure", "missed_failure", "newly_missed"),
        ("absent", "missed_failure", "newly_missed"),
        ("over_reported", "confirmed_failure", "newly_not_secure"),
        ("not_due", "confirmed_failure", "newly_not_secure"),
        ("confirmed_failure", "unverified_failure", "out_of_sight"),
        ("missed_failure", "absent", "out_of_sight"),
        ("confirmed_failure", "not_due", "out_of_sight"),
        ("confirmed_failure", "over_reported", "mended"),
        ("missed_failure", "confirmed_failure", "mended"),
        ("not_due", "confirmed_pass", "other"),
        ("confirmed_pass", "absent", "other"),
        ("missed_failure", "missed_failure", "unchanged"),
    ],
)
def test_kind_of_a_change(before, now, kind):
    assert changes.kind_of(before, now) == kind


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1_000, "1.0k"),
        (9_949, "9.9k"),
        (9_950, "10k"),
        (999_499, "999k"),
        (999_500, "1.0m"),
        (9_577_010, "9.6m"),
        (12_000_000, "12m"),
    ],
)
def test_a_number_in_a_cell_is_short(number, text):
    assert charts_changes.compact(number) == text


@pytest.mark.parametrize(
    ("colour", "ink"), [("#FFFFFF", "black"), ("#000000", "white"), ("#A07800", "black"), ("#0072B2", "white")]
)
def test_numbers_are_read_on_any_colour(colour, ink):
    assert charts_changes.ink(colour) == ink


def test_the_matrix_is_drawn_with_each_number_in_its_cell():
    figure = charts_changes.matrix(changes.matrix(CHANGED, NOW))
    texts = {
        (y, x): text
        for trace in figure.data
        if trace.type == "scatter" and trace.mode == "text"
        for x, y, text in zip(trace.x, trace.y, trace.text, strict=True)
    }
    assert texts == {
        ("Over reported", "Missed failure"): "9",
        ("Confirmed pass", "Missed failure"): "2",
        ("Unverified pass", "Confirmed failure"): "4",
        ("Missed failure", "Confirmed pass"): "3",
        ("Missed failure", "Left"): "1",
        ("New", "Confirmed pass"): "7",
        ("Missed failure", "Missed failure"): "8",
        ("Confirmed pass", "Confirmed pass"): "40",
        ("Confirmed failure", "Confirmed failure"): "2",
    }


def test_estates_are_told_apart(kept):
    other, own, latest = (of_number(kept, number) for number in (1, 2, 5))
    assert shared_devices(other, latest) == 0
    assert not reporting.is_same_estate(0, other.rows("outcomes"), latest.rows("outcomes"))
    shared = shared_devices(own, latest)
    assert reporting.is_same_estate(shared, own.rows("outcomes"), latest.rows("outcomes"))
    assert not reporting.is_same_estate(0, 0, 10)


def test_a_snapshot_that_lost_a_table_is_not_whole(kept, tmp_path):
    shutil.copytree(kept, tmp_path / "marts")
    broken = of_number(tmp_path / "marts", 3)
    assert is_whole(broken)
    broken.files("outcomes")[0].unlink()
    assert not is_whole(broken)


# --- by report ----------------------------------------------------------------------------------------------


def report(number, as_at, counts):
    return reporting.Report(number, as_at, datetime(2021, 9, 1), 7, counts)


def test_reports_are_in_the_order_of_their_instants_and_the_last_built_of_one_stands(kept):
    counts = of_number(kept, 5).frame("counts")
    june, july = datetime(2021, 6, 30), datetime(2021, 7, 31)
    table = reporting.by_report([report(1, july, counts), report(2, june, counts), report(3, july, counts)])
    assert table.select("snapshot", "superseded").rows() == [(2, False), (1, True), (3, False)]


def test_reports_of_one_instant_are_not_said_to_have_gone_anywhere(kept):
    counts = of_number(kept, 5).frame("counts")
    july = datetime(2021, 7, 31)
    title = words_changes.reports_title(reporting.by_report([report(1, july, counts), report(2, july, counts)]))
    assert title.startswith("Every report kept speaks of 31 July 2021; the one built last says ")


@pytest.mark.parametrize(
    ("months", "found"),
    [
        ([], []),
        (["2020-12", "2021-01", "2021-03"], [("2020-12", "2021-01", 2), ("2021-03", "2021-03", 1)]),
        (["2020-01", "2021-01"], [("2020-01", "2020-01", 1), ("2021-01", "2021-01", 1)]),
    ],
)
def test_runs_of_months(months, found):
    assert reporting.runs(months) == found


def test_months_over_the_tolerance_are_listed_for_both_series():
    months = pl.DataFrame(
        {
            "commissioned_month": ["2020-12", "2021-01", "2021-03"],
            "reported_failure_rate": [0.08, 0.04, 0.031],
            "actual_failure_rate": [0.01, None, 0.04],
            "actual_low": [0.005, None, 0.02],
        }
    )
    said = words_changes.breaches(months, 0.03)
    assert "* **Reported** (3): December 2020 to January 2021, March 2021." in said
    assert "* **Actual** (1): March 2021. In none of these is the whole 95 % interval over it." in said
    assert "**Actual** (0): none." in words_changes.breaches(months, 0.05)


def test_the_last_month_is_one_in_which_no_device_is_still_in_its_grace_period():
    counts = pl.DataFrame(
        {
            "commissioned_month": ["2021-06", "2021-07", "2021-07", "2021-08"],
            "reported": ["passed", "failed", "not_due", "not_due"],
            "devices": [5, 3, 1, 9],
        }
    )
    assert reporting.last_month_all_due(counts) == "2021-06"
    assert reporting.last_month_all_due(counts.filter(commissioned_month="2021-08")) is None


# --- the Overview -------------------------------------------------------------------------------------------


@pytest.fixture
def overview(kept, monkeypatch):
    return lambda marts=kept: shown(marts, monkeypatch)


def shown(marts, monkeypatch):
    monkeypatch.setenv("PCO_MARTS", str(marts))
    return drawn(AppTest.from_file(APP, default_timeout=60))


def drawn(app):
    with_open_tables(app.run())
    assert [error.value for error in app.error] == []
    assert [error.message for error in app.exception] == []
    return app


def text_of(app):
    return "\n".join(e.value for e in [*app.markdown, *app.header, *app.subheader, *app.caption, *app.info])


def table_with(app, column):
    return next(pl.from_pandas(frame.value) for frame in app.dataframe if column in frame.value.columns)


def test_overview_has_a_point_a_report_of_this_estate(overview, kept):
    app = overview()
    told = table_with(app, "superseded")
    assert told["snapshot"].to_list() == [2, 3, 4, 5]
    assert told["superseded"].to_list() == [False, True, False, False]
    for row in told.to_dicts():
        own = outcomes_frame(of_number(kept, row["snapshot"]))
        reported = Counter(own["reported"])
        assert row["due"] == reported["passed"] + reported["failed"]
        assert row["reported_failures"] == reported["failed"]
    said = text_of(app)
    assert "Not shown, as it is of another estate: snapshot 1." in said
    assert "Open marks, joined to none: snapshot 3, of whose instant another was built later." in said
    assert "snapshot 3: 21 days" in said


def test_overview_names_what_changed_since_the_previous_snapshot_under_filters(overview, kept):
    app = overview()
    app.multiselect(key="type").set_value(["ESME"])
    drawn(app)
    wanted = by_hand(of_number(kept, 4), of_number(kept, 5), lambda row: row["device_type"] == "ESME")
    told = table_with(app, "before")
    assert counted(told) == wanted
    both = sum(n for (before, now), n in wanted.items() if "absent" not in (before, now))
    changed = sum(n for (before, now), n in wanted.items() if "absent" not in (before, now) and before != now)
    newly = sum(n for (before, now), n in wanted.items() if now == "missed_failure" and before != now)
    title = next(element.value for element in app.subheader if "since snapshot 4" in element.value)
    assert f"{changed:,} of the {both:,} Devices in both have another finding" in title
    assert title.startswith(f"{newly:,} Device" if newly else "No Device became")


def test_overview_says_that_the_previous_snapshot_was_removed(overview, kept, tmp_path):
    shutil.copytree(kept, tmp_path / "marts")
    shutil.rmtree(tmp_path / "marts" / "snapshots" / "000004")
    said = text_of(overview(tmp_path / "marts"))
    assert "snapshot 4, which came before this one, is no longer kept" in said
    assert "have another finding" not in said


def test_overview_does_not_compare_with_another_estate(overview, kept, tmp_path):
    (tmp_path / "marts" / "snapshots").mkdir(parents=True)
    for number in ("000001", "000002"):
        shutil.copytree(kept / "snapshots" / number, tmp_path / "marts" / "snapshots" / number)
    (tmp_path / "marts" / "CURRENT").write_text("000002\n")
    said = text_of(overview(tmp_path / "marts"))
    assert "Snapshots 1 and 2 are of different estates:** no Device is in both" in said
    assert "only report of this estate that is kept" in said
    assert "Also kept, but of another estate: snapshot 1." in said


def test_overview_of_a_first_snapshot_says_so_in_words(overview, demonstration_home):
    app = overview(demonstration_home / "marts")
    said = text_of(app)
    assert "this is the first one" in said
    assert "only report of this estate that is kept" in said
    assert not any("superseded" in frame.value.columns for frame in app.dataframe)


def test_the_sentence_of_the_last_month_equals_the_export(overview, demonstration, demonstration_home, tmp_path):
    said = text_of(overview(demonstration_home / "marts"))
    to = tmp_path / "outcomes.parquet"
    assert pco("export", "outcomes", "--marts", demonstration_home / "marts", "--to", to).status == 0
    own = pl.read_parquet(to).with_columns(month=pl.col("commissioned_at").dt.strftime("%Y-%m"))
    not_all_due = set(own.filter(reported="not_due")["month"])
    month = max(set(own["month"]) - not_all_due)
    of_month = own.filter(pl.col("month") == month)
    failed = of_month.filter(reported="failed").height
    assert f"Of the {of_month.height:,} Devices commissioned in {datetime.fromisoformat(month + '-01'):%B %Y}, " in said
    rate = rates(demonstration.frame("counts").filter(commissioned_month=month))["actual_failure_rate"].item()
    about = round(rate * of_month.height)
    assert f"{failed:,} were reported failed; the certificates say about {about:,} are." in said
