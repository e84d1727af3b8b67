"""A clock that went backwards: snapshots are in the order of their numbers, and the newest is in use."""

import os
from datetime import UTC, datetime
from unittest.mock import patch

from builds import pco
from faulty import leftovers, whole

from analysis import pipeline
from data import keeping
from data.marts import current, snapshots


class Clock(datetime):
    """A clock that stands; rows of the estate are of 2018."""

    told: datetime

    @classmethod
    def now(cls, tz=None):
        return cls.told.replace(tzinfo=UTC) if tz else cls.told


def build_at(year, extracts, marts):
    Clock.told = datetime(year, 1, 1)
    with patch.object(pipeline, "datetime", Clock):
        return pco("build", "--extracts", extracts, "--marts", marts)


def test_a_build_by_an_earlier_clock_is_the_newer_snapshot(extracts, marts):
    for year in (2022, 2019):
        assert build_at(year, extracts, marts).status == 0
        assert current(marts).manifest["build_started_at"].startswith(f"{year}-01-01")
    assert [one.number for one in snapshots(marts)] == [1, 2, 3]
    assert (whole(marts)[0], current(marts).manifest["parent"]) == (3, "000002")
    # Nor do the times of folders matter.
    for folder, when in zip(sorted((marts / "snapshots").iterdir()), (3e9, 2e9, 1e9), strict=True):
        os.utime(folder, (when, when))
    assert [entry.number for entry in keeping.entries(marts)] == [1, 2, 3]
    assert keeping.prune(marts, 2) == {1: "removed", 2: "kept", 3: "in use"}


def test_a_clock_before_the_rows_refuses_the_build(extracts, marts):
    """By the contract every row is later than the start of the build then."""
    done = build_at(2013, extracts, marts)
    assert done.status == 3
    assert (whole(marts)[0], leftovers(marts)) == (1, [])
    assert build_at(2022, extracts, marts).status == 0
    assert whole(marts)[0] == 2
