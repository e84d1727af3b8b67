"""Funnel limits against the exact binomial, standing and deciles by hand, and the pages drawn without a browser."""

import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook
from scipy.stats import binom
from streamlit.testing.v1 import AppTest
from test_pages import contrast

from analysis import peers, tables, views
from analysis.devices import count_to_act_on, to_act_on
from analysis.funnel import QUANTILES, binomial_quantiles, curve, funnel, limits
from analysis.rates import rates
from analysis.selection import PARTY_ROLES, Selection, select
from dashboard import cards, charts_parties, words, words_parties
from data.export import outcomes_frame
from tests.app_pages import with_open_tables

APP = Path(__file__).resolve().parent.parent / "dashboard" / "streamlit_app.py"
PROBABILITIES = [*QUANTILES.values()]


# --- limits -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [1e-6, 0.003, 0.0728, 0.25, 0.5, 0.93, 0.9999])
def test_limits_are_the_exact_binomial_quantiles(rate):
    sizes = [*range(1, 120), 999, 3_723, 54_321, 1_000_000, 14_000_000]
    ours = [binomial_quantiles(due, rate, PROBABILITIES) for due in sizes]
    assert ours == [binom.ppf(PROBABILITIES, due, rate).astype(int).tolist() for due in sizes]


@given(due=st.integers(1, 200_000), failures=st.integers(0, 200_000))
@settings(max_examples=200, deadline=None)
def test_limits_around_any_rate_are_the_exact_binomial_quantiles(due, failures):
    rate = failures / 200_000
    assert binomial_quantiles(due, rate, PROBABILITIES) == binom.ppf(PROBABILITIES, due, rate).astype(int).tolist()


@pytest.mark.parametrize(("rate", "count"), [(0.0, 0), (1.0, 9)])
def test_a_rate_of_none_or_all_leaves_nothing_to_chance(rate, count):
    assert binomial_quantiles(9, rate, PROBABILITIES) == [count] * 4


def test_chance_puts_no_more_outside_than_the_limits_say():
    for due, low_998, low_95, high_95, high_998 in limits([5, 40, 333, 9_000], 0.07).rows():
        assert binom.cdf(low_95 - 1, due, 0.07) + binom.sf(high_95, due, 0.07) <= 0.05
        assert binom.cdf(low_998 - 1, due, 0.07) + binom.sf(high_998, due, 0.07) <= 0.002


def test_the_curve_is_the_limits_as_shares():
    line = curve(10, 5_000, 0.07)
    assert (line["due"][0], line["due"][-1]) == (10, 5_000)
    for name, probability in QUANTILES.items():
        assert line[name].to_list() == (binom.ppf(probability, line["due"], 0.07) / line["due"].to_numpy()).tolist()


# --- standing -----------------------------------------------------------------------------------------------


def rated(*parties):
    """Rates of parties given as (name, Devices due, reported failed)."""
    table = pl.DataFrame(parties, ["name", "due", "reported_failures"], orient="row")
    return table.with_columns(reported_failure_rate=pl.col("reported_failures") / pl.col("due"))


# Around 10 % of 100 Devices: 5 to 16 failures are inside 95 %, 2 to 20 inside 99.8 %; of 10 Devices 0 to 3, 0 to 5.
@pytest.mark.parametrize(
    ("due", "failures", "standing"),
    [
        (100, 5, "inside"),
        (100, 16, "inside"),
        (100, 4, "outside 95 %"),
        (100, 17, "outside 95 %"),
        (100, 20, "outside 95 %"),
        (100, 2, "outside 95 %"),
        (100, 21, "outside 99.8 %"),
        (100, 1, "outside 99.8 %"),
        (10, 0, "inside"),
        (10, 3, "inside"),
        (10, 4, "outside 95 %"),
        (10, 5, "outside 95 %"),
        (10, 6, "outside 99.8 %"),
        (1, 1, "inside"),
    ],
)
def test_a_party_stands_where_its_count_lies(due, failures, standing):
    rest = 1_000_000_000 - due
    row = funnel(rated(("One", due, failures), ("Rest", rest, 100_000_000 - failures))).row(0, named=True)
    assert row["overall_rate"] == 0.1
    assert row["standing"] == standing


def test_a_high_rate_of_few_devices_is_inside_and_a_lower_one_of_many_is_outside():
    """25 % of 8 is chance around 10 %, 12 % of 10,000 is not."""
    table = funnel(rated(("Few", 8, 2), ("Many", 10_000, 1_200), ("Rest", 90_000, 8_800)))
    assert dict(table.select("name", "standing").rows())["Few"] == "inside"
    assert dict(table.select("name", "standing").rows())["Many"] == "outside 99.8 %"


def test_the_order_stays_and_an_empty_table_has_no_overall_rate():
    table = rated(("B", 5, 1), ("A", 900, 60), ("C", 5, 0), ("None due", 0, 0))
    assert funnel(table)["name"].to_list() == ["B", "A", "C"]
    assert funnel(table.head(0)).is_empty()


# --- over time ----------------------------------------------------------------------------------------------


def counts_of(*rows):
    """Counts of (supplier, month, reported failed, passed), none verified."""
    long = [
        (supplier, month, reported, "unverified", "not_read", devices)
        for supplier, month, failed, passed in rows
        for reported, devices in (("failed", failed), ("passed", passed))
    ]
    return pl.DataFrame(
        long, ["supplier", "commissioned_month", "reported", "actual", "device_keys", "devices"], orient="row"
    )


def test_months_are_counted_in_their_quarter():
    quarters = peers.by_quarter(
        counts_of(("A", "2020-12", 1, 9), ("A", "2021-01", 2, 8), ("A", "2021-03", 3, 7), ("A", "2021-04", 0, 5)),
        "supplier",
    )
    assert quarters.select("quarter", "due", "reported_failures").rows() == [
        ("2020 Q4", 10, 1),
        ("2021 Q1", 20, 5),
        ("2021 Q2", 5, 0),
    ]


def test_deciles_are_those_of_the_other_parties_each_counted_once():
    """Peers at 0, 10, 20, 30, 40 and 50 %: the median is 25 %, one tenth of the way from first to last is 5 %."""
    others = [(f"P{tenth}", "2021-01", 10 * tenth, 100 - 10 * tenth) for tenth in range(6)]
    too_small = ("Tiny", "2021-01", 9, 0)
    counts = counts_of(("Own", "2021-01", 90, 10), too_small, (None, "2021-01", 100, 0), *others)
    [row] = peers.beside_peers(peers.by_quarter(counts, "supplier"), "supplier", "Own").to_dicts()
    assert (row["due"], row["reported_failures"], row["reported_failure_rate"], row["peers"]) == (100, 90, 0.9, 6)
    assert [row[name] for name in peers.DECILES] == pytest.approx(
        [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45], abs=1e-12
    )


def test_deciles_of_too_few_peers_are_not_given():
    others = [(f"P{tenth}", "2021-01", tenth, 100) for tenth in range(4)]
    [row] = peers.beside_peers(
        peers.by_quarter(counts_of(("Own", "2021-01", 1, 1), *others), "supplier"), "supplier", "Own"
    ).to_dicts()
    assert row["peers"] == 4
    assert {row[name] for name in peers.DECILES} == {None}


def test_a_quarter_without_a_device_of_the_party_has_no_rate():
    quarters = peers.by_quarter(counts_of(("Own", "2021-01", 1, 9), ("Other", "2021-04", 1, 9)), "supplier")
    rows = peers.beside_peers(quarters, "supplier", "Own")
    assert rows.select("quarter", "due", "reported_failure_rate").rows() == [("2021 Q1", 10, 0.1), ("2021 Q2", 0, None)]


def test_the_largest_come_first_and_devices_without_a_party_are_none():
    table = pl.DataFrame(
        {"supplier": ["A", None, "B", "C"], "name": ["a", "not recorded", "b", "c"], "due": [2, 9, 5, 5]}
    )
    assert peers.largest(table, "supplier", 2)["supplier"].to_list() == ["B", "C"]
    assert peers.largest(table, "supplier")["supplier"].to_list() == ["B", "C", "A"]


# --- figures ------------------------------------------------------------------------------------------------


def by_supplier(demonstration):
    return views.by_party(demonstration.frame("counts"), "supplier", {})


def test_the_funnel_shows_every_party_once_with_its_standing(demonstration):
    table = funnel(by_supplier(demonstration))
    figure = charts_parties.funnel(table)
    points = {
        trace.customdata[place][0]: (trace.name, x, y)
        for trace in figure.data
        if trace.mode == "markers"
        for place, (x, y) in enumerate(zip(trace.x, trace.y, strict=True))
    }
    assert len(points) == table.height
    for row in table.to_dicts():
        standing, due, rate = points[row["name"]]
        assert standing.startswith(row["standing"].capitalize() + " (")
        assert (due, rate) == (row["due"], row["reported_failure_rate"])


def test_only_those_outside_the_wide_limits_are_named_and_names_keep_apart():
    table = funnel(rated(*((f"Party number {n}", 1_000 + n, 50 * (n % 5)) for n in range(40))))
    named = charts_parties.funnel(table).layout.annotations
    outside = set(table.filter(pl.col("standing") == "outside 99.8 %")["name"])
    assert 0 < len(named) < len(outside)
    assert {label.text for label in named} <= outside


def test_no_party_outside_the_wide_limits_no_name():
    assert charts_parties.funnel(funnel(rated(("A", 8, 4), ("B", 5_000, 350)))).layout.annotations == ()


def test_small_multiples_share_one_axis_from_zero(demonstration):
    counts = demonstration.frame("counts")
    largest = peers.largest(by_supplier(demonstration), "supplier")
    quarters = peers.of_parties(peers.by_quarter(counts, "supplier"), "supplier", largest)
    figure = charts_parties.small_multiples(quarters)
    axes = [axis for name, axis in figure.to_dict()["layout"].items() if name.startswith("yaxis")]
    assert len(axes) == 12
    assert {tuple(axis["range"]) for axis in axes} == {tuple(axes[0]["range"])}
    assert axes[0]["range"][0] == 0
    of_many = quarters.filter(pl.col("due") >= peers.FEWEST_DUE)
    assert axes[0]["range"][1] >= of_many["reported_failure_rate"].max()
    reported = [trace for trace in figure.data if trace.name == "Reported"]
    for trace, party in zip(reported, largest["supplier"], strict=True):
        own = rates(counts.filter(supplier=party))
        assert sum(failures or 0 for failures, _ in trace.customdata) == own["reported_failures"][0]
        assert sum(due or 0 for _, due in trace.customdata) == own["due"][0]


def test_a_band_ends_where_its_interval_is_unknown():
    xs, ys = charts_parties._band(["1", "2", "3", "4"], [0, 1, None, 3], [5, 6, None, 8])
    assert xs == ["1", "2", "2", "1", None, "4", "4", None]
    assert ys == [5, 6, 1, 0, None, 8, 3, None]


@pytest.mark.parametrize("page", ["#FFFFFF", "#0E1117"])
def test_every_standing_stands_out_from_the_page(page):
    for colour in charts_parties.STANDING_COLOURS.values():
        assert contrast(colour, page) >= 3, colour


# --- words --------------------------------------------------------------------------------------------------


def standing_of(due, failures):
    row = funnel(rated(("One", due, failures), ("Rest", 10**9 - due, 10**8 - failures))).row(0, named=True)
    judged = dict.fromkeys(["actual_failure_rate", "actual_low", "actual_high"])
    return words_parties.party_sentence(row | judged | {"verified": 3, "not_secure": 0})


def test_a_party_inside_the_limits_is_no_different_from_the_others():
    said = standing_of(100, 16)
    assert "16 of 100 Devices due were reported failed (**16.0\u00a0%**)" in said
    assert "chance alone gives a party of this size 5 to 16 nineteen times of twenty" in said
    assert "**inside the limits**" in said
    assert "too few to say" in said


def test_a_party_outside_the_limits_is_told_on_which_side():
    assert "**above the 99.8\u00a0% limits**" in standing_of(100, 30)
    assert "**below the 95\u00a0% limits**, where chance alone puts one party in twenty at most" in standing_of(100, 4)


# --- pages --------------------------------------------------------------------------------------------------


@pytest.fixture
def app(demonstration, demonstration_home, monkeypatch):
    monkeypatch.setenv("PCO_MARTS", str(demonstration_home / "marts"))
    return AppTest.from_file(APP, default_timeout=60).run()


def no_error(app):
    assert [error.value for error in app.error] == []
    assert [error.message for error in app.exception] == []
    return app


def opened(app, script):
    return no_error(with_open_tables(app.switch_page(f"app_pages/{script}.py").run()))


def titles(app):
    return [title.value for title in app.subheader if title.value != "Filters"]


def narrowed(app):
    """Filters off their defaults, and the same selection for the frames."""
    app.select_slider(key="period").set_value(("2019-02", "2021-03"))
    app.multiselect(key="type").set_value(["ESME", "GPF"])
    app.multiselect(key="region").set_value(["North", "South"])
    no_error(app.run())
    return Selection("2019-02", "2021-03", ("ESME", "GPF"), ("North", "South"))


@pytest.mark.parametrize("dimension", words.DIMENSIONS)
def test_funnel_and_quarters_hold_the_exported_rates(app, demonstration, dimension):
    opened(app, "parties")
    app.toggle(key="over_time").set_value(True)
    app.selectbox(key="compare_by").set_value(dimension).run()
    with_open_tables(app)
    _, standings, quarters = (frame.value for frame in no_error(app).dataframe)
    exported = {row[dimension]: row for row in tables.frame(demonstration, "rates", (dimension,)).to_dicts()}
    due = {party for party, row in exported.items() if row["due"]}
    shown = {None if row[dimension] != row[dimension] else row[dimension]: row for row in standings.to_dict("records")}
    assert shown.keys() == due
    for party, row in shown.items():
        for name in ("due", "reported_failures", "reported_failure_rate", "verified", "not_secure"):
            assert row[name] == exported[party][name]
    overall = tables.frame(demonstration, "rates").row(0, named=True)
    assert set(standings["overall_rate"]) == {overall["reported_failure_rate"]}
    assert f"({overall['reported_failures']:,} reported failed of {overall['due']:,} Devices due)" in titles(app)[1]
    by_party = quarters.groupby(dimension)[["due", "reported_failures"]].sum()
    assert len(by_party) == min(12, len(due - {None}))
    for party, row in by_party.iterrows():
        assert tuple(row) == (exported[party]["due"], exported[party]["reported_failures"])


@pytest.mark.parametrize("dimension", words.DIMENSIONS)
def test_filters_apply_to_every_card(app, demonstration, dimension):
    opened(app, "parties")
    selection = narrowed(app)
    app.toggle(key="over_time").set_value(True)
    app.selectbox(key="compare_by").set_value(dimension).run()
    with_open_tables(app)
    kept = rates(select(demonstration.frame("counts"), selection), (dimension,)).filter(pl.col("due") > 0)
    dumbbell, standings, _ = (frame.value for frame in no_error(app).dataframe)
    for shown in (dumbbell, standings):
        assert sorted(shown["due"]) == sorted(kept["due"])
        assert shown["reported_failures"].sum() == kept["reported_failures"].sum()


@pytest.mark.parametrize("role", PARTY_ROLES)
def test_one_partys_page_holds_its_exported_rates(app, demonstration, role):
    opened(app, "party")
    app.selectbox(key="party_role").set_value(role).run()
    exported = tables.frame(demonstration, "rates", (role,)).drop_nulls(role).sort("due", descending=True)
    for row in (exported.row(0, named=True), exported.row(-1, named=True)):
        app.selectbox(key="one_party").set_value(row[role]).run()
        trend, *rest = (frame.value for frame in no_error(app).dataframe)
        models = next(frame for frame in rest if "model" in frame and "due" in frame)
        assert (trend["due"].sum(), trend["reported_failures"].sum()) == (row["due"], row["reported_failures"])
        assert (models["due"].sum(), models["reported_failures"].sum()) == (row["due"], row["reported_failures"])
        said = "\n".join(element.value for element in app.markdown)
        assert f"{row['reported_failures']:,} of {words.devices(row['due'])} due were reported failed" in said


@pytest.mark.parametrize("role", PARTY_ROLES)
def test_one_partys_page_follows_the_filters(app, demonstration, role):
    opened(app, "party")
    app.selectbox(key="party_role").set_value(role).run()
    kept = select(demonstration.frame("counts"), narrowed(app))
    exported = rates(kept, (role,)).drop_nulls(role).filter(pl.col("reported_failures") > 0).sort("due")
    for row in (exported.row(0, named=True), exported.row(-1, named=True)):
        app.selectbox(key="one_party").set_value(row[role]).run()
        trend, by_cause, models, *_ = (frame.value for frame in no_error(app).dataframe)
        for shown in (trend, by_cause, models):
            assert shown["reported_failures"].sum() == row["reported_failures"]
        assert models["due"].sum() == row["due"]


def test_a_filter_never_puts_another_party_in_ones_place(app, demonstration):
    """No gas transporter has an ESME: the page opened on one says so, opened afresh it starts with one that has."""
    opened(app, "party")
    app.selectbox(key="party_role").set_value("network_operator").run()
    picked = app.selectbox(key="one_party").value
    app.multiselect(key="type").set_value(["ESME"]).run()
    of_type = rates(demonstration.frame("counts").filter(device_type="ESME"), ("network_operator",))
    has_any = picked in set(of_type.filter(pl.col("due") > 0)["network_operator"])
    assert no_error(app).selectbox(key="one_party").value == picked
    assert bool(app.warning) == (not has_any)


def test_the_page_opens_on_a_party_with_devices_due(app, demonstration):
    app.selectbox(key="party_role").set_value("network_operator")
    app.multiselect(key="type").set_value(["ESME"])
    app.run()
    opened(app, "party")
    assert not app.warning


def test_the_filter_of_parties_says_who_may_be_picked_but_not_who_the_peers_are(app):
    opened(app, "party")
    peers_of_all = app.dataframe[0].value["peers"].tolist()
    largest, *_ = app.selectbox(key="one_party").options
    app.multiselect(key="party").set_value([app.selectbox(key="one_party").value])
    no_error(app.run())
    assert app.selectbox(key="one_party").options == [largest]
    assert app.dataframe[0].value["peers"].tolist() == peers_of_all


def test_a_party_without_a_device_due_says_what_to_loosen(app, demonstration):
    opened(app, "party")
    smallest = tables.frame(demonstration, "rates", ("supplier_at_commissioning",)).sort("due")
    app.selectbox(key="one_party").set_value(smallest["supplier_at_commissioning"][0])
    app.select_slider(key="period").set_value(("2018-01", "2018-01"))
    no_error(app.run())
    assert "Widen the period" in app.warning[0].value


def test_an_address_names_the_party(app, demonstration_home):
    second = opened(app, "party").selectbox(key="one_party").options[1]
    linked = AppTest.from_file(APP, default_timeout=60)
    linked.query_params["one_party"] = second
    linked.run()
    assert opened(linked, "party").header[0].value == second


@pytest.mark.parametrize(
    "selection",
    [
        Selection(parties=("SUP01",)),
        Selection("2019-02", "2021-03", ("ESME", "GPF"), ("North",), "network_operator", ("END05", "END06")),
        Selection("2018-01", "2018-01", parties=("no such party",)),
    ],
)
def test_devices_to_act_on_are_those_of_the_exported_outcomes(demonstration, selection):
    exported = outcomes_frame(demonstration).with_columns(
        commissioned_month=pl.col("commissioned_at").dt.strftime("%Y-%m")
    )
    wanted = select(exported, selection).filter(pl.col("finding").is_in(["confirmed_failure", "missed_failure"]))
    outcomes = pl.scan_parquet(demonstration.files("outcomes"), glob=False)
    assert set(to_act_on(outcomes, selection, 10_000)["device_id"]) == set(wanted["device_id"])
    assert count_to_act_on(select(demonstration.frame("counts"), selection)) == wanted.height
    assert to_act_on(outcomes, selection, 3)["commissioned_at"].to_list() == sorted(wanted["commissioned_at"])[:3]


def test_devices_to_act_on_are_on_the_page(app, demonstration):
    opened(app, "party")
    party = app.selectbox(key="one_party").options[0]
    listed = app.dataframe[3].value
    assert set(listed["finding"]) <= {"Confirmed failure", "Missed failure"}
    own = views.by_party(
        demonstration.frame("counts"),
        "supplier_at_commissioning",
        dict(demonstration.frame("parties").select("party_id", "party_name").rows()),
    ).filter(name=party)
    assert len(listed) == own["not_secure"][0]
    assert f"{own['not_secure'][0]} of {own['due'][0]:,} Devices due are not secure" in titles(app)[-1]


def test_files_of_a_card_hold_its_table(demonstration):
    table = funnel(by_supplier(demonstration))
    sheet = list(load_workbook(io.BytesIO(cards.as_xlsx(table))).active.values)
    assert list(sheet[0]) == table.columns
    assert [row[sheet[0].index("standing")] for row in sheet[1:]] == table["standing"].to_list()
    back = pl.read_csv(cards.as_csv(table))
    assert back.columns == table.columns
    assert np.allclose(back["high_998"], table["high_998"])
    assert back["standing"].to_list() == table["standing"].to_list()
