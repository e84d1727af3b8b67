"""The tables that can be exported, by name."""

from pathlib import Path

import polars as pl

from analysis.rates import BY, failures_by_cause, rates
from data.export import export_frame, export_outcomes
from data.marts import Snapshot

TABLES = ("outcomes", "rates", "causes", "amendments", "quarantine")
RATES = (
    "due",
    "reported_failures",
    "verified",
    "not_secure",
    "over_reported",
    "missed_failures",
    "reported_failure_rate",
    "actual_failure_rate",
    "actual_low",
    "actual_high",
    "over_reporting",
    "verified_share",
)


class WrongTable(Exception):
    """There is no such table, or it cannot be grouped so."""


def export(snapshot: Snapshot, table: str, to: Path, by: tuple[str, ...] = ()) -> int:
    """Writes a table of the snapshot to a file by its ending, and returns its rows."""
    refuse_wrong_table(table, by)
    if table == "outcomes":
        return export_outcomes(snapshot, to)
    return export_frame(frame(snapshot, table, by), to, table)


def refuse_wrong_table(table: str, by: tuple[str, ...]) -> None:
    if table not in TABLES:
        raise WrongTable(f"there is no table {table!r}; there are {', '.join(TABLES)}")
    if by and table not in ("rates", "causes"):
        raise WrongTable(f"--by goes with rates and causes, not with {table}")
    for column in by:
        if column not in BY:
            raise WrongTable(f"--by {column}: no such column; there are {', '.join(BY)}")
    if len(set(by)) < len(by):
        raise WrongTable("--by names a column twice")


def frame(snapshot: Snapshot, table: str, by: tuple[str, ...] = ()) -> pl.DataFrame:
    """One of the tables other than `outcomes`, whole."""
    if table == "rates":
        return rates(snapshot.frame("counts"), by).select(*by, *RATES)
    if table == "causes":
        return failures_by_cause(snapshot.frame("counts"), by)
    return snapshot.frame(table)
