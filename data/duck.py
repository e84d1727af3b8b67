"""DuckDB connections, the SQL files, and the functions that the SQL files call."""

import os
from functools import cache
from importlib.resources import files
from pathlib import Path

import duckdb

from data import reference
from data.contracts import EUI64_GLOB

# Outcomes of an attempt; all but OTHER may have worked.
SUCCESS, EMPTY, PARTIAL, NO_RESPONSE, OTHER = 1, 2, 3, 4, 5
OUTCOMES = {SUCCESS: "success", EMPTY: "empty", PARTIAL: "partial", NO_RESPONSE: "no_response", OTHER: "other"}


@cache
def sql(name: str) -> str:
    """The SELECT in `data/sql/<name>.sql`; the file's name is the result's name."""
    return (files("data") / "sql" / f"{name}.sql").read_text(encoding="utf-8")


def connect(work: Path, memory: str = "1GB", threads: int | None = None) -> duckdb.DuckDBPyConnection:
    """An in-memory database that spills below `work` and knows the functions of the domain."""
    connection = duckdb.connect(
        config={
            "threads": threads or os.cpu_count() or 1,
            "memory_limit": memory,
            "temp_directory": str(work / "spill"),
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "python_enable_replacements": False,
        }
    )
    connection.execute("set TimeZone = 'UTC'")
    # Each file is asked several questions; its footer is read once.
    connection.execute("set parquet_metadata_cache = true")
    for statement in _functions():
        connection.execute(statement)
    _reference_tables(connection)
    return connection


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _functions() -> list[str]:
    """Macros made from the reference files, so that no SQL file repeats a fact of the domain."""
    return [
        f"create macro is_eui(text) as text is not null and text glob '{EUI64_GLOB}'",
        # A UUID is 128 bits of hex that may hold hyphens: the quickest exact reading of an EUI-64.
        "create macro eui_key(eui) as try_cast('0000000000000000' || eui as uuid)::uhugeint::ubigint",
        # DuckDB's hash of a 64-bit integer is another one for each. That of a text is not: seven pairs among 22 million
        # synthetic EUI-64s had one hash, each pair different in the same few places.
        "create macro device_hash_of(eui) as hash(eui_key(eui))",
        f"create macro step_of(srv, credential_type, remote_party_role) as {_step_cases()}",
        f"create macro dsp_check_of(dsp_check) as {_dsp_check_cases()}",
        f"create macro outcome_of(response_code, execution_status) as {_outcome_cases()}",
        f"create macro outcome_no(outcome) as {_cases([(f'outcome = {quoted(n)}', no) for no, n in OUTCOMES.items()])}",
        f"create macro cell_of(remote_party_role, certificate_usage) as {_cell_cases()}",
        # 64 bits stand for what a read found; two different contents of a party's cell with one hash are refused.
        "create macro content_of(status_code, subject, key_identifier) as hash(status_code, subject, key_identifier)",
        # One integer a row: a list of integers is far cheaper to gather than a list of records.
        # The time of a row that breaks its contract may be beyond what is left of 64 bits: null then.
        "create macro packed_attempt(moment, step_no, outcome) as try(epoch_us(moment) * 128) + step_no * 8 + outcome",
        "create macro packed_read(moment, cell_no) as try(epoch_us(moment) * 16) + cell_no",
    ]


def _cases(pairs: list[tuple[str, int]]) -> str:
    return "case " + " ".join(f"when {condition} then {number}" for condition, number in pairs) + " end::utinyint"


def _step_cases() -> str:
    user_checks = [(row, int(row["check_no"])) for row in reference.checks() if row["kind"] == "user"]
    others = [(row, int(row["step_no"])) for row in reference.table("other_steps")]
    return _cases([(_is_step(row), number) for row, number in user_checks + others])


def _is_step(row: dict[str, str]) -> str:
    srv = f"srv = {quoted(row['srv'])}"
    return f"{srv} and {row['qualified_by']} = {quoted(row['qualifier'])}" if row["qualified_by"] else srv


def _dsp_check_cases() -> str:
    dsp = [row for row in reference.checks() if row["kind"] == "dsp"]
    return _cases([(f"dsp_check = {quoted(row['check'])}", int(row["check_no"])) for row in dsp])


def _codes_of(response_class: str) -> str:
    rows = reference.table("response_codes")
    return ", ".join(quoted(row["response_code"]) for row in rows if row["class"] == response_class)


def _outcome_cases() -> str:
    responded = f"response_code in ({_codes_of('responded')})"
    return _cases(
        [
            (f"response_code is null or response_code in ({_codes_of('no_response')})", NO_RESPONSE),
            (f"{responded} and execution_status = 'success'", SUCCESS),
            (f"{responded} and coalesce(execution_status, '') = ''", EMPTY),
            (f"{responded} and execution_status = 'partial'", PARTIAL),
        ]
    )


def _cell_cases() -> str:
    def is_cell(row: dict[str, str]) -> str:
        role, usage = quoted(row["remote_party_role"]), quoted(row["certificate_usage"])
        return f"remote_party_role = {role} and certificate_usage = {usage}"

    return _cases([(is_cell(row), int(row["cell_no"])) for row in reference.table("cells")])


def _reference_tables(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("create table cells (cell_no utinyint, remote_party_role text, certificate_usage text)")
    for row in reference.table("cells"):
        values = [int(row["cell_no"]), row["remote_party_role"], row["certificate_usage"]]
        connection.execute("insert into cells values (?, ?, ?)", values)
