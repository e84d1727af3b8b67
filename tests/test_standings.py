"""Counts by how Devices stand: the same as those of the rows that a selection leaves."""

import polars as pl
import polars.selectors as cs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from analysis.selection import PARTY_ROLES, Selection, select
from analysis.standings import KIND, STANDING, standings


@pytest.fixture(scope="module")
def counts(demonstration):
    return demonstration.frame("counts")


@given(st.data())
def test_devices_are_counted_as_rows_are(counts, data):
    choice = {name: sorted(counts[name].drop_nulls().unique()) for name in KIND}
    role = data.draw(st.sampled_from(PARTY_ROLES))
    some = {name: st.lists(st.sampled_from(values), max_size=3).map(tuple) for name, values in choice.items()}
    month = st.none() | st.sampled_from(choice["commissioned_month"])
    selection = Selection(
        data.draw(month),
        data.draw(month),
        data.draw(some["device_type"]),
        data.draw(some["csp_region"]),
        role,
        data.draw(some[role]),
    )
    by = data.draw(st.lists(st.sampled_from(KIND), unique=True, max_size=3))
    coded = counts.with_columns(cs.string().cast(pl.Categorical))
    found = standings(coded).counted(selection, *by).with_columns(cs.categorical().cast(pl.String))
    wanted = select(counts, selection).group_by(*by, *STANDING).agg(pl.col("devices").sum())
    assert_frame_equal(found, wanted, check_row_order=False)


def test_the_same_columns_in_another_order_are_another_frame(counts):
    found = standings(counts)
    one, other = (found.counted(Selection(), *by) for by in (("model", "supplier"), ("supplier", "model")))
    assert one.columns[:2] == ["model", "supplier"]
    assert_frame_equal(one, other.select(one.columns), check_row_order=False)
