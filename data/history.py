"""One Device's rows, read back from a snapshot: what its outcome rests on, and the evidence made of it once more.

Of each file only the rows with hashes about the Device's are read, whatever the size of the estate.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from tempfile import gettempdir
from uuid import uuid4

import duckdb
import polars as pl

from data import duck
from data.evidence import Evidence, evidence
from data.extracts import literal_path
from data.marts import Snapshot
from data.merge import OF_DEVICES, bucket_of, one_row_a_device, rows_between
from data.reduction import duis_form
from data.watchdog import interrupted_after

MESSAGES = "messages"
# Few snapshots have messages.
NO_MESSAGES = {
    "at": pl.Datetime("us"),
    "kind": pl.String,
    "srv": pl.String,
    "request_id": pl.String,
    "is_packed": pl.Boolean,
    "octets": pl.Binary,
}
# Most Devices that are named when a part of an EUI-64 is looked up.
MOST_FOUND = 10


class NoEvidenceKept(Exception):
    """The snapshot was built before snapshots kept the rows of each Device."""


@dataclass(frozen=True)
class History:
    """What a snapshot holds of one Device; all times are UTC, every frame is in the order of its times.

    outcome: its row of `outcomes`, lists as text joined with `; `; None when the Device is not in scope.
    evidence: the same rows as the build weighs them; None when the Device is not in scope.
    attempts: sent_at, counted_at (when it responded, or was sent where it had no time of a Response), step_no,
    outcome_no, response_code, execution_status. dsp_checks: checked_at, step_no. cell_reads: read_at, cell_no,
    content, status_code, subject_unique_id, key_identifier, is_own_key (a read of the Device's own key). spells:
    supplier_id, effective_from, effective_to. own_certificates: cell_no, content of each certificate of its own keys
    in use. incidents: incident_id, raised_at, closed_at, resolution. messages: at, kind, srv, request_id, message (a
    GBCS message as hex, or DUIS XML); no verdict rests on them. parties: the snapshot's table.
    """

    key: int
    as_at: datetime
    grace_days: int
    outcome: dict | None
    evidence: Evidence | None
    attempts: pl.DataFrame
    dsp_checks: pl.DataFrame
    cell_reads: pl.DataFrame
    spells: pl.DataFrame
    own_certificates: pl.DataFrame
    incidents: pl.DataFrame
    messages: pl.DataFrame
    parties: pl.DataFrame

    @property
    def rows(self) -> int:
        """Rows about the Device, in scope or not."""
        return sum(frame.height for frame in (self.attempts, self.dsp_checks, self.cell_reads, self.spells))


@dataclass
class KeptRows:
    """One Device's rows in the shape of `data.merge.Merged`, so that the build's own rules weigh them."""

    connection: duckdb.DuckDBPyConnection
    as_at: datetime
    kept: dict[str, pl.DataFrame]
    buckets: int = 1

    def rows(self, name: str, buckets: range, *columns: str, where: None = None) -> pl.DataFrame:
        return self.kept[name].select(columns)

    def inventory(self, buckets: range, where: None = None) -> pl.DataFrame:
        return one_row_a_device(self.kept["inventory_rows"])

    def progress(self, stage: str, done: int, total: int) -> None:
        """One Device is no long work."""


def history(snapshot: Snapshot, key: int) -> History:
    """Everything that the snapshot holds of the Device with this EUI-64; raises `NoEvidenceKept`."""
    if "partials" not in snapshot.manifest:
        raise NoEvidenceKept(snapshot.folder)
    as_at = datetime.fromisoformat(snapshot.manifest["as_at"])
    with _connection() as connection:
        outcome = _outcome(connection, snapshot, key)
        kept = _rows(snapshot, outcome["device_hash"] if outcome else _hash(connection, key))
        _load(connection, snapshot, key, kept)
        frames = {name: _frame(connection, name) for name in ("attempts", "dsp_checks", "incidents")}
        frames["cell_reads"] = _frame(connection, "cell_reads", eui=duis_form(key))
        frames["messages"] = _frame(connection, "messages", as_at=as_at)
        return History(
            key=key,
            as_at=as_at,
            grace_days=snapshot.manifest["grace_days"],
            outcome=outcome,
            evidence=next(evidence(KeptRows(connection, as_at, kept)))[1] if outcome else None,
            own_certificates=connection.sql(
                "select distinct cell_no, content from device_certificates order by all"
            ).pl(),
            parties=connection.sql("from party_euis order by all").pl(),
            spells=connection.sql(duck.sql("one_devices_spells"), params={"as_at": as_at}).pl(),
            **frames,
        )


def _frame(connection: duckdb.DuckDBPyConnection, name: str, **values) -> pl.DataFrame:
    return connection.sql(duck.sql(f"one_devices_{name}"), params=values).pl()


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """One for the whole process, so that the footers of a snapshot's files are read once: they are megabytes."""
    return duck.connect(Path(gettempdir()) / "pco-history", memory="512MB", threads=2)


@contextmanager
def _connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection of its own, with a schema of its own for its tables, which is gone with it."""
    with _database().cursor() as connection:
        name = f"of_{uuid4().hex}"
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(f"create schema {name}")
        connection.execute(f"set search_path = '{name},main'")
        try:
            with interrupted_after(connection):
                yield connection
        finally:
            connection.execute("set search_path = 'main'")
            connection.execute(f"drop schema {name} cascade")


def _outcome(connection: duckdb.DuckDBPyConnection, snapshot: Snapshot, key: int) -> dict | None:
    """Its row is in the bucket of its hash; in another one only where the build hashed otherwise."""
    bucket = bucket_of(_hash(connection, key), snapshot.manifest["buckets"])
    files = _small(snapshot, "outcomes")
    for asked in ([file for file in files if file.endswith(f"-{bucket:05d}.parquet")], files):
        values = {"files": asked, "device_key": key}
        if asked and (found := connection.sql(duck.sql("one_devices_outcome"), params=values).pl().to_dicts()):
            return found[0]
    return None


def _hash(connection: duckdb.DuckDBPyConnection, key: int) -> int:
    """The hash by which rows of a Device out of scope are found, if the build hashed as is done here."""
    return connection.sql("select device_hash_of($eui::varchar)", params={"eui": duis_form(key)}).fetchall()[0][0]


def _rows(snapshot: Snapshot, device_hash: int) -> dict[str, pl.DataFrame]:
    """The rows of every reduction about one Device."""

    def of_device(name: str) -> pl.DataFrame:
        files = snapshot.evidence_files(name)
        if name == MESSAGES and not files:
            return pl.DataFrame(schema=NO_MESSAGES)
        return rows_between(files, device_hash, device_hash)

    return {name: of_device(name) for name in OF_DEVICES}


def _load(connection: duckdb.DuckDBPyConnection, snapshot: Snapshot, key: int, kept: dict[str, pl.DataFrame]) -> None:
    """The tables of a reduction, with this Device's rows alone."""

    def create(name: str, query: str, **values) -> None:
        connection.execute(f"create table {name} as {query}", values).fetchall()

    for name, rows in kept.items():
        connection.register(name, rows.to_arrow())
    create("party_euis", _whole(), files=_small(snapshot, "parties"))
    contents = f"{_whole()} where content in (select content from cell_reads)"
    create("cell_contents", contents, files=_small(snapshot, "cell_contents"))
    create("organisation_certificates", _whole(), files=_small(snapshot, "organisation_certificates"))
    if snapshot.files("incidents"):
        of_device = f"{_whole()} where device_key = $device_key::ubigint"
        create("incidents", of_device, files=_small(snapshot, "incidents"), device_key=key)
    else:
        columns = ("incident_id", "raised_at", "closed_at", "resolution")
        create("incidents", f"select {', '.join(f'null as {name}' for name in columns)} limit 0")


def _whole() -> str:
    return "select * from read_parquet($files, hive_partitioning = false)"


def _small(snapshot: Snapshot, table: str) -> list[str]:
    return [literal_path(file) for file in snapshot.files(table)]


def with_part(snapshot: Snapshot, digits: str) -> list[int]:
    """EUI-64s of Devices in scope that begin or end with these hex digits, in order, one more than `MOST_FOUND`."""
    values = {
        "files": _small(snapshot, "outcomes"),
        "part": int(digits, 16),
        "above": 4 * (16 - len(digits)),
        "below": 16 ** len(digits),
        "most": MOST_FOUND + 1,
    }
    with _connection() as connection:
        return [key for (key,) in connection.sql(duck.sql("devices_with_part"), params=values).fetchall()]


def examples(snapshot: Snapshot) -> pl.DataFrame:
    """One Device of each finding: finding, device_key, devices (how many there are)."""
    with _connection() as connection:
        query = duck.sql("example_of_each_finding")
        return connection.sql(query, params={"files": _small(snapshot, "outcomes")}).pl()
