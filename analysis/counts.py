"""Devices counted by everything that a page groups, filters or computes with."""

from pathlib import Path

import polars as pl
import polars.selectors as cs

COUNTED_BY = (
    "commissioned_month",
    "device_type",
    "csp_region",
    "supplier_at_commissioning",
    "supplier",
    "network_operator",
    "manufacturer",
    "model",
    "reported",
    "actual",
    "finding",
    "device_keys",
    "cause",
    "causes",
    "unmet",
    "signature",
)
# Rows that are held before they go to a file, and those that are added up at once.
MOST_HELD = 250_000
MOST_ADDED = 300_000


class Counts:
    """Devices counted by `COUNTED_BY`, a bucket at a time, from counts that there are already.

    Most kinds of Devices are rare, so a bucket's counts are nearly as many as its Devices, and all of them together far
    more than is left once they are added up. They wait in files below `work` (None: in memory) and are added up at
    the end, some months of commissioning at a time.
    """

    def __init__(self, work: Path | None = None, earlier: pl.DataFrame | None = None) -> None:
        self._work = work
        self._held: list[pl.DataFrame] = []
        self._files: list[Path] = []
        if earlier is not None:
            self.take(earlier)

    def add(self, outcomes: pl.DataFrame, sign: int = 1) -> None:
        """sign: -1 takes Devices away."""
        coded = _coded(outcomes.select(pl.col(COUNTED_BY)))
        devices = pl.len().cast(pl.Int64) * sign
        self._hold(coded.group_by(COUNTED_BY, maintain_order=True).agg(devices=devices))

    def take(self, counts: pl.DataFrame) -> None:
        """Adds what was counted elsewhere: a `frame` of counts."""
        self._hold(_coded(counts))

    def frame(self) -> pl.DataFrame:
        """One row a kind of Device that there is: `COUNTED_BY` and `devices`, which is never 0."""
        if not self._files:
            return _added(pl.concat(self._held))
        if self._held:
            self._put_down()
        found = pl.scan_ipc(self._files, glob=False)
        return pl.concat([_added(found.filter(of_months).collect()) for of_months in _some_months_each(found)])

    def _hold(self, part: pl.DataFrame) -> None:
        self._held.append(part)
        if self._work and sum(part.height for part in self._held) > MOST_HELD:
            self._put_down()

    def _put_down(self) -> None:
        file = self._work / f"counts-{len(self._files)}.arrow"
        pl.concat(self._held).write_ipc(file, compression="lz4")
        self._files.append(file)
        self._held = []


def _coded(rows: pl.DataFrame) -> pl.DataFrame:
    """Codes in place of texts group three times as fast."""
    return rows.with_columns(cs.string().cast(pl.Categorical))


def _added(rows: pl.DataFrame) -> pl.DataFrame:
    found = rows.group_by(COUNTED_BY, maintain_order=True).agg(pl.col("devices").sum())
    return found.filter(pl.col("devices") != 0).with_columns(cs.categorical().cast(pl.String))


def _some_months_each(rows: pl.LazyFrame) -> list[pl.Expr]:
    """Filters that part the rows by month of commissioning, each of few rows or of one month."""
    month = pl.col("commissioned_month").cast(pl.String)
    of_month = rows.group_by(month).len().collect().sort("commissioned_month")
    chunk = pl.col("len").cum_sum() // MOST_ADDED
    return [
        month.is_in(months["commissioned_month"].implode())
        for _, months in of_month.group_by(chunk, maintain_order=True)
    ]
