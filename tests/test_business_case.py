"""The business case: closed forms, a second computation in plain Python, what is refused, and the page."""

import base64
import re
import zlib
from calendar import monthrange
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from streamlit.testing.v1 import AppTest

from analysis import assumptions, business_case, case_volumes
from analysis.amendments import AMENDMENTS
from analysis.assumptions import Assumption, WrongAssumptions
from analysis.business_case import Volumes
from analysis.selection import Selection
from dashboard import words_business_case
from data.export import outcomes_frame

SUPPLIER, HANDOVER, EMPTY, TIMEOUT = AMENDMENTS
USUAL = assumptions.central(assumptions.defaults())
OF = Volumes(now=1000, now_chf=200, after=100, after_chf=20, missed_created=7)
# A saving of 900 Devices and 180 CHFs.
ROUND = USUAL | {
    "volume": 1,
    "growth": 0,
    "user_hours": 2,
    "user_rate": 30,
    "csp_hours": 1,
    "csp_rate": 40,
    "incident_cost": 50,
    "visit_share": 0.1,
    "visit_cost": 100,
    "consumer_hours": 3,
    "consumer_value": 10,
    "change_once": 200_000,
    "change_yearly": 22_000,
    "years": 5,
    "discount_rate": 0.035,
}


def fixed(**values):
    """Assumptions with low, central and high alike, but for those given as (low, central, high)."""
    found = {name: Assumption(value, value, value) for name, value in ROUND.items()}
    return found | {
        name: Assumption(*value) if isinstance(value, tuple) else Assumption(value, value, value)
        for name, value in values.items()
    }


# --- by hand and by closed form --------------------------------------------------------------------------------


def test_a_year_by_hand():
    """A Device costs 2x30 + 0.1x100 = 70 to DCC Users, 40 to CSPs, 0.1x3x10 = 3 to consumers; a CHF 50 to the DCC."""
    found = business_case.summary(ROUND, OF)
    assert found["cost_now"] == pytest.approx(1000 * 113 + 200 * 50)
    assert found["cost_after"] == pytest.approx(100 * 113 + 20 * 50)
    assert found["saving"] == pytest.approx(900 * 113 + 180 * 50)
    by_payer = dict(business_case.by_payer(ROUND, OF).select("payer", "saving").rows())
    assert by_payer == pytest.approx({"DCC Users": 63_000, "CSPs": 36_000, "DCC": 9_000, "Consumers": 2_700})


def test_npv_without_growth_is_an_annuity():
    rate, net = 0.035, 110_700 - 22_000
    wanted = net * (1 - (1 + rate) ** -5) / rate - 200_000
    assert business_case.npv(ROUND, OF) == pytest.approx(wanted, abs=1e-6)
    assert business_case.by_year(ROUND, OF)["present_value_so_far"][-1] == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("growth", [-0.2, 0.035, 0.1])
def test_npv_with_growth_is_a_growing_annuity(growth):
    rate, n = 0.035, 5
    each = n / (1 + rate) if growth == rate else (1 - ((1 + growth) / (1 + rate)) ** n) / (rate - growth)
    wanted = 110_700 * each - 22_000 * (1 - (1 + rate) ** -n) / rate - 200_000
    assert business_case.npv(ROUND | {"growth": growth}, OF) == pytest.approx(wanted, abs=1e-6)


def test_payback_and_ratio_by_closed_form():
    found = business_case.summary(ROUND, OF)
    assert found["payback_years"] == pytest.approx(200_000 / (110_700 - 22_000))
    annuity = (1 - 1.035**-5) / 0.035
    assert found["benefit_cost_ratio"] == pytest.approx(110_700 * annuity / (200_000 + 22_000 * annuity))


@pytest.mark.parametrize(
    ("once", "yearly", "wanted"),
    [(0, 0, 0), (110_700, 0, 1), (553_500, 0, 5), (553_501, 0, None), (1, 110_700, None), (1, 200_000, None)],
)
def test_payback_at_its_edges(once, yearly, wanted):
    found = business_case.summary(ROUND | {"change_once": once, "change_yearly": yearly}, OF)["payback_years"]
    assert found is None if wanted is None else found == pytest.approx(wanted)


def test_evidence_adds_its_own_cost_and_no_change_costs_nothing():
    values = ROUND | {"evidence_once": 1_000, "evidence_yearly": 100}
    with_evidence = Volumes(1000, 200, 100, 20, evidence=True)
    annuity = (1 - 1.035**-5) / 0.035
    dearer = business_case.npv(values, OF) - business_case.npv(values, with_evidence)
    assert dearer == pytest.approx(1_000 + 100 * annuity)
    nothing = business_case.summary(values, Volumes(1000, 200, 1000, 200, is_change=False))
    assert (nothing["net_present_value"], nothing["benefit_cost_ratio"], nothing["payback_years"]) == (0, None, None)


def test_the_price_of_a_missed_failure_that_takes_the_gain():
    """Priced at it, year by year, the missed failures cost what the change gains."""
    values = ROUND | {"growth": 0.07, "volume": 1.5}
    found = business_case.summary(values, OF)
    cost = sum(found["missed_break_even"] * 7 * 1.5 * 1.07 ** (t - 1) / 1.035**t for t in range(1, 6))
    assert cost == pytest.approx(found["net_present_value"])


# --- a second computation ----------------------------------------------------------------------------------------

SHARES = st.floats(0, 1)
PRICES = st.floats(0, 500)


@given(
    st.fixed_dictionaries(
        dict.fromkeys(("user_rate", "csp_rate", "visit_cost", "incident_cost", "consumer_value"), PRICES)
        | {name: st.floats(0, 20) for name in ("user_hours", "csp_hours", "consumer_hours", "volume")}
        | {"visit_share": SHARES, "growth": st.floats(-0.5, 0.5), "discount_rate": st.floats(0, 0.3)}
        | {"years": st.integers(1, 30)}
        | {name: st.floats(0, 1e6) for name in ("change_once", "change_yearly", "evidence_once", "evidence_yearly")}
    ),
    st.tuples(*[st.integers(0, 5000)] * 4),
    st.booleans(),
)
def test_a_second_computation_agrees(v, numbers, evidence):
    all_of, hubs, less, hubs_less = numbers
    hubs, less = min(hubs, all_of), min(less, all_of)
    hubs_less = min(hubs_less, hubs, less)
    of = Volumes(all_of, hubs, all_of - less, hubs - hubs_less, evidence=evidence)
    cash = [-v["change_once"] - (v["evidence_once"] if evidence else 0)]
    devices, chfs = less * v["volume"], hubs_less * v["volume"]
    for _ in range(v["years"]):
        visits = devices * v["visit_share"]
        saved = devices * v["user_hours"] * v["user_rate"] + visits * v["visit_cost"]
        saved += devices * v["csp_hours"] * v["csp_rate"] + chfs * v["incident_cost"]
        saved += visits * v["consumer_hours"] * v["consumer_value"]
        cash.append(saved - v["change_yearly"] - (v["evidence_yearly"] if evidence else 0))
        devices, chfs = devices * (1 + v["growth"]), chfs * (1 + v["growth"])
    wanted = 0
    for net in reversed(cash):
        wanted = wanted / (1 + v["discount_rate"]) + net
    found = business_case.summary(v, of)
    assert found["net_present_value"] == pytest.approx(wanted, rel=1e-9, abs=1e-3)
    years = business_case.by_year(v, of)
    assert years["present_value_so_far"][-1] == pytest.approx(wanted, rel=1e-9, abs=1e-3)
    assert years["net"].to_list() == pytest.approx(cash, rel=1e-9, abs=1e-3)
    reached = found["payback_years"]
    running = np.cumsum(cash)
    if reached is None:
        assert (running < 1e-3).all()
    elif reached > 0:
        whole = int(np.ceil(reached))
        part = cash[whole] * (reached - whole + 1)
        assert running[whole - 1] + part == pytest.approx(0, abs=1e-3 + 1e-9 * abs(running[whole - 1]))
        assert (running[:whole] < 0).all()


# --- simulation, tornado, break-even ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("distribution", "known"),
    [
        ("Triangular", lambda low, mode, high: stats.triang((mode - low) / (high - low), low, high - low)),
        (
            "PERT",
            lambda low, mode, high: stats.beta(
                1 + 4 * (mode - low) / (high - low), 1 + 4 * (high - mode) / (high - low), low, high - low
            ),
        ),
    ],
)
def test_percentiles_by_closed_form(distribution, known):
    """Of one uncertain driver the NPV is a straight line, so its percentiles are those of the driver."""
    low, mode, high = 20, 45, 150
    simulated = business_case.simulate(fixed(incident_cost=(low, mode, high)), OF, distribution)
    driver = known(low, mode, high)
    found = {10: simulated.p10, 50: simulated.p50, 90: simulated.p90}
    for percent, npv in found.items():
        wanted = business_case.npv(ROUND | {"incident_cost": driver.ppf(percent / 100)}, OF)
        below, above = (
            business_case.npv(ROUND | {"incident_cost": driver.ppf(percent / 100 + by)}, OF) for by in (-0.02, 0.02)
        )
        assert below < npv < above
        assert npv == pytest.approx(wanted, rel=0.02)
    price = driver.ppf(0.3)
    once = 200_000 + business_case.npv(ROUND | {"incident_cost": price}, OF)
    negative = business_case.simulate(fixed(incident_cost=(low, mode, high), change_once=once), OF, distribution)
    assert negative.chance_negative == pytest.approx(0.3, abs=0.02)


def test_draws_are_seeded_within_bounds_and_choices_stay():
    usual = assumptions.defaults()
    for distribution in business_case.DISTRIBUTIONS:
        first, again = (business_case.draws(usual, distribution) for _ in range(2))
        other = business_case.draws(usual, distribution, seed=2)
        for name, one in usual.items():
            if name in ("years", "discount_rate"):
                assert first[name] == one.central
                continue
            assert (first[name] == again[name]).all()
            assert (first[name] != other[name]).any()
            assert one.low <= first[name].min() <= first[name].max() <= one.high
            mean = (one.low + one.central + one.high) / 3
            if distribution == "PERT":
                mean = (one.low + 4 * one.central + one.high) / 6
            assert first[name].mean() == pytest.approx(mean, abs=0.02 * (one.high - one.low))


def test_ten_thousand_draws_take_well_under_a_second():
    started = perf_counter()
    simulated = business_case.simulate(assumptions.defaults(), OF)
    assert perf_counter() - started < 0.5
    assert simulated.npvs.shape == (10_000,)
    table = business_case.histogram(simulated)
    assert table["draws"].sum() == 10_000
    assert table.filter("is_negative")["draws"].sum() == (simulated.npvs < 0).sum()


def test_without_uncertainty_every_draw_is_the_npv():
    simulated = business_case.simulate(fixed(), OF)
    npv = business_case.npv(ROUND, OF)
    assert (simulated.p10, simulated.p50, simulated.p90) == pytest.approx((npv, npv, npv))
    assert business_case.histogram(simulated)["draws"].sum() == 10_000


def test_the_tornado_by_hand():
    table = business_case.tornado(fixed(change_once=(100_000, 200_000, 250_000), visit_cost=(0, 100, 200)), OF)
    rows = {row["driver"]: row for row in table.to_dicts()}
    npv = business_case.npv(ROUND, OF)
    annuity = (1 - 1.035**-5) / 0.035
    assert table["driver"][:2].to_list() == ["change_once", "visit_cost"]
    assert rows["change_once"]["npv_at_low"] == pytest.approx(npv + 100_000)
    assert rows["change_once"]["npv_at_high"] == pytest.approx(npv - 50_000)
    assert rows["visit_cost"]["width"] == pytest.approx(900 * 0.1 * 200 * annuity)
    assert rows["change_once"]["break_even"] == pytest.approx(200_000 + npv)
    assert "evidence_once" not in rows


@pytest.mark.parametrize("name", [name for name in USUAL if name not in ("years", "evidence_once", "evidence_yearly")])
def test_at_its_break_even_value_the_npv_is_nothing(name):
    values = ROUND | {"change_once": 480_000}
    found = business_case.break_even(name, values, OF)
    least, most = assumptions.driver(name).limits
    if found is None:
        ends = [business_case.npv(values | {name: end}, OF) for end in (least, most)]
        assert ends[0] * ends[1] > 0
    else:
        assert business_case.npv(values | {name: found}, OF) == pytest.approx(0, abs=0.01)
        assert least <= found <= most


def test_most_drivers_have_a_break_even_value():
    values = ROUND | {"change_once": 480_000}
    found = {name for name in USUAL if business_case.break_even(name, values, OF) is not None}
    assert {"volume", "growth", "user_hours", "csp_rate", "incident_cost", "change_once", "years"} <= found
    assert business_case.break_even("years", values, OF) == 7
    assert business_case.npv(values | {"years": 6}, OF) < 0 < business_case.npv(values | {"years": 7}, OF)


# --- assumptions that are refused ----------------------------------------------------------------------------


def refused(text):
    with pytest.raises(WrongAssumptions) as error:
        assumptions.read_scenarios(text)
    return error.value.problems


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("user_rate,50,40,60", "DCC User's cost per hour (user_rate): low 50 is above central 40"),
        ("user_rate,20,70,60", "DCC User's cost per hour (user_rate): central 70 is above high 60"),
        ("visit_cost,-1,40,60", "Cost of a site visit (visit_cost), low: -1 is negative"),
        ("visit_share,0,0.5,1.2", "needless site visit (visit_share), high: 1.2 is above 1"),
        ("csp_hours,0,two,3", "CSP's hours per over-reported Device (csp_hours), central: 'two' is no number"),
        ("csp_hours,0,,3", "(csp_hours), central: '' is no number"),
        ("csp_hours,0,nan,3", "(csp_hours), central: a number is needed"),
        ("csp_hours,0,1,inf", "(csp_hours), high: a number is needed"),
        ("growth,-1,0,0", "Growth of the volume a year (growth), low: -1 is below -0.99"),
        ("years,3,4.5,6", "Years of the appraisal (years), central: 4.5 is no whole number"),
        ("years,0,4,6", "(years), low: 0 is below 1"),
        ("biscuits,1,2,3", "line 2: there is no driver 'biscuits'"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(row, said):
    found = refused(f"driver,low,central,high\n{row}\n")
    assert len(found) == 1
    assert said in found[0]


def test_every_problem_of_a_file_is_named():
    rows = ["a,user_rate,x,1,2", "a,user_rate,1,1,2", "b,nothing,1,1,1", "b,visit_share,0,0,2"]
    found = refused("\n".join(["scenario,driver,low,central,high", *rows]))
    assert [problem.split(":")[0] for problem in found[:3]] == ["line 2", "line 3", "line 4"]
    assert "(visit_share), high: 2 is above 1 (scenario 'b')" in found[3]
    assert len(found) == 4
    assert "no column driver, high" in refused("low,central\n1,2\n")[0]
    assert "holds no row" in refused("driver,low,central,high\n")[0]
    found = refused("scenario,driver,low,central,high\na,volume,3,2,1\nb,visit_share,0,0,2\n")
    assert [problem.endswith(f"(scenario '{name}')") for problem, name in zip(found, "aab", strict=True)] == [True] * 3


def test_scenarios_written_are_read_back_as_they_were():
    usual = assumptions.defaults()
    dear = {**usual, "user_rate": Assumption(0.1, 1 / 3, 55.5, 'Survey, "2021"')}
    wanted = {"Usual": usual, "Dear, very": dear}
    assert assumptions.read_scenarios(assumptions.write_scenarios(wanted)) == wanted


def test_scenarios_for_an_address_are_short_and_read_back_as_they_were():
    usual = assumptions.defaults()
    dear = {**usual, "user_rate": Assumption(1.1, 2.2, 1e-7 + 3, "A survey, of \u00a3")}
    scenarios = {"Usual": usual, "Dear; \u00e9 & co": dear, "=1+1": usual, "'=1+1": usual}
    text = assumptions.packed(scenarios)
    assert assumptions.unpacked(text) == scenarios
    assert re.fullmatch("[A-Za-z0-9_-]+", text)
    assert len(text) < 250


@pytest.mark.parametrize("text", ["", "x", "nonsense!", "eJwDAAAAAAE", "\u00e9"])
def test_a_text_that_is_no_scenarios_is_refused(text):
    with pytest.raises(WrongAssumptions):
        assumptions.unpacked(text)


def test_a_text_cut_short_or_changed_is_refused_or_makes_sense():
    """Whatever arrives: no other error, and nothing that makes no sense."""
    text = assumptions.packed({"Dear": {**assumptions.defaults(), "user_rate": Assumption(1, 2, 3, "x")}})
    bomb = base64.urlsafe_b64encode(zlib.compress(b"driver,low,central,high\n" + b"a" * 50_000_000)).decode()
    for wrong in [
        bomb,
        *(text[:end] for end in range(len(text))),
        *(text[:i] + "A" + text[i + 1 :] for i in range(40)),
    ]:
        try:
            found = assumptions.unpacked(wrong)
        except WrongAssumptions:
            continue
        assert all(assumptions.problems(one) == [] for one in found.values())


def test_a_file_that_names_one_driver_leaves_the_others():
    found = assumptions.read_scenarios("\ufeffdriver,low,central,high,source\nuser_rate,1,2,3,Survey\n")
    assert found == {"file": assumptions.defaults() | {"user_rate": Assumption(1, 2, 3, "Survey")}}


def test_no_default_looks_like_a_finding():
    usual = assumptions.defaults()
    assert assumptions.problems(usual) == []
    assert assumptions.unconfirmed(usual) == len(usual) == 17
    assert usual["discount_rate"].central == 0.035
    assert "Green Book" in usual["discount_rate"].source


def test_a_value_that_was_changed_is_to_be_confirmed():
    known = {"user_rate": Assumption(1, 2, 3, "Survey")}
    assert assumptions.with_source("user_rate", 1, 2, 3, known).source == "Survey"
    assert assumptions.with_source("user_rate", 1, 2, 4, known).source == assumptions.UNCONFIRMED


# --- how many Devices a year -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("as_at", "grace", "first", "selection", "wanted"),
    [
        ("2021-08-31T23:59:58", 7, "2018-01", {}, ("2020-08", "2021-07", 12)),
        ("2021-09-08T00:00:00", 7, "2018-01", {}, ("2020-09", "2021-08", 12)),
        ("2021-09-07T23:59:59", 7, "2018-01", {}, ("2020-08", "2021-07", 12)),
        ("2021-03-02T00:00:00", 0, "2020-11", {}, ("2020-11", "2021-02", 4)),
        ("2021-08-31T00:00:00", 7, "2018-01", {"last_month": "2019-03"}, ("2018-04", "2019-03", 12)),
        ("2021-08-31T00:00:00", 7, "2018-01", {"first_month": "2021-06"}, ("2021-06", "2021-07", 2)),
    ],
)
def test_the_last_whole_months(as_at, grace, first, selection, wanted):
    found = case_volumes.window(datetime.fromisoformat(as_at), grace, first, Selection(**selection))
    assert (found.first, found.last, found.months) == wanted
    assert found.to_a_year == 12 / wanted[2]


def test_no_month_is_whole():
    late = Selection(first_month="2021-08", last_month="2021-08")
    assert case_volumes.window(datetime(2021, 8, 31), 7, "2018-01", late) is None
    assert case_volumes.window(datetime(2018, 1, 20), 7, "2018-01", Selection()) is None


def window_of(snapshot):
    """The last 12 months all of whose Devices are due, counted back from the end, in plain Python."""
    as_at = datetime.fromisoformat(snapshot.manifest["as_at"])
    year, month = as_at.year, as_at.month
    while datetime(year, month, monthrange(year, month)[1]) + timedelta(days=8) > as_at:
        year, month = (year, month - 1) if month > 1 else (year - 1, 12)
    found = []
    for _ in range(12):
        found.append(f"{year}-{month:02d}")
        year, month = (year, month - 1) if month > 1 else (year - 1, 12)
    return found


def over_reported(snapshot, **only):
    """Device type, present Supplier's id and cause of each over-reported Device of the last 12 whole months."""
    months = window_of(snapshot)
    return [
        row
        for row in outcomes_frame(snapshot).iter_rows(named=True)
        if row["finding"] == "over_reported"
        and f"{row['commissioned_at']:%Y-%m}" in months
        and all(row[name] == value for name, value in only.items())
    ]


def case_of(snapshot, chosen=AMENDMENTS, evidence=True, given=None):
    counts = snapshot.frame("counts")
    as_at = datetime.fromisoformat(snapshot.manifest["as_at"])
    months = case_volumes.window(as_at, 7, counts["commissioned_month"].min(), Selection())
    categories = case_volumes.party_types(snapshot.frame("parties"))
    return business_case.case(counts, months, categories, chosen, evidence, given or assumptions.defaults())


def test_the_yearly_number_is_that_of_the_outcomes(demonstration):
    case = case_of(demonstration)
    rows = over_reported(demonstration)
    assert len(rows) > 100
    assert case.of.now == len(rows)
    assert case.of.now_chf == sum(row["device_type"] == "CHF" for row in rows)
    found = dict(case.kinds.group_by("cause").agg(pl.col("over_reported").sum()).rows())
    assert {cause: number for cause, number in found.items() if number} == {
        cause: sum(row["cause"] == cause for row in rows) for cause in {row["cause"] for row in rows}
    }
    assert case.kinds["over_reported"].sum() == case.party_types["over_reported_now"].sum()
    assert case.party_types["saving"].sum() == pytest.approx(case.payers.filter(payer="DCC Users")["saving"].item())


def test_every_set_in_the_table_is_the_case_of_that_set(demonstration):
    table = case_of(demonstration).sets
    assert table.height == 32
    for row in table.sample(8, seed=3).iter_rows(named=True):
        one = case_of(demonstration, tuple(row["amendments"]), row["evidence"])
        assert {name: row[name] for name in one.summary} == pytest.approx(one.summary)
        by_who = [row[f"saving_{who}"] for who in ("dcc_users", "csps", "dcc", "consumers")]
        assert by_who == pytest.approx(one.payers["saving"].to_list())


# --- the page ---------------------------------------------------------------------------------------------------

APP = Path(__file__).resolve().parent.parent / "dashboard" / "streamlit_app.py"


@pytest.fixture
def app(demonstration, demonstration_home, monkeypatch):
    monkeypatch.setenv("PCO_MARTS", str(demonstration_home / "marts"))
    app = AppTest.from_file(APP, default_timeout=60).run()
    return drawn(app.switch_page("app_pages/business_case.py"))


def drawn(app, wrong=False):
    app.run()
    assert [title.value for title in app.title] == ["Business case"]
    assert bool(app.error) == wrong, [error.value for error in app.error]
    assert [error.message for error in app.exception] == []
    return app


def metrics(app):
    return {metric.label: metric.value for metric in app.metric}


def pounds(value):
    return f"\u2212£{-value:,.0f}" if value < 0 else f"£{value:,.0f}"


def by_hand(rows, removed, hubs, hubs_removed, once, yearly, years=5):
    """The default assumptions, written out: 20 + 5 for DCC Users, 10 for CSPs, 1 for consumers, 40 an Incident."""
    saved = removed * 36 + hubs_removed * 40
    npv = sum((saved - yearly) / 1.035**t for t in range(1, years + 1)) - once
    return {"Doing nothing costs, in year 1": rows * 36 + hubs * 40, "Net present value": npv}


def test_the_page_shows_what_outcomes_and_assumptions_make(app, demonstration):
    for name in (TIMEOUT, EMPTY, SUPPLIER, HANDOVER):
        app.toggle(key=name).set_value(True)
    app.toggle(key="evidence").set_value(True)
    shown = metrics(drawn(app))
    rows = over_reported(demonstration)
    accepted = [row for row in rows if row["cause"] != "unexplained"]
    hubs, hubs_accepted = (sum(row["device_type"] == "CHF" for row in some) for some in (rows, accepted))
    wanted = by_hand(len(rows), len(accepted), hubs, hubs_accepted, 150_000, 15_000)
    for label, value in wanted.items():
        assert shown[label] == pounds(value), label
    assert shown["Missed failures created a year"] == "0"


def test_each_pound_on_the_page_says_that_it_is_assumed(app):
    assert "No unit cost is known" in app.info[1].value
    for metric in app.metric:
        if "£" in metric.value:
            assert metric.delta == words_business_case.FROM
    said = [e.value for e in [*app.header, *app.subheader, *app.markdown, *app.caption] if "£" in e.value]
    labels = [text for text in said if "**:" in text]
    assert len(said) - len(labels) >= 8
    for text in said:
        assert words_business_case.FROM in text or text in labels, text


def test_a_driver_changes_the_figures_and_filters_narrow_them(app, demonstration):
    app.multiselect(key="type").set_value(["CHF"])
    app.number_input(key="incident_cost").set_value(70.0)
    app.number_input(key="years").set_value(4.0)
    app.toggle(key=TIMEOUT).set_value(True)
    shown = metrics(drawn(app))
    rows = over_reported(demonstration, device_type="CHF")
    assert shown["Doing nothing costs, in year 1"] == pounds(len(rows) * (36 + 70))
    assert "over 4 years" in app.header[0].value


def test_what_makes_no_sense_is_refused_on_the_page_and_stays_in_its_box(app):
    before = metrics(app)
    app.number_input(key="user_rate_low").set_value(99.0)
    app.number_input(key="visit_share_high").set_value(1.5)
    app.number_input(key="visit_cost").set_value(-3.0)
    said = drawn(app, wrong=True).error[0].value
    assert "DCC User's cost per hour (user_rate): low 99 is above central 40" in said
    assert "(visit_share), high: 1.5 is above 1" in said
    assert "(visit_cost), central: -3 is negative" in said
    assert metrics(app) == {}
    assert app.number_input(key="user_rate_low").value == 99
    app.number_input(key="user_rate_low").set_value(20.0)
    app.number_input(key="visit_share_high").set_value(0.1)
    app.number_input(key="visit_cost").set_value(100.0)
    assert metrics(drawn(app)) == before


def test_scenarios_are_saved_compared_and_put_back(app):
    app.text_input(key="case_name").set_value("Usual")
    drawn(app)
    press(app, "Save the assumptions above")
    app.number_input(key="user_rate").set_value(55.0)
    app.text_input(key="case_name").set_value("Dear")
    drawn(app)
    press(app, "Save the assumptions above")
    table = next(frame.value for frame in app.dataframe if "Figure" in frame.value.columns)
    assert [*table.columns] == ["Figure", "As on this page", "Usual", "Dear"]
    nothing = table.iloc[0]
    assert nothing["Dear"] == nothing["As on this page"] == metrics(app)["Doing nothing costs, in year 1"]
    assert nothing["Usual"] != nothing["Dear"]
    app.selectbox(key="case_chosen").set_value("Usual")
    drawn(app)
    press(app, "Put it into the boxes")
    assert app.number_input(key="user_rate").value == 40
    assert metrics(app)["Doing nothing costs, in year 1"] == nothing["Usual"]


def test_scenarios_come_back_with_the_address(app):
    app.number_input(key="user_rate").set_value(55.0)
    # Both are names of columns of the table already.
    for name in ("Figure", "As on this page"):
        app.text_input(key="case_name").set_value(name)
        drawn(app)
        press(app, "Save the assumptions above")
    kept = dict(app.session_state["case_scenarios"])
    again = AppTest.from_file(APP, default_timeout=60).run()
    again = again.switch_page("app_pages/business_case.py")
    again.query_params["scenarios"] = app.query_params["scenarios"]
    drawn(again)
    assert dict(again.session_state["case_scenarios"]) == kept
    table = next(frame.value for frame in again.dataframe if "Figure" in frame.value.columns)
    assert [*table.columns] == ["Figure", "As on this page", "Figure (saved)", "As on this page (saved)"]
    for _ in range(2):
        press(again, "Remove it")
    assert "scenarios" not in again.query_params


def test_scenarios_of_an_address_that_was_cut_are_refused_by_name(app):
    again = AppTest.from_file(APP, default_timeout=60).run()
    again = again.switch_page("app_pages/business_case.py")
    again.query_params["scenarios"] = "eJwLAAAAA"
    assert "The scenarios in the address were not read" in drawn(again, wrong=True).error[0].value


def test_scenarios_too_long_for_the_address_say_so_before_they_are_lost(app):
    usual, random = assumptions.defaults(), np.random.default_rng(1)
    many = {
        f"S{place}": {name: replace(one, source=random.bytes(20).hex()) for name, one in usual.items()}
        for place in range(15)
    }
    app.file_uploader(key="case_file").upload("many.csv", assumptions.write_scenarios(many).encode(), "text/csv")
    said = [warning.value for warning in drawn(app).warning]
    assert any("too long for the address" in text for text in said)
    assert "scenarios" not in app.query_params
    more = {f"T{place}": usual for place in range(6)}
    app.file_uploader(key="case_file").upload("more.csv", assumptions.write_scenarios(more).encode(), "text/csv")
    assert "at most 20 are kept" in drawn(app, wrong=True).error[0].value
    assert len(app.session_state["case_scenarios"]) == 15


def press(app, label):
    next(button for button in app.button if button.label == label).click()
    return drawn(app)


CSV = "scenario,driver,low,central,high,source\nFrom a file,user_rate,1,2,3,Survey of users\n"


def test_a_file_of_scenarios_is_taken_and_a_wrong_one_changes_nothing(app):
    app.file_uploader(key="case_file").upload("mine.csv", CSV.encode(), "text/csv")
    drawn(app)
    assert list(app.session_state["case_scenarios"]) == ["From a file"]
    press(app, "Put it into the boxes")
    assert app.number_input(key="user_rate").value == 2
    assert "Source: Survey of users." in [caption.value.partition(". ")[2] for caption in app.caption]
    app.file_uploader(key="case_file").upload("bad.csv", CSV.replace("1,2,3", "1,two,3").encode(), "text/csv")
    said = drawn(app, wrong=True).error[0].value
    assert "bad.csv was not read" in said
    assert "DCC User's cost per hour (user_rate), central: 'two' is no number" in said
    assert list(app.session_state["case_scenarios"]) == ["From a file"]
    assert app.number_input(key="user_rate").value == 2


def test_text_in_the_address_is_refused_by_name_until_its_box_is_changed(app):
    app.query_params["user_rate"] = "lots"
    said = drawn(app, wrong=True).error[0].value
    assert "user_rate in the address: 'lots' is no number; 40 stands" in said
    app.number_input(key="user_rate").set_value(41.0)
    drawn(app)


def test_the_distribution_chosen_is_that_of_the_draws(app, demonstration):
    app.selectbox(key="distribution").set_value("Triangular")
    found = business_case.simulate(assumptions.defaults(), case_of(demonstration, AMENDMENTS, False).of, "Triangular")
    said = " ".join(caption.value for caption in drawn(app).caption)
    assert "Triangular distribution of low, central and high" in said
    assert f"P10 {pounds(found.p10)}, P50 {pounds(found.p50)}, P90 {pounds(found.p90)}" in said


def test_two_months_are_openly_made_a_year(app, demonstration):
    app.select_slider(key="period").set_value(("2021-06", "2021-08"))
    shown = metrics(drawn(app))
    rows = [row for row in over_reported(demonstration) if f"{row['commissioned_at']:%Y-%m}" in ("2021-06", "2021-07")]
    hubs = sum(row["device_type"] == "CHF" for row in rows)
    assert shown["Doing nothing costs, in year 1"] == pounds(6 * (len(rows) * 36 + hubs * 40))
    said = " ".join(markdown.value for markdown in app.markdown)
    assert "June 2021 to July 2021: 2 months, times 12/2 to make a year" in said


def test_no_whole_month_says_so(app):
    app.select_slider(key="period").set_value(("2021-08", "2021-08"))
    assert "no month" in drawn(app).info[-1].value
