"""Devices counted by everything that a page groups, filters or computes with."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from data.behind import Behind
from data.codes import coded, in_text

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
# Rows that are held before they go to a file, those that are added up at once, and those that are read or passed over
# together.
MOST_HELD = 250_000
MOST_ADDED = 300_000
ROWS_A_GROUP = 8_192


class Counts:
    """Devices counted by `COUNTED_BY`, a bucket at a time, from counts that there are already.

    Most kinds of Devices are rare, so a bucket's counts are nearly as many as its Devices, and all of them together far
    more than is left once they are added up. They wait in files below `work` (None: in memory), in the order of the
    month of commissioning, and are added up some months at a time, so that no more than those are held.
    """

    def __init__(self, work: Path | None = None, earlier: list[Path] | None = None) -> None:
        """earlier: files that `write` wrote; they are only read."""
        self._work = work
        self._held: list[pl.DataFrame] = []
        self._files: list[Path] = list(earlier or [])

    def add(self, outcomes: pl.DataFrame, sign: int = 1) -> None:
        """outcomes: quicker when they are coded. sign: -1 takes Devices away."""
        devices = pl.len().cast(pl.Int64) * sign
        kinds = coded(outcomes.select(COUNTED_BY)).group_by(COUNTED_BY, maintain_order=True)
        self._hold(kinds.agg(devices=devices))

    def take(self, counts: pl.DataFrame) -> None:
        """Adds what was counted elsewhere: a `frame` of counts."""
        self._hold(coded(counts))

    def frame(self) -> pl.DataFrame:
        """One row a kind of Device that there is: `COUNTED_BY` and `devices`, which is never 0."""
        return in_text(pl.concat(list(self._parts())))

    def write(self, file: Path) -> None:
        """Writes the `frame` as Parquet, without holding it whole."""
        parts = (_table(part) for part in self._parts())
        first = next(parts)
        # A part is written while the next is added up.
        how = {"compression": "zstd", "compression_level": 1}
        with pq.ParquetWriter(file, first.schema, **how) as writer, Behind() as behind:
            for part in chain([first], parts):
                behind.call(writer.write_table, part)

    def _parts(self) -> Iterator[pl.DataFrame]:
        if not self._files:
            yield _added(pl.concat(self._held))
            return
        if self._held:
            self._put_down()
        found = pl.scan_parquet(self._files, glob=False, hive_partitioning=False)
        for first, last in _some_months_each(found):
            # Coded while they are read: as texts, those of one large month would be most of what a build holds.
            of_months = pl.col("commissioned_month").is_between(pl.lit(first), pl.lit(last))
            yield _added(coded(found.filter(of_months)).collect())

    def _hold(self, part: pl.DataFrame) -> None:
        self._held.append(part)
        if self._work and sum(part.height for part in self._held) > MOST_HELD:
            self._put_down()

    def _put_down(self) -> None:
        file = self._work / f"counts-{len(self._files)}.parquet"
        rows = _by_month(pl.concat(self._held))
        rows.write_parquet(file, compression="lz4", row_group_size=ROWS_A_GROUP)
        self._files.append(file)
        self._held = []


def _added(rows: pl.DataFrame) -> pl.DataFrame:
    found = rows.group_by(COUNTED_BY, maintain_order=True).agg(pl.col("devices").sum())
    return found.filter(pl.col("devices") != 0)


def _some_months_each(rows: pl.LazyFrame) -> list[tuple[str, str]]:
    """First and last months of commissioning that part the rows, each of few rows or of one month; one at least."""
    of_month = rows.group_by("commissioned_month").len().collect(engine="streaming").sort("commissioned_month")
    chunk = pl.col("len").cum_sum() // MOST_ADDED
    parts = [months["commissioned_month"] for _, months in of_month.group_by(chunk, maintain_order=True)]
    return [(months[0], months[-1]) for months in parts] or [("", "")]


def _by_month(rows: pl.DataFrame) -> pl.DataFrame:
    """In the order of the month, as a text: its statistics then tell which groups of rows to pass over."""
    return rows.with_columns(pl.col("commissioned_month").cast(pl.String)).sort("commissioned_month")


def _table(part: pl.DataFrame) -> pa.Table:
    return _by_month(part).to_arrow(compat_level=pl.CompatLevel.oldest())
