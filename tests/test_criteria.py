"""Sets of amendments: by hand, against the oracle over random estates, and on the page."""

from itertools import permutations
from math import factorial
from pathlib import Path

import estates
import oracle
import polars as pl
import pytest
from hypothesis import given
from streamlit.testing.v1 import AppTest
from test_build import GOOD, built, few, planned

from analysis import criteria, tables
from analysis.amendments import AMENDMENTS, amendment_sets
from analysis.causes import BITS_A_CAUSE, causes
from analysis.rates import rates
from dashboard import charts_criteria, words_criteria
from tests.app_pages import with_open_tables

SUPPLIER, HANDOVER, EMPTY, TIMEOUT = AMENDMENTS
PLACES = {cause.amendment: place for place, cause in enumerate(causes())}


def counted(devices, actual, *unmet, reported="failed"):
    """A row of counts; each unmet check is given as the amendments that would accept it."""
    signature = sum(
        1 << (BITS_A_CAUSE * PLACES[amendment] + check)
        for check, accepting in enumerate(unmet)
        for amendment in accepting
    )
    return {
        "reported": reported,
        "actual": actual,
        "unmet": (1 << len(unmet)) - 1,
        "signature": signature,
        "device_keys": "not_read",
        "devices": devices,
    }


def frame(*rows):
    return pl.DataFrame(rows, schema_overrides={"unmet": pl.UInt8, "signature": pl.UInt32, "devices": pl.Int64})


# Two checks, one reason each: neither amendment does anything alone, and the two share what they bring.
COUNTS = frame(
    counted(100, "secure", reported="passed"),
    counted(5, "not_secure", reported="passed"),
    counted(7, "secure", reported="not_due"),
    counted(20, "secure", [EMPTY], [TIMEOUT]),
    counted(10, "secure", [EMPTY, TIMEOUT]),
    counted(4, "not_secure", [TIMEOUT]),
    counted(3, "unverified", [TIMEOUT]),
    counted(6, "secure", [EMPTY], []),
    counted(2, "not_secure", [SUPPLIER, TIMEOUT]),
)


@pytest.mark.parametrize(
    ("chosen", "evidence", "failed", "over_reported", "removed", "created", "unverified"),
    [
        ((), False, 45, 36, 0, 0, 0),
        ((EMPTY,), False, 35, 26, 10, 0, 0),
        ((TIMEOUT,), False, 26, 26, 10, 6, 3),
        ((EMPTY, TIMEOUT), False, 6, 6, 30, 6, 3),
        ((TIMEOUT, EMPTY), True, 15, 6, 30, 0, 0),
        ((SUPPLIER,), False, 43, 36, 0, 2, 0),
        ((SUPPLIER, HANDOVER), True, 45, 36, 0, 0, 0),
    ],
)
def test_a_set_by_hand(chosen, evidence, failed, over_reported, removed, created, unverified):
    row = criteria.under(criteria.sets(COUNTS), chosen, evidence)
    assert (row["due"], row["reported_failures"], row["over_reported"]) == (150, failed, over_reported)
    assert row["missed_failures"] == 5 + created
    assert row["reported_failure_rate"] == pytest.approx(failed / 150)
    assert (row["over_reported_removed"], row["missed_created"], row["unverified_passed"]) == (
        removed,
        created,
        unverified,
    )


@pytest.mark.parametrize(
    ("order", "removed", "created"),
    [
        ((EMPTY, TIMEOUT, SUPPLIER), [10, 20, 0], [0, 6, 0]),
        ((SUPPLIER, TIMEOUT, EMPTY), [0, 10, 20], [2, 4, 0]),
    ],
)
def test_what_each_brings_depends_on_the_order(order, removed, created):
    steps = criteria.steps(criteria.sets(COUNTS), order, False)
    assert steps["over_reported_removed"].to_list() == [0, *removed]
    assert steps["missed_created"].to_list() == [0, *created]
    assert steps["over_reported"][-1] == 6
    assert steps["step"].to_list() == ["Criteria in force", *map(criteria.amendment_label, order)]


@pytest.mark.parametrize("order", list(permutations((EMPTY, TIMEOUT, SUPPLIER))))
def test_shapley_shares_by_hand_in_every_order(order):
    shares = criteria.contributions(criteria.sets(COUNTS), order, False)
    found = {(row["measure"], row["amendment"]): (row["alone"], row["shapley"]) for row in shares.to_dicts()}
    label = criteria.amendment_label
    assert found["over_reported_removed", label(EMPTY)] == (10, 15)
    assert found["over_reported_removed", label(TIMEOUT)] == (10, 15)
    assert found["over_reported_removed", label(SUPPLIER)] == (0, 0)
    assert found["missed_created", label(TIMEOUT)] == (6, 5)
    assert found["missed_created", label(SUPPLIER)] == (2, 1)
    assert found["missed_created", label(HANDOVER)] == (0, None)


def test_the_frontier_by_hand():
    table = words_criteria.named(criteria.sets(COUNTS)).filter("on_frontier")
    without = table.filter(~pl.col("evidence"))
    assert dict(without.select("letters", "missed_created").rows()) == {"E": 0, "HE": 0} | dict.fromkeys(
        ["ET", "SET", "HET", "SHET"], 6
    )
    assert set(table.filter("evidence")["letters"]) == {"ET", "SET", "HET", "SHET"}


def test_the_share_not_secure_among_those_who_would_pass_has_an_interval():
    passing = criteria.newly_passing(COUNTS, (TIMEOUT,), False)
    assert (passing["due"], passing["verified"], passing["not_secure"]) == (19, 16, 6)
    assert passing["actual_failure_rate"] == pytest.approx(6 / 16)
    assert passing["actual_low"] < 6 / 16 < passing["actual_high"]
    said = words_criteria.effect(criteria.under(criteria.sets(COUNTS), (TIMEOUT,), False), passing, False)
    assert "**10 false alarms removed**, **6 true failures hidden**, 3 not verified" in said
    assert "16 of them that were verified, 6 (37.5\u00a0%)" in said


def test_an_estate_with_nothing_due_has_no_rate():
    table = criteria.sets(COUNTS.filter(reported="not_due"))
    assert table["reported_failure_rate"].to_list() == [None] * 32
    assert set(table["newly_passed"]) == {0}


# --- against the oracle, and by brute force -----------------------------------------------------------------


@few(12)
@given(plan=planned(GOOD), as_at=estates.as_ats())
def test_every_set_equals_the_oracles(plan, as_at):
    extracts = estates.make_estate(**plan | {"devices": 12})
    clean, _ = oracle.check(extracts, estates.BUILD_START)
    with built(extracts, as_at) as snapshot:
        table = criteria.sets(snapshot.frame("counts"))
    wanted = {(tuple(row["amendments"]), row["evidence"]): row for row in oracle.amendments(clean, as_at)}
    for (chosen, evidence), row in wanted.items():
        found = criteria.under(table, chosen, evidence)
        assert {name: found[name] for name in row} == row
        in_force = wanted[(), evidence]
        assert found["over_reported_removed"] == in_force["over_reported"] - row["over_reported"]
        assert found["missed_created"] == row["missed_failures"] - in_force["missed_failures"]
        assert found["on_frontier"] == on_frontier(wanted, row, in_force)
    shares_are_averages_over_all_orders(table)


def on_frontier(wanted, row, in_force):
    """Whether no set of the 16 is at least as good in both and better in one; in the oracle's own figures."""

    def gain_and_loss(one):
        return in_force["over_reported"] - one["over_reported"], in_force["missed_failures"] - one["missed_failures"]

    mine = gain_and_loss(row)
    others = [gain_and_loss(other) for (_, evidence), other in wanted.items() if evidence == row["evidence"]]
    return not any(other != mine and all(o >= m for o, m in zip(other, mine, strict=True)) for other in others)


def shares_are_averages_over_all_orders(table):
    for evidence in (False, True):
        for chosen in amendment_sets()[1:]:
            shares = criteria.contributions(table, chosen, evidence)
            whole = criteria.under(table, chosen, evidence)
            for measure in criteria.MEASURES:
                shapley = shares.filter(pl.col("measure") == measure)["shapley"]
                assert shapley.sum() == pytest.approx(whole[measure])
                averages = average_over_orders(table, chosen, evidence, measure)
                assert shapley.to_list()[: len(chosen)] == pytest.approx(averages)


def average_over_orders(table, chosen, evidence, measure):
    brought = dict.fromkeys(chosen, 0)
    for order in permutations(chosen):
        for place, amendment in enumerate(order):
            before, after = (criteria.under(table, order[:end], evidence)[measure] for end in (place, place + 1))
            brought[amendment] += after - before
    return [brought[amendment] / factorial(len(chosen)) for amendment in chosen]


def test_shares_of_the_demonstration_are_averages_over_all_24_orders(demonstration):
    table = criteria.sets(demonstration.frame("counts"))
    assert criteria.under(table, AMENDMENTS, False)["missed_created"] > 0
    shares_are_averages_over_all_orders(table)


def test_every_reported_failure_that_passes_is_of_one_kind(demonstration):
    counts = demonstration.frame("counts")
    for row in criteria.sets(counts).to_dicts():
        passing = criteria.newly_passing(counts, tuple(row["amendments"]), row["evidence"])
        assert passing["due"] == row["newly_passed"]
        assert passing["not_secure"] == row["missed_created"]
        assert passing["due"] - passing["verified"] == row["unverified_passed"]


# --- the figures --------------------------------------------------------------------------------------------


def test_the_waterfall_ends_where_the_set_does():
    figure = charts_criteria.steps(criteria.steps(criteria.sets(COUNTS), (TIMEOUT, EMPTY), False))
    over_reported, missed = figure.data
    assert list(over_reported.text) == ["36", "\u221210", "\u221220", "6"]
    assert list(missed.text) == ["5", "+6", "0", "11"]
    assert list(over_reported.base) == [0, 36, 26, 0]
    assert list(missed.base) == [0, 5, 11, 0]


def test_the_frontier_shows_every_set_and_rings_the_chosen_one():
    table = words_criteria.named(criteria.sets(COUNTS))
    line, without, with_evidence, ring = charts_criteria.frontier(table, criteria.under(table, (TIMEOUT,), False)).data
    assert (len(without.x), len(with_evidence.x), set(with_evidence.y)) == (16, 16, {0})
    assert list(zip(ring.x, ring.y, strict=True)) == [(10, 6)]
    labelled = [(x, y, text) for x, y, text in zip(without.x, without.y, without.text, strict=True) if text]
    assert labelled == [(10, 0, "E"), (30, 6, "ET")]
    assert sorted(set(zip(line.x, line.y, strict=True))) == [(10, 0), (30, 6)]


# --- the page -----------------------------------------------------------------------------------------------

APP = Path(__file__).resolve().parent.parent / "dashboard" / "streamlit_app.py"


@pytest.fixture
def app(demonstration, demonstration_home, monkeypatch):
    monkeypatch.setenv("PCO_MARTS", str(demonstration_home / "marts"))
    app = AppTest.from_file(APP, default_timeout=60).run()
    return drawn(app.switch_page("app_pages/criteria.py"))


def drawn(app):
    with_open_tables(app.run())
    assert [title.value for title in app.title] == ["Criteria"]
    assert [error.value for error in app.error] == []
    assert [error.message for error in app.exception] == []
    return app


def chosen_on_page(app, chosen, evidence):
    for amendment in AMENDMENTS:
        app.toggle(key=amendment).set_value(amendment in chosen)
    app.toggle(key="evidence").set_value(evidence)
    return drawn(app)


def metrics(app):
    return {metric.label: metric.value for metric in app.metric}


def exported(snapshot, chosen, evidence):
    table = tables.frame(snapshot, "amendments")
    return next(row for row in table.to_dicts() if (row["amendments"], row["evidence"]) == (list(chosen), evidence))


@pytest.mark.parametrize(
    ("chosen", "evidence"),
    [((), False), ((), True), ((TIMEOUT,), False), ((SUPPLIER, EMPTY), True), (AMENDMENTS, False), (AMENDMENTS, True)],
)
def test_the_page_shows_what_is_exported(app, demonstration, chosen, evidence):
    shown = metrics(chosen_on_page(app, chosen, evidence))
    wanted, in_force = exported(demonstration, chosen, evidence), exported(demonstration, (), False)
    due = rates(demonstration.frame("counts"))["due"].item()
    assert shown["Reported failure rate"] == f"{wanted['reported_failures'] / due:.1%}".replace("%", "\u00a0%")
    assert shown["Over-reported left"] == f"{wanted['over_reported']:,}"
    assert shown["Missed failures created"] == f"{wanted['missed_failures'] - in_force['missed_failures']:,}"
    assert f"({wanted['reported_failures']:,} of {due:,} due)" in app.header[0].value


def test_the_table_of_all_sets_equals_the_export(app, demonstration):
    shown = pl.from_pandas(chosen_on_page(app, (TIMEOUT,), True).dataframe[-1].value)
    wanted = tables.frame(demonstration, "amendments")
    assert shown.select(wanted.columns).sort("evidence", "amendments").equals(wanted.sort("evidence", "amendments"))


def test_the_order_named_comes_first(app):
    chosen_on_page(app, (SUPPLIER, EMPTY, TIMEOUT), False)
    app.multiselect(key="order").set_value([TIMEOUT, HANDOVER])
    steps = drawn(app).dataframe[0].value["step"].to_list()
    assert steps[1:] == [criteria.amendment_label(name) for name in (TIMEOUT, SUPPLIER, EMPTY)]


def test_filters_narrow_the_figures(app, demonstration):
    app.multiselect(key="type").set_value(["CHF"])
    shown = metrics(chosen_on_page(app, (TIMEOUT,), False))
    of_type = criteria.sets(demonstration.frame("counts").filter(device_type="CHF"))
    wanted = criteria.under(of_type, (TIMEOUT,), False)
    assert shown["Missed failures created"] == f"{wanted['missed_created']:,}"
    assert shown["Over-reported left"] == f"{wanted['over_reported']:,}"


def test_an_empty_selection_says_what_to_loosen(app):
    app.select_slider(key="period").set_value(("2018-01", "2018-01"))
    app.multiselect(key="type").set_value(["GPF"])
    app.multiselect(key="region").set_value(["South"])
    assert "Widen the period" in drawn(app).warning[0].value
