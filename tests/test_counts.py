"""Counts of Devices against a plain Counter, whatever waits in files and however many are added up at once."""

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import counts
from analysis.counts import COUNTED_BY, Counts

NUMBERS = {"unmet": pl.UInt8, "signature": pl.UInt32}
SCHEMA = {name: NUMBERS.get(name, pl.String) for name in COUNTED_BY}
# Of each kind only month, party and number of unmet checks differ.
KINDS = st.tuples(st.sampled_from(["2020-01", "2020-02", "2021-08"]), st.sampled_from(["A", None]), st.integers(0, 2))


def outcomes(kinds):
    rows = [dict.fromkeys(COUNTED_BY, "x") | {"signature": 0} for _ in kinds]
    for row, (month, party, unmet) in zip(rows, kinds, strict=True):
        row |= {"commissioned_month": month, "supplier": party, "unmet": unmet}
    return pl.DataFrame(rows, SCHEMA)


def counted(frame):
    rows = frame.select("commissioned_month", "supplier", "unmet", "devices").rows()
    assert len({row[:3] for row in rows}) == len(rows)
    return {row[:3]: row[3] for row in rows}


@given(
    parts=st.lists(st.lists(KINDS, min_size=1), min_size=1, max_size=6),
    held=st.integers(0, 9),
    at_once=st.integers(1, 9),
)
def test_devices_are_counted_and_taken_away(parts, held, at_once):
    wanted = Counter(kind for part in parts for kind in part)
    with TemporaryDirectory() as work, patch.multiple(counts, MOST_HELD=held, MOST_ADDED=at_once):
        found = Counts(Path(work))
        for part in parts:
            found.add(outcomes(part))
        assert counted(found.frame()) == wanted
        earlier, later = Path(work) / "earlier.parquet", Path(work) / "later.parquet"
        found.write(earlier)
        assert counted(pl.read_parquet(earlier)) == wanted
        (Path(work) / "more").mkdir()
        found = Counts(Path(work) / "more", [earlier])
        found.add(outcomes(parts[0]), -1)
        found.write(later)
        assert counted(pl.read_parquet(later)) == wanted - Counter(parts[0])
        assert counted(pl.read_parquet(earlier)) == wanted


@pytest.mark.parametrize("work", [True, False])
def test_what_waits_is_in_files_where_there_is_a_folder_for_them(tmp_path, work):
    with patch.object(counts, "MOST_HELD", 1):
        found = Counts(tmp_path if work else None)
        for month in ("2020-01", "2020-02"):
            found.add(outcomes([(month, "A", 0), (month, None, 1)]))
        assert counted(found.frame()) == {
            (m, p, u): 1 for m in ("2020-01", "2020-02") for p, u in (("A", 0), (None, 1))
        }
    assert len(list(tmp_path.iterdir())) == 2 * work


def test_no_more_than_some_months_are_held_at_once(tmp_path):
    """However many months there are, what is read of the waiting files and added up at once is bounded."""
    read = []

    def noted(rows):
        read.append(rows.height)
        return added(rows)

    added = counts._added
    months = [f"{2000 + number // 12}-{number % 12 + 1:02d}" for number in range(240)]
    with patch.multiple(counts, MOST_HELD=50, MOST_ADDED=100, ROWS_A_GROUP=10, _added=noted):
        found = Counts(tmp_path)
        for supplier in "ABCD":
            found.add(outcomes([(month, supplier, 0) for month in months]))
        found.write(tmp_path / "all.parquet")
    assert sum(read) == 960
    assert max(read) <= 100 + 4
    written = pl.read_parquet(tmp_path / "all.parquet")
    assert (written.height, written["devices"].sum()) == (960, 960)
