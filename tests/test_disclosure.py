"""What the Panel and the industry may see: by hand, and against an attacker who solves for what is hidden."""

import tomllib
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from analysis import disclosure
from analysis.disclosure import Cell, Policy, Sheet, hidden_cells, policy, published

ROLES = ("supplier_at_commissioning", "supplier")
RULES = Policy(8, 5, 10, 3, 0.9, ROLES)


def sheet(rows, **rest):
    """rows: (group, party, due, failures); the counts of a sheet by group."""
    frame = pl.DataFrame(rows, ["group", "supplier", "due", "failures"], orient="row").with_columns(
        supplier_at_commissioning="supplier"
    )

    def make(roles):
        sums = pl.col("due", "failures").sum()
        return frame.group_by("group", *roles, maintain_order=True).agg(sums)

    return Sheet("table", "group", make, ("due", "failures"), "due", **rest)


def shown(rows, **rest):
    return {group: numbers for group, *numbers in published([sheet(rows, **rest)], RULES)["table"].rows()}


def even(group, due, failures, parties=4):
    return [(group, f"P{party}", due // parties, failures // parties) for party in range(parties)]


def test_the_policy_is_one_file_with_the_numbers_that_were_asked_for():
    read = tomllib.loads(Path(disclosure.__file__).with_suffix(".toml").read_text())
    assert (read["threshold"], read["round_to"], read["fewest_devices"]) == (8, 5, 10)
    assert (read["fewest_parties"], read["dominance"]) == (3, 0.9)
    assert (policy().threshold, policy().round_to, policy().dominance) == (8, 5, 0.9)


def test_small_numbers_are_hidden_zero_is_not_and_others_are_rounded():
    assert shown(even("a", 100, 4)) == {"a": [100, None]}
    assert shown(even("a", 100, 0)) == {"a": [100, 0]}
    assert shown(even("a", 48, 8)) == {"a": [50, 10]}
    assert shown(even("a", 104, 12)) == {"a": [105, 10]}


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([("a", "P1", 3, 0), ("a", "P2", 3, 0), ("a", "P3", 3, 0)], "fewer than 10 Devices"),
        ([("a", "P1", 500, 90), ("a", "P2", 500, 90)], "two parties"),
        ([("a", "P1", 950, 100), ("a", "P2", 25, 0), ("a", "P3", 25, 0)], "one party has 95 %"),
        ([("a", None, 500, 100), ("a", "P2", 250, 0), ("a", "P3", 250, 0)], "no party is no third party"),
    ],
)
def test_a_group_of_few_devices_or_parties_or_of_one_that_dominates_is_hidden(rows, why):
    assert shown(rows) == {"a": [None, None]}


def test_a_number_of_one_party_in_a_group_of_many_is_hidden():
    rows = [("a", "P1", 100, 40), ("a", "P2", 100, 0), ("a", "P3", 100, 0)]
    assert shown(rows) == {"a": [300, None]}


def test_a_share_of_exactly_the_limit_is_shown():
    rows = [("a", "P1", 90, 90), ("a", "P2", 5, 5), ("a", "P3", 5, 5)]
    assert shown(rows) == {"a": [100, 100]}


def test_one_small_row_takes_another_with_it_where_the_total_is_shown():
    rows = even("a", 100, 4) + even("b", 200, 40) + even("c", 300, 20)
    total = sheet([("total", party, due, failures) for _, party, due, failures in rows])
    total = Sheet("whole", "group", total.make, total.counts, "due")
    table = sheet(rows, total="whole/total", adds_up={"due": "due", "failures": "failures"})
    found = published([total, table], RULES)
    assert found["whole"].rows() == [("total", 600, 65)]
    assert found["table"].rows() == [("a", 100, None), ("b", 200, 40), ("c", 300, None)]


def test_a_count_that_another_sheet_tells_too_is_hidden_in_both():
    rows = even("a", 100, 4)
    one = sheet(rows)
    other = Sheet("other", "group", one.make, ("due", "failures"), "due", same_as={"a": "table/a"})
    few = Policy(8, 5, 10, 5, 0.9, ROLES)
    assert published([one, other], RULES)["other"].rows() == [("a", 100, None)]
    assert published([other, one], few)["table"].rows() == [("a", None, None)]


NUMBERS = st.one_of(st.integers(0, 12), st.integers(0, 400))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=5))
def test_no_small_number_can_be_solved_for(rows):
    """Groups by three parts, sums of both: an attacker who has every number shown exactly, before any rounding, and
    solves all sums together."""
    cells, relations = {}, []
    for place, parts in enumerate(rows):
        for part, value in enumerate(parts):
            cells[f"r{place}", f"c{part}"] = value
        cells[f"r{place}", "sum"] = sum(parts)
        relations.append(((f"r{place}", "sum"), tuple((f"r{place}", f"c{part}") for part in range(3))))
    for column in ("c0", "c1", "c2", "sum"):
        parts = tuple((f"r{place}", column) for place in range(len(rows)))
        cells["all", column] = sum(cells[part] for part in parts)
        relations.append((("all", column), parts))
    relations.append((("all", "sum"), tuple(("all", f"c{part}") for part in range(3))))
    small = {key for key, value in cells.items() if 0 < value < RULES.threshold}
    hidden = hidden_cells({key: Cell(value, key in small) for key, value in cells.items()}, relations, RULES)
    assert small <= hidden
    for key in small:
        low, high = bounds(key, cells, hidden, relations)
        assert high - low > 0.9, (key, low, high)


def bounds(key, cells, hidden, relations):
    """The least and the most that a hidden cell can be: cells are no less than 0, those shown are known."""
    keys = list(cells)
    place = {one: number for number, one in enumerate(keys)}
    equations = np.zeros((len(relations), len(keys)))
    for row, (whole, parts) in enumerate(relations):
        equations[row, place[whole]] = -1
        for part in parts:
            equations[row, place[part]] += 1
    limits = [(0, None) if one in hidden else (cells[one], cells[one]) for one in keys]
    goal = np.zeros(len(keys))
    goal[place[key]] = 1
    ends = []
    for sign in (1, -1):
        solved = linprog(sign * goal, A_eq=equations, b_eq=np.zeros(len(relations)), bounds=limits)
        ends.append(np.inf if solved.status == 3 else sign * solved.fun)
    return ends
