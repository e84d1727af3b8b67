"""A batch of an extract's files is read once and reduced to what verdicts rest on: few columns, integers for Devices
and times, in the order of a hash of the Device, so that some of the Devices can be taken alone.

What a batch reduces to depends on no other batch: a *partial*. Partials combine to the same answer in any order
(`data.merge`), and are kept from build to build (`data.partials`).
"""

import math
import re
import string
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from itertools import pairwise
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data import duck, reference
from data.behind import Behind
from data.contracts import EUI64_GLOB, Contract
from data.extracts import ExtractFile, literal_path
from data.quarantine import BadRows

# The most values that a query spells out.
SPELLED_OUT = 1_000
# Few rows at a time stay within memory that is used over and over, but the groups of rows of one bucket should not be
# small: half of the time to read them is for each group, whatever it holds. A bad row takes about a kilobyte until
# counted.
LEAST_ROWS_A_CHUNK, MOST_ROWS_A_CHUNK = 250_000, 2_000_000
LEAST_ROWS_A_GROUP, USUAL_ROWS_A_GROUP = 8_192, 12_288
# Devices are taken a bucket at a time: a range of hashes, of which there are 2^n.
DEVICES_A_BUCKET = 180_000
MOST_BUCKETS = 1 << 16
# Who asks for a bucket reads the footers of the files that may hold it, and a footer tells of each group of rows: with
# all buckets in one file, 512 of them took 255 processor seconds for footers alone.
BUCKETS_A_FILE = 32
# Rows are put in order by this many of the first bits of their Device's hash.
ORDERED_BITS = 16
# Columns by which groups of rows are passed over.
SKIPPED_BY = ("device_hash", "commissioned_at", "effective_from", "effective_to")
# Where no instant is asked for, every row is known.
FOREVER = datetime(9999, 12, 31)

# Extract -> the SELECT that reduces its rows to those of Devices.
REDUCTIONS = {
    "service_responses": "attempts",
    "dsp_checks": "dsp_checks",
    "credential_reads": "cell_reads",
    "registrations": "spells",
    "devices": "inventory_rows",
    "certificates": "device_certificates",
    "messages": "messages",
}
# Messages are long: fewer at a time, and groups of rows in which few are of other Devices.
CHUNKS, GROUPS = {"messages": 20_000}, {"messages": 1_000}
# Extract -> the SELECT of what is small enough to hold whole.
WHOLE = {
    "credential_reads": "cell_contents",
    "certificates": "organisation_certificates",
    "parties": "party_euis",
    "incidents": "incident_rows",
}
# The reductions of which the rows depend on the instant that a report speaks of.
AS_AT = ("attempts", "dsp_checks", "cell_reads")
Progress = Callable[[str, int, int], None]


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


class Reader:
    """Reads batches of files into partials; one database for all of them.

    as_at: rows later than it are left out; None keeps every row. buckets: in how many parts the rows will be asked for.
    believes_statistics: whether what the files' statistics say is known to be true, as with the sender's digests.
    """

    def __init__(
        self,
        work: Path,
        build_start: datetime,
        as_at: datetime | None = None,
        buckets: int = 1,
        believes_statistics: bool = False,
    ):
        self.build_start = build_start
        self._cut = as_at or FOREVER
        self._buckets = buckets
        self._chunk = rows_a_chunk(buckets)
        self._group = max(LEAST_ROWS_A_GROUP, self._chunk // buckets)
        work.mkdir(parents=True, exist_ok=True)
        self.connection = duck.connect(work)
        # Rows would be skipped, or never held against a rule, where they lie.
        self._distrusted = [] if believes_statistics else ["statistics_propagation", "filter_pushdown"]
        self._disable(self._distrusted)

    def close(self) -> None:
        self.connection.close()

    def reduce(self, contract: Contract, batch: list[ExtractFile], folder: Path) -> dict:
        """Writes what a batch reduces to as Parquet files into `folder`, and returns what is known of it.

        tables: name -> its files. latest: clock -> its latest instant (ISO) among the rows that keep the contract.
        next_instant: the first instant after the start of the build in a row that this very start makes a bad one.
        quarantine, unrecognised: see `BadRows.facts` and `_unrecognised`.
        """
        rows = Rows(contract, batch, self.build_start)
        if batch:
            rows = replace(rows, form=self._form(rows))
        tables = self._whole_table(rows, folder)
        if contract.extract in REDUCTIONS:
            files, bad = self._reduce(rows, folder)
            tables[REDUCTIONS[contract.extract]] = files
        else:
            bad = self._bad_rows(rows, "bad_rows")
        return {
            "tables": tables,
            "quarantine": bad.facts(),
            "next_instant": bad.next_instant,
            "unrecognised": self._unrecognised(rows, bad),
            "latest": self._latest(rows, bad),
        }

    def rows_of_conflicting_devices(self, contract: Contract, batch: list[ExtractFile], keys: list[int]) -> dict:
        """The rows that keep their contract but for being one of several of a Device, as `BadRows.facts`.

        unrecognised: the codes among them that no list of the domain holds; those rows are not kept either.
        """
        self.connection.register(
            "devices_in_conflict", pl.DataFrame({"device_key": keys}, {"device_key": pl.UInt64}).to_arrow()
        )
        source = among("device_id", [duis_form(key) for key in keys]) if len(keys) <= SPELLED_OUT else "true"
        rows = Rows(contract, batch, self.build_start)
        bad_row = contract.bad_row_sql(rows.physical, "['one_row_a_device']", "keeps_contract")
        bad = self._bad_rows(rows, "rows_of_conflicting_devices", source, bad_row=bad_row)
        codes = ((*told, rows) for told, rows in sorted(bad.values.items(), key=str) if told[1] is not None)
        unrecognised = [code for code in codes if not reference.is_recognised(contract.extract, *code[:2])]
        return {**bad.facts(), "unrecognised": unrecognised}

    def _fetch(self, query: str, values: dict | None = None) -> list[tuple]:
        return self.connection.sql(query, params=values).fetchall()

    def _disable(self, optimizers: list[str]) -> None:
        self.connection.execute("set disabled_optimizers = $names", {"names": ",".join(optimizers)})

    def _form(self, rows: Rows) -> dict[str, str]:
        """Malformed values are few: they are found first, and rows are held against them.

        A filter that is pushed down into the reading is asked once an entry of a column's dictionary: in a fifth of the
        time where Devices recur. Of a glob that begins with a class, statistics say nothing unless they name one value.
        """
        form, said_alike = {}, self._said_alike(rows)
        for column in rows.contract.columns:
            if column.kind not in ("eui", "octets"):
                continue
            self._disable(self._distrusted if column.name in said_alike else self._distrusted[:1])
            malformed = f"select distinct {column.name} from rows where not {column.name} glob '{EUI64_GLOB}'"
            found = self._fetch(*rows.query(f"{malformed} limit {SPELLED_OUT + 1}"))
            if len(found) <= SPELLED_OUT:
                form[column.name] = f"not {among(column.name, [value for (value,) in found])}"
        self._disable(self._distrusted)
        return form

    def _said_alike(self, rows: Rows) -> set[str]:
        """The columns of which the files may say that all values of a group of rows are one."""
        try:
            # An error of DuckDB's own may end the database in which it happens.
            with duckdb.connect(config={"threads": 1, "temp_directory": ""}) as connection:
                files = [literal_path(file.path) for file in rows.batch]
                found = connection.sql(duck.sql("columns_said_alike"), params={"files": files}).fetchall()
        except (duckdb.Error, UnicodeDecodeError):
            return set(rows.contract.names)
        return {column for (column,) in found}

    def _whole_table(self, rows: Rows, folder: Path) -> dict[str, list[str]]:
        """Writes the rows' part of a table that is held whole."""
        name = WHOLE.get(rows.contract.extract)
        if not name:
            return {}
        query, values = rows.query(duck.sql(name))
        # In one order: the same rows are the same partial.
        self.connection.sql(query, params=values).pl().sort(pl.all()).write_parquet(folder / f"{name}.parquet")
        return {name: [f"{name}.parquet"]}

    def _reduce(self, rows: Rows, folder: Path) -> tuple[list[str], BadRows]:
        """Writes what the rows reduce to, and puts the bad rows aside."""
        name = REDUCTIONS[rows.contract.extract]
        select = duck.sql(name)
        query, values = rows.query(select, **({"as_at": self._cut} if "$as_at" in select else {}))
        keyed = duck.sql("keyed").replace("$keep_bad_keys", str(name == "inventory_rows"))
        bad = BadRows(rows.contract, rows.names, self.build_start)
        files = files_of(name, max(1, self._buckets // BUCKETS_A_FILE))
        found = self.connection.sql(f"with reduced as ({query})\n{keyed}", params=values)
        reader = found.to_arrow_reader(CHUNKS.get(name, self._chunk))
        rows_a_group = GROUPS.get(name, self._group)
        # All rows of the others keep their contract.
        dropped = ["bad_row"] if name == "inventory_rows" else ["bad_row", "keeps_contract"]
        kept = pa.schema([column for column in reader.schema if column.name not in dropped])
        # A chunk is written while the next is read.
        with ExitStack() as stack:
            writers = [stack.enter_context(_writer(folder / file, kept)) for file in files]
            behind = stack.enter_context(Behind())
            for chunk in reader:
                if pc.min(chunk["keeps_contract"]).as_py() is False:
                    bad.add(pl.Series(pl.from_arrow(chunk.filter(pc.invert(chunk["keeps_contract"]))["bad_row"])))
                behind.call(_write_in_order, writers, chunk.select(kept.names), self._buckets, rows_a_group)
        return files, bad

    def _bad_rows(self, rows: Rows, query: str, source: str = "true", **fill: str) -> BadRows:
        """The bad rows that a query finds, of those that a condition on the files' columns leaves."""
        bad = BadRows(rows.contract, rows.names, self.build_start)
        query, values = rows.query(string.Template(duck.sql(query)).safe_substitute(fill), source)
        for chunk in self.connection.sql(query, params=values).to_arrow_reader(self._chunk):
            bad.add(pl.DataFrame(pl.from_arrow(chunk))["bad_row"])
        return bad

    def _unrecognised(self, rows: Rows, bad: BadRows) -> list[tuple[str, str, int]]:
        """Codes that no list of the domain holds: (column, value, rows). Counted over all rows, less the bad ones:
        cheaper than to judge every row once more."""
        found = []
        for column in rows.contract.columns:
            if column.kind != "code":
                continue
            unknown = f"not {among(column.quoted, sorted(reference.known_values(rows.contract.extract, column.name)))}"
            # A third quicker than to hold each row against the list.
            count = f"select {column.quoted}, count(*)::bigint from rows group by 1 having {unknown} order by 1"
            for value, seen in self._fetch(*rows.query(count)):
                kept = seen - bad.values[column.name, value]
                if kept and not reference.is_recognised(rows.contract.extract, column.name, value):
                    found.append((column.name, value, kept))
        return found

    def _latest(self, rows: Rows, bad: BadRows) -> dict[str, str]:
        """The latest instant of each clock among the rows that keep the contract."""
        found = {}
        for clock in rows.contract.clocks:
            # A bad row may be the latest of all.
            latest = f"(select max({clock}) as latest from rows)"
            latest = f"select latest, coalesce(try(epoch_us(latest)), {2**63 - 1}) from {latest}"
            instant, microseconds = self._fetch(*rows.query(latest))[0]
            if instant and bad.latest.get(clock, -1) >= microseconds:
                instant = self._fetch(*rows.query(f"select max({clock}) from rows where keeps_contract"))[0][0]
            if instant:
                found[clock] = instant.isoformat()
        return found


def _writer(file: Path, columns: pa.Schema) -> pq.ParquetWriter:
    texts = [column.name for column in columns if pa.types.is_string(column.type)]
    return pq.ParquetWriter(
        file,
        columns,
        compression="lz4",
        use_dictionary=texts,
        write_statistics=[column.name for column in columns if column.name in SKIPPED_BY],
        data_page_version="2.0",
    )


def _write_in_order(writers: list[pq.ParquetWriter], rows: pa.RecordBatch, buckets: int, rows_a_group: int) -> None:
    """By the first bits of the hash: those sort in one pass, and a group of rows then holds few of all hashes.

    Rows without a hash are left out. Each writer's file is for as many of the buckets as any other's.
    """
    hashes = rows["device_hash"]
    places = np.flatnonzero(hashes.is_valid().to_numpy(zero_copy_only=False))
    first_bits = (hashes.drop_null().to_numpy() >> np.uint64(64 - ORDERED_BITS)).astype(np.uint16)
    # Leaving out and putting in order are one copy of the rows.
    ordered = rows.take(pa.array(places[np.argsort(first_bits, kind="stable")]))
    ends = np.cumsum(np.bincount(first_bits.astype(np.int64) * buckets >> ORDERED_BITS, minlength=buckets))
    begin = 0
    for writer, of_file in zip(writers, ends.reshape(len(writers), -1), strict=True):
        for first, end in groups_of_rows((of_file - begin).tolist(), rows_a_group):
            writer.write_batch(ordered.slice(begin + first, end - first))
        begin = int(of_file[-1])


def files_of(name: str, parts: int) -> list[str]:
    """The names of a table's files, each for as many hashes as any other: `may_hold` reads them."""
    return [f"{name}.parquet"] if parts == 1 else [f"{name}-{part}-of-{parts}.parquet" for part in range(parts)]


def may_hold(file: str, first: int, last: int) -> bool:
    """Whether rows of Devices with hashes between two may be in the file of that name."""
    least, greatest = _hashes_in(file)
    return least <= last and first <= greatest


@cache
def _hashes_in(file: str) -> tuple[int, int]:
    """The first and the last hash that the file of that name may hold; all of them if it does not say."""
    told = re.search(r"-(\d+)-of-(\d+)\.parquet$", file)
    part, parts = (int(told[1]), int(told[2])) if told else (0, 1)
    width = (1 << 64) // parts
    return part * width, (part + 1) * width - 1


def groups_of_rows(ends: list[int], rows_a_group: int) -> Iterator[tuple[int, int]]:
    """First row and end of groups of about so many rows, where buckets end at `ends`.

    A group ends where a bucket does, or lies within one: who asks for a bucket reads nothing of another that has
    enough rows for a group of its own.
    """
    first = 0
    for end in ends:
        if 2 * (end - first) < rows_a_group and end != ends[-1]:
            continue
        pieces = max(1, round((end - first) / rows_a_group))
        borders = [first + (end - first) * piece // pieces for piece in range(pieces + 1)]
        yield from ((one, other) for one, other in pairwise(borders) if one < other)
        first = end


def rows_a_chunk(buckets: int) -> int:
    """How many rows are put in order together, for so many buckets."""
    return min(max(LEAST_ROWS_A_CHUNK, USUAL_ROWS_A_GROUP * buckets), MOST_ROWS_A_CHUNK)


def buckets_for(devices: int) -> int:
    """In how many buckets so many Devices are taken."""
    return min(MOST_BUCKETS, 1 << max(0, math.ceil(math.log2(max(1, devices) / DEVICES_A_BUCKET))))


def among(column: str, values: list[str | None]) -> str:
    """SQL for one of these values, spelled out."""
    spelled = ", ".join(duck.quoted(value) for value in values if value is not None)
    is_null = f"{column} is null" if None in values else "false"
    return f"({is_null} or {column} in ({spelled}))" if spelled else f"({is_null})"


def duis_form(key: int) -> str:
    """An EUI-64 as the DUIS writes it: eight upper-case hex pairs."""
    return key.to_bytes(8).hex("-").upper()
