"""From extracts to evidence: each batch of files is reduced once, to rows keyed by Device and spread
over buckets; a bucket's rows then come together as one row a Device.

Memory is bounded by the size of a batch and of a bucket, whatever the size of the estate.
"""

import math
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import polars as pl

from data import duck, reference
from data.contracts import ERA_STARTS, EUI64, Contract, contracts
from data.extracts import ExtractFile, InputRefused, Survey, literal_path, printable
from data.quarantine import BadRowsTable, Quarantine

DEVICES_A_BUCKET = 250_000
ROWS_A_BATCH = 8_000_000

# Extract -> the SELECT that reduces its rows to what verdicts rest on, gathered by Device...
BY_DEVICE = {"service_responses": "attempts", "dsp_checks": "passed_checks", "credential_reads": "cell_reads"}
# ...or, where a Device has few rows, one by one.
BY_ROW = {"registrations": "spells", "devices": "inventory_rows", "certificates": "device_certificates"}
# Columns of EUI-64s with few distinct values, and among which rows they are few.
FEW_VALUES = {
    "service_responses": {"originator_id": "true"},
    "credential_reads": {
        "subject_unique_id": "remote_party_role is distinct from 'Device'",
        "subject_key_identifier": "remote_party_role is distinct from 'Device'",
    },
}
# Extract -> (table, SELECT) small enough to hold whole.
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


@dataclass(frozen=True)
class Evidence:
    """What the verdicts on one bucket's Devices rest on.

    devices: one row per Device in scope, in the order of device_no (0..n-1); all times are UTC.
    party_cell_reads, device_key_reads: one row per read; read_at is in microseconds since 1970.
    """

    devices: pl.DataFrame
    party_cell_reads: pl.DataFrame
    device_key_reads: pl.DataFrame


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


class Reduction:
    """The extracts, read once into `work` and ready to be taken bucket by bucket.

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
        self._progress = progress
        self._latest: list[datetime] = []
        # No kept row is later than the start of the build, so it stands for "all of them".
        self._cut = as_at or build_start
        work.mkdir(parents=True, exist_ok=True)
        self.connection = duck.connect(work)

    def close(self) -> None:
        self.connection.close()
        shutil.rmtree(self.work, ignore_errors=True)

    # -- reading -----------------------------------------------------------------------------------

    def read(self) -> None:
        """Reduces every extract; raises `InputRefused` naming each file that cannot be read."""
        total, done = sum(self.survey.rows(name) for name in contracts()), 0
        for contract in contracts().values():
            for number, batch in enumerate(self.survey.batches(contract.extract, ROWS_A_BATCH)):
                self._progress("Reading the extracts", done, total)
                try:
                    self._read_batch(contract, number, batch)
                except duckdb.Error as error:
                    raise InputRefused(self._unreadable_files(error)) from error
                done += sum(file.rows for file in batch)
            self._whole_table(contract, [])
        self._progress("Reading the extracts", total, total)
        if self.as_at is None:
            self.as_at = self._default_as_at()
        self._quarantine_conflicting_devices()
        self._judge_contents()

    def _read_batch(self, contract: Contract, number: int, batch: list[ExtractFile]) -> None:
        rows = Rows(contract, batch, self.build_start)
        self._whole_table(contract, [rows])
        if contract.extract in BY_DEVICE:
            suspects = self._spread_by_device(BY_DEVICE[contract.extract], number, rows)
        elif contract.extract in BY_ROW:
            suspects = self._spread_by_row(BY_ROW[contract.extract], number, rows)
        else:
            suspects = self._count(rows)
        bad = self._bad_rows(rows, suspects) if suspects else None
        if bad:
            self.quarantine.add(bad.summary(contract.extract, rows.names))
        self._note_unrecognised(rows, bad)
        self._note_latest(rows, bad)

    def _spread_by_device(self, name: str, number: int, rows: "Rows") -> list[str | None]:
        """Writes the rows gathered by Device; the device_ids of which some row breaks its contract."""
        gathered, values = rows.gathered(duck.sql(name), self._quick_rules(rows), as_at=self._cut)
        files = self._write(name, number, duck.sql("keyed").replace("$gathered", f"({gathered})"), values)
        query = "select suspect_id from read_parquet($files, hive_partitioning = false) where is_suspect"
        return [device_id for (device_id,) in self.connection.sql(query, params={"files": files}).fetchall()]

    def _spread_by_row(self, name: str, number: int, rows: "Rows") -> int:
        """Writes the reduced rows one by one; the number of rows that break their contract."""
        query, values = rows.query(duck.sql(name), **({"as_at": self._cut} if "$as_at" in duck.sql(name) else {}))
        files = self._write(name, number, query, values)
        bad = "not keeps_contract" if name == "inventory_rows" else "device_key is null"
        query = f"select count(*)::bigint from read_parquet($files, hive_partitioning = false) where {bad}"
        return self.connection.sql(query, params={"files": files}).fetchall()[0][0]

    def _write(self, name: str, number: int, query: str, values: dict) -> list[str]:
        """Writes the rows of a query by bucket of its device_key, and returns the files as DuckDB reads them."""
        folder = self.work / name / f"{number:05d}"
        folder.mkdir(parents=True)
        bucket = f"case when device_key is null then 0 else hash(device_key) % {self.buckets} end"
        self.connection.sql(f"select *, {bucket} as bucket from ({query})", params=values).write_parquet(
            str(folder), compression="lz4", partition_by=["bucket"], overwrite=True
        )
        empty = self.work / name / "empty.parquet"
        if not empty.exists():
            self.connection.sql(query, params=values).limit(0).write_parquet(str(empty))
        return [literal_path(path) for path in [empty, *folder.glob("bucket=*/*.parquet")]]

    def _quick_rules(self, rows: "Rows") -> dict[str, str]:
        """Column -> SQL in place of its rule of form: matching the distinct values costs less than every row.

        device_id is matched once it is gathered.
        """
        quick = {"device_id": "true"}
        for column, among in FEW_VALUES.get(rows.contract.extract, {}).items():
            quoted = next(c.quoted for c in rows.contract.columns if c.name == column)
            query, values = rows.query(f"select distinct {quoted} from rows where {among} and {quoted} is not null")
            found = [value for (value,) in self.connection.sql(query, params=values).fetchall()]
            malformed = ", ".join(duck.quoted(value) for value in found if not re.fullmatch(EUI64, value))
            of_few = f"{quoted} not in ({malformed})" if malformed else "true"
            form = f"{quoted} = device_id or regexp_full_match({quoted}, '{EUI64}')"
            quick[column] = of_few if among == "true" else f"case when {among} then {of_few} else {form} end"
        return quick

    def _count(self, rows: "Rows") -> int:
        query, values = rows.query("select count(*)::bigint from rows where not keeps_contract")
        return self.connection.sql(query, params=values).fetchall()[0][0]

    def _bad_rows(self, rows: "Rows", suspects: int | list[str | None]) -> BadRowsTable:
        """The rows that break their contract, of the given Devices or of all."""
        source = among("device_id", suspects) if isinstance(suspects, list) else "true"
        return BadRowsTable(self.connection, *rows.query(rows.fill(duck.sql("bad_rows")), source))

    def _whole_table(self, contract: Contract, batches: list["Rows"]) -> None:
        """Adds the batches' rows to the table of a small result; the table is there even without rows."""
        name = WHOLE.get(contract.extract)
        if name is None:
            return
        for rows in batches or [Rows.none(contract)]:
            query, values = rows.query(duck.sql(name))
            self.connection.execute(f"create table if not exists {name} as {query} limit 0", values).fetchall()
            self.connection.execute(f"insert into {name} {query}", values).fetchall()

    def _note_unrecognised(self, rows: "Rows", bad: BadRowsTable | None) -> None:
        """Counts over all rows, less the bad ones: cheaper than to judge every row once more."""
        for column in rows.contract.columns:
            if column.kind != "code":
                continue
            query, values = rows.query(f"select {column.quoted}, count(*)::bigint from rows group by 1")
            in_bad_rows = bad.values(column.name) if bad else {}
            for value, count in self.connection.sql(query, params=values).fetchall():
                kept = count - in_bad_rows.get(value, 0)
                if value is not None and kept and not reference.is_recognised(column.name, value):
                    self.unrecognised.add(rows.contract.extract, column.name, value, kept)

    def _note_latest(self, rows: "Rows", bad: BadRowsTable | None) -> None:
        """The latest instant of the batch among the rows that keep the contract."""
        if self.as_at is not None:
            return
        for clock in CLOCKS.get(rows.contract.extract, ()):
            in_era = f"{clock} between timestamp '{ERA_STARTS}' and $build_start"
            query, values = rows.query(f"select max({clock}) from rows where {in_era}", build_start=self.build_start)
            latest = self.connection.sql(query, params=values).fetchall()[0][0]
            # Only where a bad row is as late must every row be judged once more.
            if bad and latest and bad.holds(clock, latest):
                query, values = rows.query(f"select max({clock}) from rows where keeps_contract")
                latest = self.connection.sql(query, params=values).fetchall()[0][0]
            self._latest += [latest] if latest else []

    def _default_as_at(self) -> datetime:
        if not self._latest:
            raise InputRefused(["no Response, check or read says when the extracts speak of: give --as-at"])
        return max(self._latest)

    def _unreadable_files(self, error: duckdb.Error) -> list[str]:
        """Reads every file alone to name each that fails; the error itself when none does."""
        files = [file for name in self.survey.files for file in self.survey.files[name]]
        problems = [problem for file in files if (problem := self._what_ails(file))]
        if not problems:
            raise error
        return problems

    def _what_ails(self, file: ExtractFile) -> str | None:
        """A database of its own a file: an internal error of DuckDB makes the one it happens in unusable."""
        query, values = Rows(contracts()[file.extract], [file], self.build_start).query(
            "select bit_xor(hash(rows)) from rows"
        )
        with duckdb.connect(config={"autoinstall_known_extensions": False}) as connection:
            connection.execute("set TimeZone = 'UTC'")
            try:
                connection.execute(query, values).fetchall()
            except duckdb.Error as reason:
                return f"{printable(file.name)}: cannot be read as Parquet ({str(reason).splitlines()[0]})"
        return None

    # -- between reading and buckets -----------------------------------------------------------------

    def _quarantine_conflicting_devices(self) -> None:
        keys = [
            key
            for bucket in range(self.buckets)
            for (key,) in self._over_bucket("conflicting_devices", bucket, "inventory_rows")
        ]
        for batch in self.survey.batches("devices", ROWS_A_BATCH) if keys else ():
            rows = Rows(contracts()["devices"], batch, self.build_start)
            source = among("device_id", [duis_form(key) for key in keys])
            query, values = rows.query(rows.fill(duck.sql("rows_of_conflicting_devices")), source)
            bad = BadRowsTable(self.connection, query, values)
            self.quarantine.add(bad.summary("devices", rows.names))

    def _over_bucket(self, name: str, bucket: int, source: str) -> list[tuple]:
        query = self._with_bucket_sources(name, (source,))
        return self.connection.sql(query, params=self._bucket_files(bucket, (source,))).fetchall()

    def _judge_contents(self) -> None:
        self._refuse_hash_collisions()
        for name in ("known_parties", "judged_contents", "holders"):
            self.connection.execute(f"create table {name} as {duck.sql(name)}")

    def _refuse_hash_collisions(self) -> None:
        """Reads are told apart by a 64-bit hash of what was in the cell: make sure that it tells them apart."""
        self.connection.execute("create or replace table cell_contents as select distinct * from cell_contents")
        query = "select count(*)::bigint - count(distinct content)::bigint from cell_contents"
        if self.connection.sql(query).fetchall() != [(0,)]:
            raise RuntimeError("two different contents of a cell have one hash; no snapshot was made")

    def parties(self) -> pl.DataFrame:
        """One row per EUI-64 of a party in a role."""
        return self.connection.sql("from party_euis order by all").pl()

    def incidents(self) -> pl.DataFrame:
        """One row per Incident."""
        return self.connection.sql("select distinct * from incident_rows order by all").pl()

    # -- buckets -------------------------------------------------------------------------------------

    def evidence(self) -> Iterator[Evidence]:
        """The evidence of each bucket in turn."""
        for bucket in range(self.buckets):
            self._progress("Weighing the evidence", bucket, self.buckets)
            yield self._bucket_evidence(bucket)
        self._progress("Weighing the evidence", self.buckets, self.buckets)

    def _bucket_evidence(self, bucket: int) -> Evidence:
        scope = {
            "types_in_scope": list(reference.DEVICE_TYPES),
            "statuses_out_of_scope": [row["device_status"] for row in reference.table("out_of_scope_statuses")],
        }
        self._table("inventory", bucket, ("inventory_rows",), **scope, as_at=self.as_at)
        self._table("supply", bucket, ("spells",), as_at=self.as_at)
        self._table("devices", bucket)
        self._table("reads", bucket, ("cell_reads",))
        steps = self._frame("step_outcomes", bucket, ("attempts", "passed_checks"))
        devices = self.connection.sql("from devices order by device_no").pl()
        return Evidence(
            devices=devices.with_columns(spread_steps(steps, devices.height)),
            party_cell_reads=self._frame("party_cell_reads", bucket),
            device_key_reads=self._frame("device_key_reads", bucket, ("device_certificates",)),
        )

    def _with_bucket_sources(self, name: str, sources: tuple[str, ...]) -> str:
        """The SQL file behind one CTE a source; passed checks are attempts that succeeded."""
        read = "select * from read_parquet($files_of_{0}, hive_partitioning = false, union_by_name = false)"
        ctes = [f"{source} as ({read.format(source)})" for source in sources]
        if "passed_checks" in sources:
            both = f"{read.format('attempts')} union all {read.format('passed_checks')}"
            ctes = [f"attempts as ({both})"]
        return (f"with {', '.join(ctes)}\n" if ctes else "") + f"select * from ({duck.sql(name)})"

    def _bucket_files(self, bucket: int, sources: tuple[str, ...]) -> dict[str, list[str]]:
        return {
            f"files_of_{source}": [
                literal_path(path)
                for path in [
                    self.work / source / "empty.parquet",
                    *sorted(self.work.glob(f"{source}/*/bucket={bucket}/*.parquet")),
                ]
            ]
            for source in sources
        }

    def _frame(self, name: str, bucket: int, sources: tuple[str, ...] = ()) -> pl.DataFrame:
        query = self._with_bucket_sources(name, sources)
        return self.connection.sql(query, params=self._bucket_files(bucket, sources)).pl()

    def _table(self, name: str, bucket: int, sources: tuple[str, ...] = (), **values) -> None:
        query = self._with_bucket_sources(name, sources)
        values |= self._bucket_files(bucket, sources)
        self.connection.execute(f"create or replace temp table {name} as {query}", values).fetchall()


@dataclass(frozen=True)
class Rows:
    """The rows of a batch of files of one extract, in the contract's types."""

    contract: Contract
    batch: list[ExtractFile]
    build_start: datetime

    @classmethod
    def none(cls, contract: Contract) -> "Rows":
        return cls(contract, [], datetime.min)

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
        return self._bound(f"with rows as ({self.contract.rows_sql(self.physical, source)})\n{select}", values)

    def gathered(self, select: str, quick: dict[str, str], **values) -> tuple[str, dict]:
        """As `query`, over rows whose rules of form are quick ones."""
        return self._bound(f"with rows as ({self.contract.quick_rows_sql(self.physical, quick)})\n{select}", values)

    def _bound(self, query: str, values: dict) -> tuple[str, dict]:
        values |= {"files": [literal_path(file.path) for file in self.batch]}
        if "$build_start" in query:
            values["build_start"] = self.build_start
        return query, values

    def _no_rows(self) -> str:
        columns = ", ".join(f"null::{c.sql_type} as {c.quoted}" for c in self.contract.columns)
        return f"select {columns}, true as keeps_contract where false"


def among(column: str, values: list[str | None]) -> str:
    """SQL for one of these values, spelled out: the reader then skips what has none of them."""
    spelled = ", ".join(duck.quoted(value) for value in values if value is not None)
    is_null = f"{column} is null" if None in values else "false"
    return f"({is_null} or {column} in ({spelled}))" if spelled else is_null


def duis_form(key: int) -> str:
    """An EUI-64 as the DUIS writes it: eight upper-case hex pairs."""
    return key.to_bytes(8).hex("-").upper()


def spread_steps(steps: pl.DataFrame, devices: int) -> list[pl.Series]:
    """The long frame of step outcomes as columns, one row per Device in the order of device_no.

    For each check: `<check>_met_at` (UTC). For each step that can change a cell: `<step>_open_at`, the last
    time when an attempt may have worked. `empty_checks` and `unanswered_checks` have bit check_no - 1 set.
    """
    names = step_names()
    width = max(names) + 1
    where = steps["device_no"].to_numpy() * width + steps["step_no"].to_numpy()
    first = spread(where, steps["first_success_at"], devices * width).reshape(devices, width)
    last = spread(where, steps["last_open_at"], devices * width).reshape(devices, width)
    outcomes = spread(where, steps["outcomes"], devices * width, 0).reshape(devices, width)
    columns = [instants(f"{row['check']}_met_at", first[:, int(row["check_no"])]) for row in reference.checks()]
    columns += [instants(f"{name}_open_at", last[:, number]) for number, name in names.items()]
    return [
        *columns,
        _check_bits("empty_checks", outcomes, duck.EMPTY),
        _check_bits("unanswered_checks", outcomes, duck.NO_RESPONSE),
        pl.Series("handed_over", first[:, number_of("network_operator_handover")] != NEVER),
    ]


NEVER = np.iinfo(np.int64).min


def spread(where: np.ndarray, values: pl.Series, size: int, fill: int = NEVER) -> np.ndarray:
    """An array of `size` with each value at its place and `fill` elsewhere; places are distinct."""
    out = np.full(size, fill, dtype=np.int64)
    out[where] = values.cast(pl.Int64).fill_null(fill).to_numpy()
    return out


def instants(name: str, microseconds: np.ndarray) -> pl.Series:
    """UTC times from microseconds since 1970; NEVER is null."""
    times = pl.Series(name, microseconds)
    return times.set(times == NEVER, None).cast(pl.Datetime("us"))


def step_names() -> dict[int, str]:
    checks = {int(row["check_no"]): row["check"] for row in reference.checks()}
    return checks | {int(row["step_no"]): row["step"] for row in reference.table("other_steps")}


def number_of(step: str) -> int:
    return next(number for number, name in step_names().items() if name == step)


def _check_bits(name: str, outcomes: np.ndarray, outcome: int) -> pl.Series:
    bits = np.zeros(len(outcomes), dtype=np.uint8)
    for row in reference.checks():
        number = int(row["check_no"])
        bits |= (((outcomes[:, number] >> outcome) & 1) << (number - 1)).astype(np.uint8)
    return pl.Series(name, bits)
