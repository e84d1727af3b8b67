"""What became of each Device's finding from one snapshot to another."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import polars as pl

from data import duck
from data.extracts import literal_path
from data.marts import Snapshot, SnapshotDamaged
from data.watchdog import interrupted_after

MEMORY = "1GB"
BUCKETS_AT_ONCE = 8


def changed_findings(earlier: Snapshot, later: Snapshot) -> pl.DataFrame:
    """One row per finding_before, finding_now and what pages filter by (`commissioned_month`, `device_type` ...).

    `devices` counts the Devices whose finding changed, which are new (finding_before is null) or which left
    (finding_now is null); a Device whose finding is the same is in none.
    """
    with _connected() as connection:
        parts = [_asked(connection, both, "changed_findings") for both in _parts(earlier, later)]
    changed = pl.concat(parts)
    return changed.group_by(pl.exclude("devices")).agg(pl.col("devices").sum())


def shared_devices(earlier: Snapshot, later: Snapshot) -> int:
    """How many Devices are in both."""
    with _connected() as connection:
        return sum(_asked(connection, both, "shared_devices").item() for both in _parts(earlier, later))


def _parts(earlier: Snapshot, later: Snapshot) -> Iterator[tuple[list[Path], list[Path]]]:
    """Files of both that hold the same Devices, some buckets at a time: a join of all would not fit into memory."""
    files = [one.files("outcomes") for one in (earlier, later)]
    buckets = {one.manifest.get("buckets") for one in (earlier, later)}
    if buckets != {len(files[0])} or len(files[0]) != len(files[1]):
        yield files[0], files[1]
        return
    for first in range(0, len(files[0]), BUCKETS_AT_ONCE):
        part = slice(first, first + BUCKETS_AT_ONCE)
        yield files[0][part], files[1][part]


def _asked(connection: duckdb.DuckDBPyConnection, both: tuple[list[Path], list[Path]], query: str) -> pl.DataFrame:
    """The query over `earlier` and `later`, tables of outcomes; ended after some time."""
    for name, files in zip(("earlier", "later"), both, strict=True):
        named = [literal_path(file) for file in files]
        connection.read_parquet(named, hive_partitioning=False).create_view(name, replace=True)
    with interrupted_after(connection):
        return connection.sql(duck.sql(query)).pl()


@contextmanager
def _connected() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection of its own; a large join spills."""
    with TemporaryDirectory(prefix="pco-changes-") as spill:
        config = {
            "memory_limit": MEMORY,
            "temp_directory": spill,
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        with duckdb.connect(config=config) as connection:
            connection.execute("set TimeZone = 'UTC'")
            yield connection


def is_whole(snapshot: Snapshot) -> bool:
    """Whether its counts and outcomes are still there, as they were written; an operator may be removing it."""
    try:
        return all(snapshot.files(table) for table in ("counts", "outcomes"))
    except SnapshotDamaged:
        return False
