"""Extracts are read once, a batch of files at a time, and reduced to what verdicts rest on: few columns, integers
for Devices and times, spread over buckets of Devices so that a bucket can be taken alone.

What a batch reduces to does not depend on any other batch, and their order changes nothing.
"""

import math
import shutil
import string
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa

from data import duck, reference
from data.contracts import EUI64_GLOB, Contract, contracts
from data.extracts import ExtractFile, InputRefused, Survey, literal_path, unreadable_files
from data.quarantine import BadRows, Quarantine

DEVICES_A_BUCKET = 250_000
# The most values that a query spells out.
SPELLED_OUT = 1_000
ROWS_A_BATCH = 8_000_000
# A bad row takes about a kilobyte until it is counted.
ROWS_A_CHUNK = 500_000
CHUNKS_A_PART = 4

# Extract -> the SELECT that reduces its rows to those of Devices.
REDUCTIONS = {
    "service_responses": "attempts",
    "dsp_checks": "dsp_checks",
    "credential_reads": "cell_reads",
    "registrations": "spells",
    "devices": "inventory_rows",
    "certificates": "device_certificates",
}
# Extract -> the SELECT of what is small enough to hold whole.
WHOLE = {
    "credential_reads": "cell_contents",
    "certificates": "organisation_certificates",
    "parties": "party_euis",
    "incidents": "incident_rows",
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

    def query(self, select: str, source: str = "true", **values) -> tuple[str, dict]:
        """The SELECT over `rows`, and the values that it binds; `source` is a condition on the files' columns."""
        if not self.batch:
            return f"with rows as ({self._no_rows()})\n{select}", values
        rows = self.contract.typed_sql(self.physical, source)
        if "keeps_contract" in select:
            rows = f"select *, {self.contract.kept_sql(self.physical, self.form)} as keeps_contract from ({rows})"
        if "bad_row" in select:
            bad_row = f"case when not keeps_contract then {self.contract.bad_row_sql(self.physical)} end"
            rows = f"select *, {bad_row} as bad_row from ({rows})"
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
                except (duckdb.Error, pa.ArrowException) as error:
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
        bad = self._reduce(rows, number) if contract.extract in REDUCTIONS else self._bad_rows(rows, "bad_rows")
        self.quarantine.add(bad)
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

    def _reduce(self, rows: Rows, number: int) -> BadRows:
        """Writes what the rows reduce to by bucket, and returns the rows that break their contract."""
        name = REDUCTIONS[rows.contract.extract]
        select = duck.sql(name)
        query, values = rows.query(select, **({"as_at": self._cut} if "$as_at" in select else {}))
        keyed = duck.sql("keyed").replace("$keep_bad_keys", str(name == "inventory_rows"))
        bad = BadRows(rows.contract, rows.names)
        # A part is written while the next is read.
        with ThreadPoolExecutor(max_workers=1) as pool:
            written: Future | None = None
            for part, frame in enumerate(self._parts(f"with reduced as ({query})\n{keyed}", values, bad)):
                if written:
                    written.result()
                written = pool.submit(self._write, name, f"{number:05d}-{part:05d}", frame)
            if written:
                written.result()
        return bad

    def _parts(self, query: str, values: dict, bad: BadRows) -> Iterator[pl.DataFrame]:
        """The rows of a query, some at a time, the bad ones put aside; at least one frame."""
        held: list[pl.DataFrame] = []
        reader = self.connection.sql(query, params=values).to_arrow_reader(ROWS_A_CHUNK)
        none = pl.DataFrame(pl.from_arrow(reader.schema.empty_table()))
        for chunk in reader:
            frame = pl.DataFrame(pl.from_arrow(chunk))
            if not frame["keeps_contract"].all():
                bad.add(frame.filter(~pl.col("keeps_contract"))["bad_row"])
                frame = frame.filter(pl.col("device_hash").is_not_null())
            held.append(frame.drop("bad_row"))
            if len(held) == CHUNKS_A_PART:
                yield pl.concat(held)
                held = []
        yield pl.concat([none.drop("bad_row"), *held])

    def _write(self, name: str, part: str, rows: pl.DataFrame) -> None:
        """Writes reduced rows by bucket; once, also a file without rows, so that each bucket has a file to read."""
        empty = self.work / name / "empty.parquet"
        if not empty.exists():
            empty.parent.mkdir()
            rows.clear().write_parquet(empty)
        bucket = (pl.col("device_hash") % self.buckets).cast(pl.UInt32)
        for (number,), of_bucket in rows.with_columns(bucket=bucket).partition_by("bucket", as_dict=True).items():
            folder = self.work / name / f"bucket={number}"
            folder.mkdir(exist_ok=True)
            of_bucket.drop("bucket").write_parquet(folder / f"{part}.parquet", compression="lz4", statistics=False)

    def _bad_rows(self, rows: Rows, query: str, source: str = "true", **fill: str) -> BadRows:
        """The bad rows that a query finds, of those that a condition on the files' columns leaves."""
        bad = BadRows(rows.contract, rows.names)
        query, values = rows.query(string.Template(duck.sql(query)).safe_substitute(fill), source)
        for chunk in self.connection.sql(query, params=values).to_arrow_reader(ROWS_A_CHUNK):
            bad.add(pl.DataFrame(pl.from_arrow(chunk))["bad_row"])
        return bad

    def _note_unrecognised(self, rows: Rows, bad: BadRows) -> None:
        """Counts over all rows, less the bad ones: cheaper than to judge every row once more."""
        for column in rows.contract.columns:
            if column.kind != "code":
                continue
            unknown = f"not {among(column.quoted, sorted(reference.known_values(column.name)))}"
            count = f"select {column.quoted}, count(*)::bigint from rows where {unknown} group by 1"
            for value, found in self._fetch(*rows.query(count)):
                kept = found - bad.values[column.name, value]
                if kept and not reference.is_recognised(column.name, value):
                    self.unrecognised.add(rows.contract.extract, column.name, value, kept)

    def _note_latest(self, rows: Rows, bad: BadRows) -> None:
        """The latest instant of the batch among the rows that keep the contract."""
        if self.as_at is not None:
            return
        for clock in rows.contract.clocks:
            # Without a condition the answer stands in the footers; a bad row may be the latest of all.
            latest = f"(select max({clock}) as latest from rows)"
            latest = f"select latest, coalesce(try(epoch_us(latest)), {2**63 - 1}) from {latest}"
            instant, microseconds = self._fetch(*rows.query(latest))[0]
            if instant and bad.latest.get(clock, -1) >= microseconds:
                instant = self._fetch(*rows.query(f"select max({clock}) from rows where keeps_contract"))[0][0]
            self._latest += [instant] if instant else []

    def _default_as_at(self) -> datetime:
        if not self._latest:
            raise InputRefused(["no Response, check or read says when the extracts speak of: give --as-at"])
        return max(self._latest)

    def _quarantine_conflicting_devices(self) -> None:
        """Finds the rows of Devices of which the inventory says two things."""
        columns = ("device_key", "content")
        found = (self.rows("inventory_rows", bucket, *columns) for bucket in range(self.buckets))
        keys = pl.concat([_keys_in_conflict(rows) for rows in found])
        if keys.is_empty():
            return
        self.connection.register("devices_in_conflict", keys.to_frame().to_arrow())
        spelled_out = keys.len() <= SPELLED_OUT
        source = among("device_id", [duis_form(key) for key in keys]) if spelled_out else "true"
        for batch in self.survey.batches("devices", ROWS_A_BATCH):
            rows = Rows(contracts()["devices"], batch, self.build_start)
            of_rows = rows.contract.bad_row_sql(rows.physical, "['one_row_a_device']", "keeps_contract")
            self.quarantine.add(self._bad_rows(rows, "rows_of_conflicting_devices", source, bad_row=of_rows))

    # -- what was read -------------------------------------------------------------------------------

    def rows(self, name: str, bucket: int, *columns: str) -> pl.DataFrame:
        """The rows of one bucket of a reduction, all columns unless some are named."""
        files = [self.work / name / "empty.parquet", *sorted(self.work.glob(f"{name}/bucket={bucket}/*.parquet"))]
        return pl.read_parquet(files, columns=list(columns) or None, glob=False, hive_partitioning=False)

    def inventory(self, bucket: int) -> pl.DataFrame:
        """One row per Device of a bucket, but for those of which the inventory says two things."""
        return one_row_a_device(self.rows("inventory_rows", bucket))

    def parties(self) -> pl.DataFrame:
        """One row per EUI-64 of a party in a role."""
        return self.connection.sql("from party_euis order by all").pl()

    def cell_contents(self) -> pl.DataFrame:
        """One row per content read from a party's cell: what `content` of a read stands for."""
        return self.connection.sql("select distinct * from cell_contents order by all").pl()

    def organisation_certificates(self) -> pl.DataFrame:
        """One row per certificate in use that was issued to a party."""
        return self.connection.sql("select distinct * from organisation_certificates order by all").pl()

    def incidents(self) -> pl.DataFrame:
        """One row per Incident."""
        return self.connection.sql("select distinct * from incident_rows order by all").pl()


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


def among(column: str, values: list[str | None]) -> str:
    """SQL for one of these values, spelled out: the reader then skips what has none of them."""
    spelled = ", ".join(duck.quoted(value) for value in values if value is not None)
    is_null = f"{column} is null" if None in values else "false"
    return f"({is_null} or {column} in ({spelled}))" if spelled else f"({is_null})"


def duis_form(key: int) -> str:
    """An EUI-64 as the DUIS writes it: eight upper-case hex pairs."""
    return key.to_bytes(8).hex("-").upper()
