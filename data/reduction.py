"""Extracts are read once, a batch of files at a time, and reduced to what verdicts rest on: few columns, integers
for EUI-64s and times, spread over buckets of Devices so that a bucket can be taken alone.

What a batch reduces to does not depend on any other batch, and their order changes nothing.
"""

import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import duckdb
import polars as pl

from data import duck, reference
from data.contracts import EUI64_GLOB, Contract, contracts
from data.extracts import ExtractFile, InputRefused, Survey, literal_path, unreadable_files
from data.quarantine import BadRowsTable, Quarantine

DEVICES_A_BUCKET = 250_000
# The most values that a query spells out.
SPELLED_OUT = 1_000
ROWS_A_BATCH = 8_000_000

# Extract -> (the SELECT that reduces its rows, the column that names the Device).
REDUCTIONS = {
    "service_responses": ("attempts", "device_id"),
    "dsp_checks": ("passed_checks", "device_id"),
    "credential_reads": ("cell_reads", "device_id"),
    "registrations": ("spells", "device_id"),
    "devices": ("inventory_rows", "device_id"),
    "certificates": ("device_certificates", "subject_unique_id"),
}
# Extract -> the SELECT of what is small enough to hold whole.
WHOLE = {
    "credential_reads": "cell_contents",
    "certificates": "organisation_certificates",
    "parties": "party_euis",
    "incidents": "incident_rows",
}
# The columns whose latest value is the default of `as_at`.
CLOCKS = {
    "service_responses": ("sent_at", "responded_at"),
    "dsp_checks": ("checked_at",),
    "credential_reads": ("read_at",),
}
Progress = Callable[[str, int, int], None]


@dataclass
class Unrecognised:
    """Codes that no list of the domain holds, with the number of rows; kept, and satisfying nothing."""

    rows: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def add(self, extract: str, column: str, value: str, rows: int) -> None:
        key = (extract, column, value)
        self.rows[key] = self.rows.get(key, 0) + rows

    def frame(self) -> pl.DataFrame:
        schema = {"extract": pl.String, "column": pl.String, "value": pl.String, "rows": pl.Int64}
        return pl.DataFrame([(*key, rows) for key, rows in sorted(self.rows.items())], schema, orient="row")


@dataclass(frozen=True)
class Rows:
    """The rows of a batch of files of one extract, in the contract's types.

    form: column -> SQL to the same effect as its rule of form.
    """

    contract: Contract
    batch: list[ExtractFile]
    build_start: datetime
    form: dict[str, str] = field(default_factory=dict)

    @property
    def names(self) -> dict[str, str]:
        """The files' names below the extracts folder, by path."""
        return {str(file.path): file.name for file in self.batch}

    @property
    def physical(self) -> dict[str, str]:
        return dict(self.batch[0].physical)

    def fill(self, select: str) -> str:
        """A SELECT over bad rows, with the contract's own SQL in place of $broken and $sample."""
        broken, sample = self.contract.broken_rules_sql(self.physical), self.contract.sample_sql(self.physical)
        return select.replace("$broken", broken).replace("$sample", sample)

    def query(self, select: str, source: str = "true", **values) -> tuple[str, dict]:
        """The SELECT over `rows`, and the values that it binds; `source` is a condition on the files' columns."""
        if not self.batch:
            return f"with rows as ({self._no_rows()})\n{select}", values
        rows = self.contract.typed_sql(self.physical, source)
        if "keeps_contract" in select:
            rows = f"select *, {self.contract.kept_sql(self.physical, self.form)} as keeps_contract from ({rows})"
        query = f"with rows as ({rows})\n{select}"
        values |= {"files": [literal_path(file.path) for file in self.batch]}
        if "$build_start" in query:
            values["build_start"] = self.build_start
        return query, values

    def _no_rows(self) -> str:
        columns = ", ".join(f"null::{c.sql_type} as {c.quoted}" for c in self.contract.columns)
        return f"select {columns}, true as keeps_contract where false"


class Reduction:
    """The extracts, read once into `work`.

    as_at is None until the extracts are read where it was not given: it is then the latest instant
    among the rows that keep the contract.
    """

    def __init__(
        self,
        survey: Survey,
        work: Path,
        build_start: datetime,
        as_at: datetime | None = None,
        buckets: int | None = None,
        progress: Progress = lambda stage, done, total: None,
    ):
        self.survey = survey
        self.work = work
        self.build_start = build_start
        self.as_at = as_at
        self.buckets = buckets or max(1, math.ceil(survey.rows("devices") / DEVICES_A_BUCKET))
        self.quarantine = Quarantine()
        self.unrecognised = Unrecognised()
        self.progress = progress
        self._latest: list[datetime] = []
        # No kept row is later than the start of the build, so it stands for "all of them".
        self._cut = as_at or build_start
        work.mkdir(parents=True, exist_ok=True)
        self.connection = duck.connect(work)

    def close(self) -> None:
        self.connection.close()
        shutil.rmtree(self.work, ignore_errors=True)

    def read(self) -> None:
        """Reduces every extract; raises `InputRefused` naming each file that cannot be read."""
        total, done = sum(self.survey.rows(name) for name in contracts()), 0
        for contract in contracts().values():
            self._whole_table(Rows(contract, [], self.build_start))
            for number, batch in enumerate(self.survey.batches(contract.extract, ROWS_A_BATCH)):
                self.progress("Reading the extracts", done, total)
                try:
                    self._read_batch(contract, number, batch)
                except duckdb.Error as error:
                    problems = unreadable_files(self.survey)
                    if not problems:
                        raise
                    raise InputRefused(problems) from error
                done += sum(file.rows for file in batch)
        self.progress("Reading the extracts", total, total)
        if self.as_at is None:
            self.as_at = self._default_as_at()
        self._quarantine_conflicting_devices()

    def _read_batch(self, contract: Contract, number: int, batch: list[ExtractFile]) -> None:
        rows = Rows(contract, batch, self.build_start)
        rows = replace(rows, form=self._form(rows))
        self._whole_table(rows)
        bad = self._reduce(rows, number) if contract.extract in REDUCTIONS else self._bad_rows(rows)
        if bad:
            self.quarantine.add(bad.summary(contract.extract, rows.names))
        self._note_unrecognised(rows, bad)
        self._note_latest(rows, bad)

    def _fetch(self, query: str, values: dict | None = None) -> list[tuple]:
        return self.connection.sql(query, params=values).fetchall()

    def _form(self, rows: Rows) -> dict[str, str]:
        """Malformed values are few: the reader finds them by a filter of its own, and rows are held against them."""
        form = {}
        for column in rows.contract.columns:
            if column.kind not in ("eui", "octets"):
                continue
            malformed = f"select distinct {column.name} from rows where not {column.name} glob '{EUI64_GLOB}'"
            found = self._fetch(*rows.query(f"{malformed} limit {SPELLED_OUT + 1}"))
            if len(found) <= SPELLED_OUT:
                form[column.name] = f"not {among(column.name, [value for (value,) in found])}"
        return form

    def _whole_table(self, rows: Rows) -> None:
        """Adds the rows' part to a table that is held whole; the table is there even without rows."""
        name = WHOLE.get(rows.contract.extract)
        if name:
            query, values = rows.query(duck.sql(name))
            self.connection.execute(f"create table if not exists {name} as {query} limit 0", values).fetchall()
            self.connection.execute(f"insert into {name} {query}", values).fetchall()

    def _reduce(self, rows: Rows, number: int) -> BadRowsTable | None:
        """Writes what the rows reduce to by bucket, and returns the rows that break their contract."""
        name, device = REDUCTIONS[rows.contract.extract]
        select = duck.sql(name)
        query, values = rows.query(select, **({"as_at": self._cut} if "$as_at" in select else {}))
        files = self._write(name, number, query, values)
        bad = (
            "select distinct suspect_id from read_parquet($files, hive_partitioning = false) "
            f"where not keeps_contract limit {SPELLED_OUT + 1}"
        )
        suspects = [device_id for (device_id,) in self._fetch(bad, {"files": files})]
        # Beyond a few, to look at every row costs less than to spell the Devices out.
        which = among(device, suspects) if len(suspects) <= SPELLED_OUT else "true"
        return self._bad_rows(rows, which) if suspects else None

    def _write(self, name: str, number: int, reduced: str, values: dict) -> list[str]:
        """Writes the reduced rows by bucket, and returns the files as DuckDB reads them."""
        folder = self.work / name / f"{number:05d}"
        folder.mkdir(parents=True)
        keyed = duck.sql("keyed").replace("$keep_bad_keys", str(name == "inventory_rows"))
        query = f"with reduced as ({reduced})\n{keyed}"
        bucket = f"coalesce(bucket_of(device_key, {self.buckets}), 0)"
        self.connection.sql(f"select *, {bucket} as bucket from ({query})", params=values).write_parquet(
            str(folder), compression="lz4", partition_by=["bucket"], overwrite=True
        )
        empty = self.work / name / "empty.parquet"
        if not empty.exists():
            self.connection.sql(query, params=values).limit(0).write_parquet(str(empty))
        return [literal_path(path) for path in [empty, *folder.glob("bucket=*/*.parquet")]]

    def _bad_rows(self, rows: Rows, source: str = "true") -> BadRowsTable:
        """The rows that break their contract, of those that the files' columns say."""
        every_rule = replace(rows, form={})
        return BadRowsTable(self.connection, *every_rule.query(rows.fill(duck.sql("bad_rows")), source))

    def _note_unrecognised(self, rows: Rows, bad: BadRowsTable | None) -> None:
        """Counts over all rows, less the bad ones: cheaper than to judge every row once more."""
        for column in rows.contract.columns:
            if column.kind != "code":
                continue
            in_bad_rows = bad.values(column.name) if bad else {}
            unknown = f"not {among(column.quoted, sorted(reference.known_values(column.name)))}"
            count = f"select {column.quoted}, count(*)::bigint from rows where {unknown} group by 1"
            for value, found in self._fetch(*rows.query(count)):
                kept = found - in_bad_rows.get(value, 0)
                if kept and not reference.is_recognised(column.name, value):
                    self.unrecognised.add(rows.contract.extract, column.name, value, kept)

    def _note_latest(self, rows: Rows, bad: BadRowsTable | None) -> None:
        """The latest instant of the batch among the rows that keep the contract."""
        if self.as_at is not None:
            return
        for clock in CLOCKS.get(rows.contract.extract, ()):
            # Without a condition the answer stands in the footers; a bad row may be the latest of all.
            latest = self._fetch(*rows.query(f"select max({clock}) from rows"))[0][0]
            if bad and latest and bad.holds(clock, latest):
                latest = self._fetch(*rows.query(f"select max({clock}) from rows where keeps_contract"))[0][0]
            self._latest += [latest] if latest else []

    def _default_as_at(self) -> datetime:
        if not self._latest:
            raise InputRefused(["no Response, check or read says when the extracts speak of: give --as-at"])
        return max(self._latest)

    def _quarantine_conflicting_devices(self) -> None:
        """Finds the Devices with more than one inventory row (table `repeated_devices`), and those in conflict."""
        found = "create table repeated_devices (device_key ubigint, is_in_conflict boolean)"
        self.connection.execute(found)
        for bucket in range(self.buckets):
            query = f"{self.source('inventory_rows')}\n{duck.sql('repeated_devices')}"
            values = self.files(bucket, "inventory_rows")
            self.connection.execute(f"insert into repeated_devices {query}", values).fetchall()
        keys = self._fetch("select device_key from repeated_devices where is_in_conflict")
        for batch in self.survey.batches("devices", ROWS_A_BATCH) if keys else ():
            rows = Rows(contracts()["devices"], batch, self.build_start)
            source = among("device_id", [duis_form(key) for (key,) in keys]) if len(keys) <= SPELLED_OUT else "true"
            query, values = rows.query(rows.fill(duck.sql("rows_of_conflicting_devices")), source)
            self.quarantine.add(BadRowsTable(self.connection, query, values).summary("devices", rows.names))

    # -- what was read -------------------------------------------------------------------------------

    def source(self, *names: str) -> str:
        """The WITH clause that makes reductions tables of a query; see `files` for what it binds."""
        read = "select * from read_parquet($files_of_{0}, hive_partitioning = false)"
        return "with " + ", ".join(f"{name} as ({read.format(name)})" for name in names)

    def files(self, bucket: int, *names: str) -> dict[str, list[str]]:
        """The files of one bucket of the reductions, at least one of each."""
        return {
            f"files_of_{name}": [
                literal_path(self.work / name / "empty.parquet"),
                *map(literal_path, sorted(self.work.glob(f"{name}/*/bucket={bucket}/*.parquet"))),
            ]
            for name in names
        }

    def parties(self) -> pl.DataFrame:
        """One row per EUI-64 of a party in a role."""
        return self.connection.sql("from party_euis order by all").pl()

    def cell_contents(self) -> pl.DataFrame:
        """One row per content read from a party's cell: what `content` of a read stands for."""
        return self.connection.sql("select distinct * from cell_contents order by all").pl()

    def incidents(self) -> pl.DataFrame:
        """One row per Incident."""
        return self.connection.sql("select distinct * from incident_rows order by all").pl()


def among(column: str, values: list[str | None]) -> str:
    """SQL for one of these values, spelled out: the reader then skips what has none of them."""
    spelled = ", ".join(duck.quoted(value) for value in values if value is not None)
    is_null = f"{column} is null" if None in values else "false"
    return f"({is_null} or {column} in ({spelled}))" if spelled else f"({is_null})"


def duis_form(key: int) -> str:
    """An EUI-64 as the DUIS writes it: eight upper-case hex pairs."""
    return key.to_bytes(8).hex("-").upper()
