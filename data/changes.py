"""What became of each Device's finding from one snapshot to another."""

from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import duckdb
import polars as pl

from data import duck
from data.extracts import literal_path
from data.marts import Snapshot, SnapshotDamaged
from data.watchdog import interrupted_after

MEMORY = "1GB"


def changed_findings(earlier: Snapshot, later: Snapshot) -> pl.DataFrame:
    """One row per finding_before, finding_now and what pages filter by (`commissioned_month`, `device_type` ...).

    `devices` counts the Devices whose finding changed, which are new (finding_before is null) or which left
    (finding_now is null); a Device whose finding is the same is in none.
    """
    with _both(earlier, later) as connection:
        return connection.sql(duck.sql("changed_findings")).pl()


def shared_devices(earlier: Snapshot, later: Snapshot) -> int:
    """How many Devices are in both."""
    with _both(earlier, later) as connection:
        return connection.sql(duck.sql("shared_devices")).fetchall()[0][0]


@contextmanager
def _both(earlier: Snapshot, later: Snapshot) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection of its own on which `earlier` and `later` are the tables of outcomes; a large join spills."""
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
            for name, snapshot in (("earlier", earlier), ("later", later)):
                files = [literal_path(file) for file in snapshot.files("outcomes")]
                connection.read_parquet(files, hive_partitioning=False).create_view(name)
            with interrupted_after(connection):
                yield connection


def is_whole(snapshot: Snapshot) -> bool:
    """Whether its counts and outcomes are still there, as they were written; an operator may be removing it."""
    try:
        return all(snapshot.files(table) for table in ("counts", "outcomes"))
    except SnapshotDamaged:
        return False
