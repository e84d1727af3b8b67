"""Partials put together: what all the extracts reduce to, some Devices at a time."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial as partial_of
from pathlib import Path

import duckdb
import polars as pl

from data.extracts import InputRefused
from data.partials import Partial
from data.quarantine import Quarantine
from data.reduction import Progress, buckets_for, may_hold

HASHES = 1 << 64
BUCKETS_TOGETHER = 4
SEARCHED_AT_ONCE = 2
# What verdicts are weighed from: the tables that say of which Device a row is.
WEIGHED = ("inventory_rows", "attempts", "dsp_checks", "cell_reads", "spells", "device_certificates")
# What a snapshot keeps of each Device: those, and the messages, which there may be none of.
OF_DEVICES = (*WEIGHED, "messages")
# Key of a partial of the inventory -> keys of Devices, in order.
InConflict = dict[str, list[int]]


class Merged:
    """What a build's partials hold. A *bucket* is a range of hashes of Devices; there are 2^n of them."""

    def __init__(
        self,
        partials: list[Partial],
        connection: duckdb.DuckDBPyConnection,
        as_at: datetime | None = None,
        progress: Progress = lambda stage, done, total: None,
    ):
        self.partials = partials
        self.connection = connection
        self.progress = progress
        # Table -> its files: each bucket asks for them.
        self._files: dict[str, list[Path]] = {}
        devices = sum(rows for partial in partials for _, rows, _ in partial.described("inventory_rows"))
        self.buckets = buckets_for(devices)
        self.as_at = as_at or self._latest()
        self._whole_tables()

    def _latest(self) -> datetime:
        latest = max((partial.latest for partial in self.partials if partial.latest), default=None)
        if latest is None:
            raise InputRefused(["no Response, check or read says when the extracts speak of: give --as-at"])
        return latest

    def _whole_tables(self) -> None:
        for name in ("cell_contents", "organisation_certificates", "party_euis"):
            if self.files(name):
                self.connection.register("found", self._distinct_rows(name).to_arrow())
                self.connection.execute(f"create table {name} as from found").fetchall()
                self.connection.unregister("found")

    def _distinct_rows(self, name: str) -> pl.DataFrame:
        """All rows of a table of which none stands twice, in one order."""
        return pl.concat([pl.read_parquet(file, glob=False) for file in self.files(name)]).unique().sort(pl.all())

    def files(self, name: str) -> list[Path]:
        if name not in self._files:
            self._files[name] = [file for partial in self.partials for file in partial.files(name)]
        return self._files[name]

    def rows(self, name: str, buckets: range, *columns: str, where: pl.Expr | None = None) -> pl.DataFrame:
        """The rows of a reduction in buckets that follow one another, all columns unless some are named."""
        return rows_between(self.files(name), *hashes_of(buckets, self.buckets), *columns, where=where)

    def inventory(self, buckets: range, where: pl.Expr | None = None) -> pl.DataFrame:
        """One row per Device of the buckets, but for those of which the inventory says two things.

        where: holds for all rows of a Device or for none.
        """
        return one_row_a_device(self.rows("inventory_rows", buckets, where=where))

    def devices_in_conflict(self, known: InConflict) -> InConflict:
        """Of each partial of the inventory the keys of its Devices of which the inventory says two things.

        known: the same of some of the partials alone. What those say of Devices that no other speaks of is not read.
        """
        inventory = [partial for partial in self.partials if partial.extract == "devices"]
        with ThreadPoolExecutor(max_workers=SEARCHED_AT_ONCE) as pool:
            find = partial_of(self._in_conflict, inventory, known)
            found = pl.concat(pool.map(find, together(self.buckets)))
        keys = {number: rows["device_key"] for (number,), rows in found.partition_by("partial", as_dict=True).items()}
        return {
            partial.key: sorted({*known.get(partial.key, ()), *keys.get(number, ())})
            for number, partial in enumerate(inventory)
        }

    def _in_conflict(self, inventory: list[Partial], known: InConflict, buckets: range) -> pl.DataFrame:
        """partial (its place in `inventory`) and device_key of what is in conflict, and not known to be."""
        hashes = hashes_of(buckets, self.buckets)

        def said_by(number: int, where: pl.Expr | None = None) -> pl.DataFrame:
            files = inventory[number].files("inventory_rows")
            rows = rows_between(files, *hashes, "device_hash", "device_key", "content", where=where)
            return rows.with_columns(partial=pl.lit(number, pl.UInt32))

        said = [said_by(number) for number, partial in enumerate(inventory) if partial.key not in known]
        if known:
            also_of_these = pl.col("device_hash").is_in(pl.concat(said)["device_hash"].unique().implode())
            said += [said_by(n, also_of_these) for n, partial in enumerate(inventory) if partial.key in known]
        rows = pl.concat(said)
        in_conflict = pl.col("device_key").is_in(_keys_in_conflict(rows).implode())
        return rows.filter(in_conflict).select("partial", "device_key").unique()

    def parties(self) -> pl.DataFrame:
        """One row per EUI-64 of a party in a role."""
        return self._whole("party_euis")

    def cell_contents(self) -> pl.DataFrame:
        """One row per content read from a party's cell: what `content` of a read stands for."""
        return self._whole("cell_contents")

    def organisation_certificates(self) -> pl.DataFrame:
        """One row per certificate in use that was issued to a party."""
        return self._whole("organisation_certificates")

    def incidents(self) -> pl.DataFrame:
        """One row per Incident. No verdict rests on them: they are read when they are written, and not held besides."""
        return self._distinct_rows("incident_rows")

    def _whole(self, name: str) -> pl.DataFrame:
        return self.connection.sql(f"from {name} order by all").pl()


def quarantine(partials: list[Partial], conflicts: list[dict]) -> Quarantine:
    """The bad rows of all partials, and the rows of Devices of which the inventory says two things."""
    found = Quarantine()
    for partial in partials:
        found.add(partial.extract, partial.facts["quarantine"])
    for of_batch in conflicts:
        found.add("devices", of_batch)
    return found


def unrecognised(partials: list[Partial], conflicts: list[dict]) -> pl.DataFrame:
    """Codes that no list of the domain holds, kept and satisfying nothing: extract, column, value, rows.

    conflicts: see `quarantine`; what their rows hold is not kept.
    """
    schema = {"extract": pl.String, "column": pl.String, "value": pl.String, "rows": pl.Int64}
    rows = [(partial.extract, *found) for partial in partials for found in partial.facts["unrecognised"]]
    rows += [("devices", *code, -rows) for of_batch in conflicts for *code, rows in of_batch["unrecognised"]]
    found = pl.DataFrame(rows, schema, orient="row").group_by("extract", "column", "value").agg(pl.col("rows").sum())
    return found.filter(pl.col("rows") != 0).sort("extract", "column", "value")


def together(buckets: int) -> list[range]:
    """Buckets that follow one another, in parts of which few columns, or few Devices, are asked for at once.

    Whoever reads rows of a bucket reads the footers of the files that may hold them: those tell of all their buckets.
    """
    return [range(first, min(first + BUCKETS_TOGETHER, buckets)) for first in range(0, buckets, BUCKETS_TOGETHER)]


def hashes_of(buckets: range, of: int) -> tuple[int, int]:
    """The first and the last hash of buckets that follow one another, of so many in all."""
    width = HASHES // of
    return buckets.start * width, buckets.stop * width - 1


def bucket_of(device_hash: int, buckets: int) -> int:
    return device_hash // (HASHES // buckets)


def rows_between(files: list[Path], first: int, last: int, *columns: str, where: pl.Expr | None = None) -> pl.DataFrame:
    """The rows of reduced files of which the Device's hash lies between two; all columns unless some are named.

    The files are in about the order of the hash: groups of rows outside are not read, nor files whose names say that
    they hold no such rows.
    """
    held = [file for file in files if may_hold(file.name, first, last)]
    found = pl.scan_parquet(held, glob=False, hive_partitioning=False)
    if (first, last) != (0, HASHES - 1):
        found = found.filter(pl.col("device_hash").is_between(first, last))
    if where is not None:
        found = found.filter(where)
    return (found.select(columns) if columns else found).collect()


def one_row_a_device(inventory_rows: pl.DataFrame) -> pl.DataFrame:
    """The Devices of which the inventory says one thing; the same row may stand twice."""
    in_conflict = _keys_in_conflict(inventory_rows).implode()
    kept = inventory_rows.filter("keeps_contract", ~pl.col("device_key").is_in(in_conflict))
    return kept.drop("keeps_contract", "content").unique("device_key")


def _keys_in_conflict(inventory_rows: pl.DataFrame) -> pl.Series:
    """The Devices of which there are two different rows."""
    repeated = inventory_rows.filter(pl.col("device_key").is_duplicated())
    contents = repeated.group_by("device_key").agg(pl.col("content").n_unique())
    return contents.filter(pl.col("content") > 1)["device_key"].sort()
