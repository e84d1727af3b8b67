"""The Causes page's list of deviations and its scenario, in plain Python from the exported outcomes."""

from collections import Counter, defaultdict
from pathlib import Path
from xml.etree import ElementTree

import estates
import oracle
import polars as pl
import pytest
from hypothesis import given
from scipy.stats import binom
from streamlit.testing.v1 import AppTest
from test_build import GOOD, built, few, planned

from analysis import deviations, views
from analysis.causes import cause_names, label_of
from analysis.scenario import without_causes
from dashboard import charts_causes, words_causes
from data.export import outcomes_frame
from tests.app_pages import with_open_tables

DUE = ("passed", "failed")


@pytest.fixture(scope="module")
def outcomes(demonstration):
    return outcomes_frame(demonstration).to_dicts()


def figures(outcomes, left_out):
    """What `without_causes` gives, counted Device by Device."""
    failed = [row for row in outcomes if row["reported"] == "failed"]
    kept = Counter(row["actual"] for row in failed if row["cause"] not in left_out)
    out = Counter(row["actual"] for row in failed if row["cause"] in left_out)
    due = sum(row["reported"] in DUE for row in outcomes)
    return {
        "due": due,
        "reported_failures": kept.total(),
        "reported_failure_rate": pytest.approx(kept.total() / due) if due else None,
        "over_reported": kept["secure"],
        "confirmed_failures": kept["not_secure"],
        "unverified_failures": kept["unverified"],
        "missed_failures": sum(row["finding"] == "missed_failure" for row in outcomes),
        "left_out": out.total(),
        "removed": out["secure"],
        "hidden": out["not_secure"],
        "unverified_left_out": out["unverified"],
    }


# --- the scenario -------------------------------------------------------------------------------------------

SCENARIOS = [(), ("timeout",), ("empty_status", "unexplained"), cause_names()]


@pytest.mark.parametrize("left_out", SCENARIOS)
def test_a_scenario_equals_plain_python(demonstration, outcomes, left_out):
    assert without_causes(demonstration.frame("counts"), left_out) == figures(outcomes, left_out)


@few(12)
@given(plan=planned(GOOD), as_at=estates.as_ats())
def test_scenarios_of_random_estates_equal_the_oracles(plan, as_at):
    extracts = estates.make_estate(**plan | {"devices": 12})
    clean, _ = oracle.check(extracts, estates.BUILD_START)
    wanted = oracle.outcomes(clean, as_at, 7)
    with built(extracts, as_at) as snapshot:
        counts = snapshot.frame("counts")
    for left_out in [*SCENARIOS, *((cause,) for cause in cause_names())]:
        assert without_causes(counts, left_out) == figures(wanted, left_out)


def test_leaving_a_cause_out_is_not_the_amendment_that_accepts_it(demonstration):
    """A Device goes by its first cause, though the amendment of that cause alone would not pass it."""
    amendments = demonstration.frame("amendments").to_dicts()
    accepted = next(
        row for row in amendments if (row["amendments"], row["evidence"]) == (["accept_empty_status"], False)
    )
    left_out = without_causes(demonstration.frame("counts"), ("empty_status",))
    assert left_out["reported_failures"] < accepted["reported_failures"]


# --- the list -----------------------------------------------------------------------------------------------


def months_back(month, back):
    number = int(month[:4]) * 12 + int(month[5:]) - 1 - back
    return f"{number // 12}-{number % 12 + 1:02d}"


def test_the_trend_compares_the_last_year_with_the_one_before(demonstration, outcomes):
    found = deviations.change(views.cause_trend(demonstration.frame("counts")))
    due = [row | {"month": f"{row['commissioned_at']:%Y-%m}"} for row in outcomes if row["reported"] in DUE]
    last = max(row["month"] for row in due)
    recent = [row for row in due if row["month"] > months_back(last, 12)]
    earlier = [row for row in due if months_back(last, 24) < row["month"] <= months_back(last, 12)]
    assert found["cause"].to_list() == list(cause_names())
    for row in found.to_dicts():
        shares = [sum(one["cause"] == row["cause"] for one in group) / len(group) for group in (earlier, recent)]
        assert [row["earlier_share"], row["recent_share"]] == pytest.approx(shares)
        assert row["change"] == pytest.approx(shares[1] - shares[0])


def trend_of(months):
    return pl.DataFrame(
        {"commissioned_month": months, "cause": "timeout", "reported_failures": 1, "due": 10, "share_of_due": 0.1}
    )


def test_the_trend_is_not_known_without_24_months_behind_it():
    months = [months_back("2021-08", back) for back in range(24)]
    assert deviations.change(trend_of(months))["change"].to_list() == [0]
    assert deviations.change(trend_of(months[:-1]))["change"].to_list() == [None]
    assert deviations.change(trend_of([months[0], months[-1]]))["earlier_share"].to_list() == [pytest.approx(0.1)]
    # The year before has no Device due.
    assert deviations.change(trend_of([months[0], months_back("2021-08", 30)]))["change"].to_list() == [None]


@pytest.mark.parametrize("role", ["supplier_at_commissioning", "supplier", "network_operator"])
def test_the_parties_named_are_above_the_limit_of_chance(demonstration, outcomes, role):
    found = deviations.most_affected(demonstration.frame("counts"), role)
    due, failed = Counter(), defaultdict(Counter)
    for row in outcomes:
        due[row[role]] += row["reported"] in DUE
        failed[row["cause"]][row[role]] += row["reported"] == "failed"
    for cause in cause_names():
        rate = failed[cause].total() / due.total()
        above = {
            party: failed[cause][party] / number
            for party, number in due.items()
            if party and number and failed[cause][party] > max(binom.ppf(0.999, number, rate), number * rate)
        }
        first = sorted(above, key=lambda party: (-above[party], party))[:3]
        rows = found.filter(pl.col("cause") == cause)
        assert rows[role].to_list() == first
        for row in rows.to_dicts():
            assert (row["failures"], row["due"]) == (failed[cause][row[role]], due[row[role]])
            assert row["share_of_due"] == pytest.approx(above[row[role]])


def counted(supplier, reported, cause, devices):
    return {"supplier": supplier, "reported": reported, "cause": cause, "devices": devices}


def test_a_small_party_and_no_party_are_not_named_and_at_most_so_many_are():
    rows = [counted("LARGE", "passed", None, 100_000), counted("LARGE", "failed", "timeout", 1_000)]
    rows += [counted("SMALL", "failed", "timeout", 1), counted(None, "failed", "timeout", 60)]
    rows += [
        row
        for place in range(5)
        for row in (
            counted(f"BAD{place}", "failed", "timeout", 40 + place),
            counted(f"BAD{place}", "passed", None, 160 - place),
        )
    ]
    found = deviations.most_affected(pl.DataFrame(rows), "supplier")
    assert found.select("cause", "supplier", "failures", "due").rows() == [
        ("timeout", "BAD4", 44, 200),
        ("timeout", "BAD3", 43, 200),
        ("timeout", "BAD2", 42, 200),
    ]


def test_a_month_of_few_devices_does_not_stretch_the_small_chart():
    trend = pl.DataFrame(
        {
            "commissioned_month": ["2020-01", "2020-02", "2020-03"],
            "cause": "timeout",
            "reported_failures": [1, 20, 30],
            "due": [2, 1_000, 1_000],
            "share_of_due": [0.5, 0.02, 0.03],
        }
    )
    drawing = ElementTree.fromstring(charts_causes.sparkline(trend, "timeout"))
    points = [tuple(map(float, point.split(","))) for point in drawing.find("{*}polyline").get("points").split()]
    floor = max(float(line.get("y1")) for line in drawing.findall(".//{*}line"))
    beyond, twenty, thirty = (floor - y for _, y in points)
    assert twenty / thirty == pytest.approx(2 / 3, abs=0.01)
    assert thirty < beyond == pytest.approx(thirty * 1.05, abs=0.2)
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    said = charts_causes.caption(trend).replace("\u00a0", " ")
    assert said == "Share of Devices due, January 2020 to March 2020; dotted line: 3.0 %, line: 0 %"


# --- the page -----------------------------------------------------------------------------------------------

APP = Path(__file__).resolve().parent.parent / "dashboard" / "streamlit_app.py"


@pytest.fixture
def app(demonstration_home, monkeypatch):
    monkeypatch.setenv("PCO_MARTS", str(demonstration_home / "marts"))
    app = AppTest.from_file(APP, default_timeout=60).run()
    return drawn(app.switch_page("app_pages/causes.py"))


def drawn(app):
    with_open_tables(app.run())
    assert [title.value for title in app.title] == ["Causes"]
    assert [error.value for error in app.error] == []
    assert [error.message for error in app.exception] == []
    return app


def metrics(app):
    return {metric.label: metric.value for metric in app.metric}


def said(app):
    return "\n".join(element.value for element in [*app.markdown, *app.subheader, *app.caption])


@pytest.mark.parametrize("left_out", SCENARIOS)
def test_the_page_shows_the_scenario_at_once(app, outcomes, left_out):
    app.multiselect(key="type").set_value(["ESME", "GSME"])
    for cause in left_out:
        app.toggle(key=f"without_{cause}").set_value(True)
    drawn(app)
    wanted = figures([row for row in outcomes if row["device_type"] in ("ESME", "GSME")], left_out)
    shown = metrics(app)
    rate = wanted["reported_failures"] / wanted["due"]
    assert shown["Reported failure rate"] == f"{rate:.1%}".replace("%", "\u00a0%")
    assert shown["Over-reported left"] == f"{wanted['over_reported']:,}"
    assert shown["Confirmed failures hidden"] == f"{wanted['hidden']:,}"
    assert shown["Missed failures"] == f"{wanted['missed_failures'] + wanted['hidden']:,}"
    assert f"({wanted['reported_failures']:,} of {wanted['due']:,} due)" in said(app)
    assert ("would no longer be reported failed" in said(app)) == bool(left_out)


def test_the_list_names_every_cause_with_its_devices(app, outcomes):
    table = pl.from_pandas(app.dataframe[-1].value)
    failed = Counter(row["cause"] for row in outcomes if row["reported"] == "failed")
    assert dict(table.select("label", "reported_failures").rows()) == {label_of(c): failed[c] for c in cause_names()}
    explained = sorted((number for cause, number in failed.items() if cause != "unexplained"), reverse=True)
    assert table["reported_failures"].to_list() == [*explained, failed["unexplained"]]
    assert table["share"].sum() == pytest.approx(1)
    for cause in cause_names():
        assert words_causes.resolves(cause) in said(app)
    assert said(app).count("*Trend:*") == len(cause_names())


def test_a_short_period_says_that_the_trend_is_not_known(app):
    app.select_slider(key="period").set_value(("2020-06", "2021-03"))
    assert said(drawn(app)).count("*Trend:* not known") == len(cause_names())
