"""Messages of all logs to the extracts: Requests, Responses and alerts put together, some Devices at a time."""

from collections.abc import Callable, Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data.extracts import literal_path

# Everything about a Device is put together at once; memory is what this many messages need, however many there are.
MESSAGES_AT_ONCE = 200_000
ROWS_AT_ONCE = 100_000
MEMORY = "256MB"
PLACES = 1 << 32
TABLES = ("asked", "answered", "final", "commanded", "alerted", "read_cells")
MONTH_OF = {"service_responses": "sent_at", "credential_reads": "read_at", "messages": "at"}
# Of a message kept as it came: few at a time, and no longer than its contract takes (as hex, two to an octet).
MESSAGES, MESSAGES_A_BATCH, MOST_OCTETS = "messages", 5_000, 32_768
COMPRESSION = {MESSAGES: "zstd"}
_TEXT, _TIME = pa.string(), pa.timestamp("us")
SCHEMAS = {
    "service_responses": pa.schema(
        {
            "originator_id": _TEXT,
            "device_id": _TEXT,
            "originator_counter": pa.uint64(),
            "srv": _TEXT,
            "command_variant": pa.int8(),
            "credential_type": _TEXT,
            "remote_party_role": _TEXT,
            "sent_at": _TIME,
            "responded_at": _TIME,
            "response_code": _TEXT,
            "execution_status": _TEXT,
        }
    ),
    "credential_reads": pa.schema(
        {
            "device_id": _TEXT,
            "read_at": _TIME,
            "remote_party_role": _TEXT,
            "certificate_usage": _TEXT,
            "status_code": _TEXT,
            "subject_unique_id": _TEXT,
            "subject_key_identifier": _TEXT,
        }
    ),
    MESSAGES: pa.schema(
        {
            "device_id": _TEXT,
            "at": _TIME,
            "kind": _TEXT,
            "srv": _TEXT,
            "request_id": _TEXT,
            "message": _TEXT,
        }
    ),
}
QUARANTINED = pa.schema({"log": _TEXT, "line": pa.int64(), "rule": _TEXT})
_PAIRS = " || '-' || ".join(f"substring(format('{{:016X}}', eui), {at}, 2)" for at in range(1, 17, 2))


def put_together(
    decoded: list[Path], out: Path, work: Path, progress: Callable[[int, int], None]
) -> tuple[dict[str, int], Path]:
    """Writes the extracts of the decoded logs below `out`; rows of each, and a Parquet file of the lines that break a
    rule when seen together (log, line, rule).
    """
    rows = dict.fromkeys(SCHEMAS, 0)
    bad = work / "quarantined.parquet"
    total = sum(pq.read_metadata(path).num_rows for path in decoded)
    parts = max(1, -(-total // MESSAGES_AT_ONCE))
    with connect(work) as connection, pq.ParquetWriter(bad, QUARANTINED) as quarantine:
        for part in range(parts if total else 0):
            span = {"low": PLACES * part // parts, "high": PLACES * (part + 1) // parts}
            _load(connection, decoded, span)
            files = {"files": [literal_path(path) for path in decoded], "most": MOST_OCTETS, **span}
            for extract in SCHEMAS:
                values, at_once = ({}, ROWS_AT_ONCE) if extract != MESSAGES else (files, MESSAGES_A_BATCH)
                rows[extract] += _write(connection, extract, values, at_once, out / extract, f"part-{part:05}.parquet")
            for batch in connection.sql(_sql("quarantined")).to_arrow_reader(ROWS_AT_ONCE):
                quarantine.write_batch(batch.cast(QUARANTINED))
            progress(part + 1, parts)
    for extract, schema in SCHEMAS.items():
        if not rows[extract]:
            # An extract of no rows is a file of none; no file would refuse the build.
            (out / extract).mkdir(parents=True, exist_ok=True)
            pq.write_table(schema.empty_table(), out / extract / "part-00000.parquet")
    return rows, bad


def connect(work: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(
        config={
            "memory_limit": MEMORY,
            "temp_directory": str(work / "spill"),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "python_enable_replacements": False,
        }
    )
    connection.execute("set TimeZone = 'UTC'")
    connection.execute(f"create macro eui_text(eui) as {_PAIRS}")
    return connection


def sort_by_place(connection: duckdb.DuckDBPyConnection, unsorted: Path, to: Path) -> None:
    """The rows with those of one Device together, so that a span of Devices is a few row groups."""
    connection.execute(
        "copy (from read_parquet($unsorted) order by place, line) to $to (format parquet, row_group_size 20000)",
        {"unsorted": [literal_path(unsorted)], "to": str(to)},
    )


def _load(connection: duckdb.DuckDBPyConnection, decoded: list[Path], span: dict[str, int]) -> None:
    for table in ("message", *TABLES):
        connection.execute(f"drop table if exists {table}")
    connection.execute(
        "create temp table message as select * exclude (path, octets), parse_filename(path, true) as log "
        "from read_parquet($files, filename = 'path') where place >= $low and place < $high",
        {"files": [literal_path(path) for path in decoded], **span},
    )
    for table in TABLES:
        connection.execute(f"create temp table {table} as {_sql(table)}")


def _write(
    connection: duckdb.DuckDBPyConnection, extract: str, values: dict, at_once: int, folder: Path, name: str
) -> int:
    """Writes a file a month, and returns how many rows there are."""
    rows, month, writer = 0, None, None
    schema = SCHEMAS[extract]
    try:
        for batch in connection.sql(_sql(extract), params=values).to_arrow_reader(at_once):
            for its_month, of_month in _by_month(batch.cast(schema), MONTH_OF[extract]):
                if its_month != month:
                    if writer:
                        writer.close()
                    month, path = its_month, folder / f"month={its_month}" / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    writer = pq.ParquetWriter(path, schema, compression=COMPRESSION.get(extract, "snappy"))
                writer.write_batch(of_month)
            rows += batch.num_rows
    finally:
        if writer:
            writer.close()
    return rows


def _by_month(batch: pa.RecordBatch, column: str) -> Iterator[tuple[str, pa.RecordBatch]]:
    months = pc.strftime(batch[column], "%Y-%m")
    for month in pc.unique(months).to_pylist():
        yield month, batch.filter(pc.equal(months, month))


@cache
def _sql(name: str) -> str:
    return (files("data.messages") / f"{name}.sql").read_text(encoding="utf-8")


def bad_lines(
    connection: duckdb.DuckDBPyConnection, alone: Path, together: Path, log: str
) -> Iterator[tuple[int, str]]:
    """(line, rule) of a log's lines that break a rule, alone or seen together, by line."""
    rows = connection.sql(
        "select line, rule from read_parquet($alone) "
        "union all select line, rule from read_parquet($together) where log = $log order by all",
        params={"alone": [literal_path(alone)], "together": [literal_path(together)], "log": log},
    )
    for batch in rows.to_arrow_reader(ROWS_AT_ONCE):
        yield from zip(batch["line"].to_pylist(), batch["rule"].to_pylist(), strict=True)
