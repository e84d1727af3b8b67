"""Communications Hubs: Incidents beside outcomes, in plain Python from rows, with an extract of them and without."""

from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from shutil import copytree, ignore_patterns

import builds
import estates
import numpy as np
import oracle
import polars as pl
import pytest
from hypothesis import assume, given
from oracle.amendments import amended_report
from oracle.outcomes import judged_devices
from scipy.stats import norm
from statsmodels.duration.survfunc import SurvfuncRight
from streamlit.testing.v1 import AppTest
from test_build import GOOD, built, few, planned

from analysis import hubs
from analysis.amendments import AMENDMENTS, amendment_sets
from analysis.criteria import under
from analysis.pipeline import build
from analysis.selection import Selection
from dashboard import charts_hubs, words_hubs
from data.export import outcomes_frame
from tests.app_pages import with_open_tables

EVERYTHING = Selection()
DAY = timedelta(days=1)


def rows_of(snapshot, incidents=None):
    as_at = datetime.fromisoformat(snapshot.manifest["as_at"])
    incidents = snapshot.frame("incidents") if incidents is None else incidents
    return hubs.with_devices(incidents, pl.scan_parquet(snapshot.files("outcomes"), glob=False), as_at)


def key_of(eui):
    return int(eui.replace("-", ""), 16)


# --- against the oracle -------------------------------------------------------------------------------------


def standing_of(outcome):
    if outcome is None:
        return "not_in_scope"
    return outcome["reported"] if outcome["device_type"] == "CHF" else "not_a_chf"


def verdict_of(outcome):
    return outcome["actual"] if outcome and outcome["device_type"] == "CHF" else "no_chf"


@few(25)
@given(plan=planned(GOOD), as_at=estates.as_ats())
def test_incidents_of_random_estates_equal_plain_python(plan, as_at):
    extracts = estates.make_estate(**plan | {"devices": 12})
    clean, _ = oracle.check(extracts, estates.BUILD_START)
    incidents = {tuple(sorted(row.items(), key=str)): row for row in clean.get("incidents", [])}.values()
    assume(incidents)
    as_at = as_at or oracle.default_as_at(clean)
    judged = {outcome["device_id"]: (outcome, holding) for outcome, holding in judged_devices(clean, as_at, 7)}
    with built(extracts, as_at) as snapshot:
        rows = rows_of(snapshot)
        chosen = hubs.selected(rows, EVERYTHING)
        table = hubs.amended(chosen)
        by_region = hubs.by_region(chosen) if chosen.height else None
    found = {row["incident_id"]: row for row in rows.to_dicts()}
    assert len(found) == rows.height == len(incidents)
    for row in incidents:
        outcome, _ = judged.get(row["device_id"], (None, None))
        mine = found[row["incident_id"]]
        assert (mine["standing"], mine["verdict"]) == (standing_of(outcome), verdict_of(outcome))
        is_open = row["closed_at"] is None or row["closed_at"] > as_at
        days = ((as_at if is_open else row["closed_at"]) - row["raised_at"]) / DAY
        assert mine["is_open"] == is_open
        assert mine["is_later"] == (row["raised_at"] > as_at)
        assert mine["days"] == (pytest.approx(days) if days >= 0 else None)
    known = [row for row in incidents if row["raised_at"] <= as_at]
    assert chosen.height == len(known)
    assert chosen["devices"].sum() == len({row["device_id"] for row in known})
    if known:
        total = by_region.row(-1, named=True)
        verdicts = Counter(verdict_of(judged.get(row["device_id"], (None,))[0]) for row in known)
        assert {verdict: total[verdict] for verdict in hubs.VERDICTS} == {v: verdicts[v] for v in hubs.VERDICTS}
        assert by_region["raised"][:-1].sum() == total["raised"] == len(known)
    failed = [
        judged[row["device_id"]] for row in known if standing_of(judged.get(row["device_id"], [None])[0]) == "failed"
    ]
    for amendments in amendment_sets():
        for evidence in (False, True):
            passing = [o["actual"] for o, h in failed if amended_report(o, h, amendments, evidence) == "passed"]
            row = under(table, amendments, evidence)
            assert row["newly_passed"] == len(passing)
            assert row["reported_failures"] == len(failed) - len(passing)
            assert (row["over_reported_removed"], row["missed_created"], row["unverified_passed"]) == tuple(
                passing.count(verdict) for verdict in ("secure", "not_secure", "unverified")
            )


def test_incidents_about_every_device_are_counted_as_the_counts_are(demonstration):
    outcomes = pl.read_parquet(demonstration.files("outcomes"))
    one_each = pl.DataFrame(
        {"incident_id": [f"I{key}" for key in outcomes["device_key"]], "device_key": outcomes["device_key"]}
    ).with_columns(raised_at=pl.lit(datetime(2020, 1, 1)), closed_at=pl.lit(None, pl.Datetime), resolution=pl.lit(""))
    by = ["device_type", "csp_region", "supplier", "commissioned_month", "reported", "actual", "unmet", "signature"]
    told = rows_of(demonstration, one_each).group_by(by).agg(devices=pl.col("incidents").sum())
    wanted = demonstration.frame("counts").group_by(by).agg(pl.col("devices").sum())
    assert wanted.filter(pl.col("signature") > 0).height > 100
    assert told.sort(by, nulls_last=True).equals(wanted.sort(by, nulls_last=True))


# --- by hand ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """As at 20 March: CHF 1 failed and secure, CHF 2 passed and secure; 3 is an ESME; 9 is in no inventory."""
    root = tmp_path_factory.mktemp("small")
    extracts = builds.secure_devices()
    chf = {"device_type": "CHF", "network_operator_id": None}
    extracts["devices"] = [builds.device(1, **chf), builds.device(2, csp_region="South", **chf), builds.device(3)]
    dcc = [("ACB", "DigitalSigning", builds.ACB), ("ACB", "KeyAgreement", builds.ACB)]
    extracts["credential_reads"] += [builds.read(n, cell) for n in (1, 2) for cell in dcc]
    extracts["certificates"] += [builds.certificate(subject, role, usage) for role, usage, subject in dcc]
    extracts["service_responses"] = [
        row | {"response_code": "E21", "responded_at": None, "execution_status": None}
        if row["device_id"] == builds.eui(1) and row["srv"] == "6.17"
        else row
        for row in extracts["service_responses"]
    ]
    extracts["incidents"] = [
        builds.incident(1, incident_id="A", closed_at=builds.march(9)),
        builds.incident(1, incident_id="B"),
        builds.incident(1, incident_id="B", raised_at=builds.march(6), closed_at=builds.march(25)),
        builds.incident(2, incident_id="C", closed_at=builds.march(4)),
        builds.incident(3, incident_id="D", closed_at=builds.march(6)),
        builds.incident(9, incident_id="E", closed_at=builds.march(7)),
        builds.incident(1, incident_id="F", raised_at=builds.march(28)),
    ]
    folders = builds.folders(root, extracts)
    return build(folders.extracts, folders.marts)


def test_every_incident_is_of_one_kind(small):
    assert small.manifest["as_at"] == "2021-03-20T00:00:00"
    rows = rows_of(small)
    kept = hubs.selected(rows, EVERYTHING)
    assert dict(kept.select("incident_id", "standing").rows()) == {
        "A": "failed",
        "B": "failed",
        "C": "passed",
        "D": "not_a_chf",
        "E": "not_in_scope",
    }
    assert kept["verdict"].to_list() == ["secure", "secure", "secure", "no_chf", "no_chf"]
    assert dict(kept.select("incident_id", "days").rows()) == {"A": 4, "B": 15, "C": None, "D": 1, "E": 2}
    assert kept.filter("is_open")["incident_id"].to_list() == ["B"]
    assert kept["devices"].sum() == 4
    said = words_hubs.left_out(rows, kept, is_filtered=False)
    assert said == (
        "Left out: 1 raised after the time that the snapshot speaks of. 1 rows repeat an Incident with other times: it "
        "counts once, closed at the latest. 1 were closed before they were raised: no time to close."
    )
    assert "1 about a Device not in scope, which no filter finds" in words_hubs.left_out(rows, kept, is_filtered=True)


def test_regions_add_up_and_count_each_chf_once(small):
    table = hubs.by_region(hubs.selected(rows_of(small), EVERYTHING))
    columns = ["csp_region", "raised", "secure", "no_chf", "open"]
    assert table.select(columns).rows() == [
        ("North", 3, 2, 1, 1),
        ("South", 1, 1, 0, 0),
        ("Device not in scope", 1, 0, 1, 0),
        ("All regions", 5, 3, 2, 1),
    ]
    assert table["secure_share"].to_list() == [1, 1, None, 1]


def test_a_filter_keeps_the_incidents_of_its_devices(small):
    rows = rows_of(small)
    assert hubs.selected(rows, Selection(regions=("South",)))["incident_id"].to_list() == ["C"]
    assert hubs.selected(rows, Selection(device_types=("ESME",)))["incident_id"].to_list() == ["D"]
    assert hubs.selected(rows, Selection(last_month="2021-02")).is_empty()


def test_a_chf_that_passed_since_is_not_judged_under_amendments(small):
    table = hubs.amended(hubs.selected(rows_of(small), EVERYTHING))
    assert under(table, ("accept_timeout",), True)["over_reported_removed"] == 2
    assert under(table, (), False)["due"] == 2
    rows = hubs.not_raised(table, ("accept_timeout",), True)
    assert rows.select("not_raised", "secure", "still_raised", "is_chosen").rows() == [
        (0, 0, 2, False),
        (0, 0, 2, False),
        (0, 0, 2, False),
        (2, 2, 0, True),
        (2, 2, 0, False),
    ]


def test_failures_stand_in_for_incidents(demonstration):
    outcomes = outcomes_frame(demonstration).filter(pl.col("device_type") == "CHF", pl.col("reported") == "failed")
    rows = hubs.from_failures(demonstration.frame("counts"))
    wanted = Counter(outcomes.select("csp_region", "actual").rows())
    for row in hubs.by_region(rows)[:-1].to_dicts():
        assert [row[v] for v in hubs.VERDICTS[:3]] == [wanted[row["csp_region"], v] for v in hubs.VERDICTS[:3]]
    assert hubs.by_month(rows)["raised"].sum() == outcomes.height
    assert "open" not in hubs.by_region(rows).columns


# --- time to close ------------------------------------------------------------------------------------------


def timed(days, is_open):
    return pl.DataFrame({"days": days, "is_open": is_open}, {"days": pl.Float64, "is_open": pl.Boolean})


def test_a_curve_by_hand():
    curve = hubs.survival(timed([1, 2, 2, 3, 5, None], [False, False, True, False, True, False]))
    assert curve.select("days", "at_risk", "closed").rows() == [(1, 5, 1), (2, 4, 1), (3, 2, 1)]
    assert curve["still_open"].to_list() == pytest.approx([4 / 5, 3 / 5, 3 / 10])
    assert hubs.median_days(curve)["median_days"] == 3
    assert hubs.median_days(hubs.survival(timed([4, 9], [True, True]))) == dict.fromkeys(
        ["median_days", "median_low", "median_high"]
    )


def test_nothing_closed_leaves_a_curve_that_stays_at_one():
    for rows in (timed([], []), timed([4], [True]), timed([None], [False])):
        daily = hubs.by_day(hubs.survival(rows))
        assert daily.select("day", "still_open").rows() == [(0, 1)]
        assert charts_hubs.closing(daily, hubs.median_days(hubs.survival(rows))).data


@pytest.mark.parametrize("seed", range(6))
def test_the_curve_and_its_median_equal_those_of_statsmodels(seed):
    maker = np.random.default_rng(seed)
    # The longest is open: statsmodels has no interval where none is left.
    days = np.append(np.ceil(maker.exponential(20, 80) * 4) / 4, 400)
    is_open = np.append(maker.random(80) < 0.3, True)
    curve = hubs.survival(timed(days, is_open))
    wanted = SurvfuncRight(days, (~is_open).astype(int))
    closed = wanted.n_events > 0
    share, error = wanted.surv_prob[closed], wanted.surv_prob_se[closed]
    assert curve["still_open"].to_list() == pytest.approx(share)
    scale, width = np.log(-np.log(share)), norm.ppf(0.975) * error / (share * -np.log(share))
    assert curve["open_low"].to_list() == pytest.approx(np.exp(-np.exp(scale + width)))
    assert curve["open_high"].to_list() == pytest.approx(np.exp(-np.exp(scale - width)))
    median = hubs.median_days(curve)
    assert median["median_days"] == wanted.quantile(0.5)
    assert [median["median_low"], median["median_high"]] == list(wanted.quantile_ci(0.5, method="cloglog"))


def test_the_chart_has_a_step_a_day_and_ends_where_the_curve_does(demonstration):
    curve = hubs.survival(hubs.selected(rows_of(demonstration), EVERYTHING))
    daily = hubs.by_day(curve)
    assert daily["day"].is_unique().all()
    assert (daily["day"][0], daily["still_open"][0]) == (0, 1)
    assert daily["closed"].sum() == curve["closed"].sum()
    assert daily["still_open"][-1] == curve["still_open"][-1]
    for day, still_open in daily.select("day", "still_open").rows():
        assert still_open == curve.filter(pl.col("days") <= day)["still_open"].min() or day == 0


# --- the figures --------------------------------------------------------------------------------------------


def test_each_region_has_its_panel_and_every_incident_a_place(small):
    table = hubs.by_month(hubs.selected(rows_of(small), EVERYTHING))
    figure = charts_hubs.months(table)
    assert sum(sum(trace.y) for trace in figure.data) == 5
    assert {trace.yaxis for trace in figure.data} == {"y", "y2", "y3"}
    assert [note.text for note in figure.layout.annotations] == [
        "<b>North</b>: 3",
        "<b>South</b>: 1",
        "<b>Device not in scope</b>: 1",
    ]


# --- the page -----------------------------------------------------------------------------------------------

APP = Path(__file__).resolve().parent.parent / "dashboard" / "streamlit_app.py"


def drawn(app):
    with_open_tables(app.run())
    assert [title.value for title in app.title] == ["Communications Hubs"]
    assert [error.value for error in app.error] == []
    assert [error.message for error in app.exception] == []
    return app


def page_of(marts, monkeypatch):
    monkeypatch.setenv("PCO_MARTS", str(marts))
    app = AppTest.from_file(APP, default_timeout=60).run()
    return drawn(app.switch_page("app_pages/hubs.py"))


@pytest.fixture
def app(demonstration_home, monkeypatch):
    return page_of(demonstration_home / "marts", monkeypatch)


@pytest.fixture(scope="module")
def without(demonstration_home, tmp_path_factory):
    """The demonstration without the extract of Incidents, built anew."""
    home = tmp_path_factory.mktemp("without")
    copytree(demonstration_home / "extracts", home / "extracts", ignore=ignore_patterns("incidents"))
    return build(home / "extracts", home / "marts")


@pytest.fixture(scope="module")
def known(demonstration, demonstration_home):
    """Incidents as the extract has them, each with the exported outcome of its Device or None."""
    outcomes = {row["device_id"]: row for row in outcomes_frame(demonstration).to_dicts()}
    as_at = datetime.fromisoformat(demonstration.manifest["as_at"])
    extract = pl.read_parquet(sorted((demonstration_home / "extracts" / "incidents").rglob("*.parquet"))).unique()
    return [(row, outcomes.get(row["device_id"])) for row in extract.to_dicts() if row["raised_at"] <= as_at]


def metrics(app):
    return {metric.label: metric.value for metric in app.metric}


def titles(app):
    return " | ".join(title.value for title in app.subheader)


def test_the_page_counts_what_the_extract_holds(app, known):
    actual = Counter(outcome["actual"] for _, outcome in known if outcome)
    nobody = sum(outcome is None for _, outcome in known)
    assert nobody > 0
    shown = metrics(app)
    assert shown["Incidents raised"] == f"{len(known):,}"
    assert shown["For a CHF that is secure"] == f"{actual['secure']:,}"
    assert shown["Still open"] == f"{sum(row['closed_at'] is None for row, _ in known):,}"
    months, regions = (pl.from_pandas(app.dataframe[place].value) for place in (0, 1))
    assert months["raised"].sum() == regions["raised"][:-1].sum() == len(known)
    assert regions.filter(csp_region="Device not in scope")["raised"].item() == nobody
    raised = Counter(f"{row['raised_at']:%Y-%m}" for row, _ in known)
    assert dict(months.group_by("month").agg(pl.col("raised").sum()).rows()) == raised
    shown = pl.from_pandas(app.table[-1].value)
    standings = {standing: int(raised.replace(",", "")) for standing, raised in shown.select(pl.nth(0, 1)).rows()}
    reported = Counter(outcome["reported"] for _, outcome in known if outcome)
    assert standings["CHF reported failed now"] == reported["failed"]
    assert standings["Device not in scope"] == nobody


@pytest.mark.parametrize("evidence", [False, True])
def test_all_four_amendments_spare_the_explained_failures(app, known, evidence):
    for amendment in AMENDMENTS:
        app.toggle(key=amendment).set_value(True)
    app.toggle(key="evidence").set_value(evidence)
    drawn(app)
    failed = [outcome for _, outcome in known if outcome and outcome["reported"] == "failed"]
    passing = Counter(outcome["actual"] for outcome in failed if outcome["cause"] != "unexplained")
    if evidence:
        passing = Counter(secure=passing["secure"])
    assert (
        f"The chosen set would not have raised {passing.total():,} of {len(failed):,} Incidents: "
        f"{passing['secure']:,} about a secure CHF, {passing['not_secure']:,} about one that is not secure"
    ) in titles(app)


def test_filters_narrow_the_page_and_say_whom_they_cannot_find(app, known):
    app.multiselect(key="region").set_value(["North"])
    drawn(app)
    of_region = [row for row, outcome in known if outcome and outcome["csp_region"] == "North"]
    assert metrics(app)["Incidents raised"] == f"{len(of_region):,}"
    assert any("about a Device not in scope, which no filter finds" in caption.value for caption in app.caption)


def test_a_filter_without_chfs_says_so(app):
    app.multiselect(key="type").set_value(["ESME", "GPF"])
    drawn(app)
    assert "add CHF to it" in app.info[-1].value
    assert not app.metric


def test_without_an_extract_reported_failures_stand_in_and_it_is_said(without, monkeypatch):
    app = page_of(without.folder.parents[1], monkeypatch)
    failed = outcomes_frame(without).filter(pl.col("device_type") == "CHF", pl.col("reported") == "failed")
    assert any("no extract of Incidents" in info.value for info in app.info)
    shown = metrics(app)
    assert shown["CHFs reported failed"] == f"{failed.height:,}"
    assert shown["For a CHF that is secure"] == f"{failed.filter(pl.col('actual') == 'secure').height:,}"
    assert shown["Still open"] == "not known"
    assert "closed" not in titles(app)
    passing = failed.filter(pl.col("cause") != "unexplained").height
    assert f"would not have raised {passing:,} of {failed.height:,} reported CHF failures" in titles(app)
