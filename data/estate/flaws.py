"""Rows that stand twice, and bad rows: each a damaged copy of a good row that stands beside it."""

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa

from data.estate.mechanisms import RATES

LONG_AGO = datetime(1970, 1, 5, 3, 4, 5)
HOUR = timedelta(hours=1)


def lower_case(name):
    return lambda row: row | {name: row[name].lower()}


def cut_short(name):
    return lambda row: row | {name: row[name][:-3]}


def nothing_in(name):
    return lambda row: row | {name: None}


def other(name, value):
    return lambda row: row | {name: value}


def answered_before(row: dict) -> dict:
    return row | {"responded_at": row["sent_at"] - HOUR}


def success_without_time(row: dict) -> dict:
    changed = {"command_variant": 5, "responded_at": None, "response_code": "I0", "execution_status": "success"}
    return row | changed


def ends_before_it_starts(row: dict) -> dict:
    return row | {"effective_to": row["effective_from"] - timedelta(days=30)}


DAMAGES = {
    "service_responses": [
        lower_case("device_id"),
        cut_short("device_id"),
        cut_short("originator_id"),
        answered_before,
        success_without_time,
        other("sent_at", LONG_AGO),
        nothing_in("srv"),
    ],
    "dsp_checks": [lower_case("device_id"), other("checked_at", LONG_AGO), nothing_in("passed")],
    "credential_reads": [
        lower_case("device_id"),
        cut_short("subject_key_identifier"),
        other("read_at", LONG_AGO),
        nothing_in("certificate_usage"),
    ],
    "registrations": [cut_short("device_id"), ends_before_it_starts, nothing_in("supplier_id")],
    "certificates": [lower_case("subject_unique_id"), cut_short("subject_key_identifier")],
}
CONFLICTS = {"devices": [other("device_status", "Suspended"), other("network_operator_id", None)]}
UNHEARD_OF = {
    "service_responses": [other("response_code", "E62"), other("srv", "6.17.9"), other("execution_status", "deferred")],
    "dsp_checks": [other("check", "firmware_cell")],
    "credential_reads": [other("remote_party_role", "IssuingAuthority")],
}


def flawed(rng: np.random.Generator, extract: str, table: pa.Table) -> pa.Table:
    """The rows to add to a block's rows of an extract."""
    rates = RATES.flaws
    return pa.concat_tables(
        [
            sample(rng, table, rates.twice if extract == "service_responses" else 0),
            damaged(rng, table, DAMAGES.get(extract, []), rates.bad),
            damaged(rng, table, CONFLICTS.get(extract, []), rates.conflicting),
            damaged(rng, table, UNHEARD_OF.get(extract, []), rates.unheard_of),
        ]
    )


def sample(rng: np.random.Generator, table: pa.Table, rate: float) -> pa.Table:
    """Rows at random, as plain columns: a block's whole dictionary is not wanted for them."""
    places = np.sort(rng.integers(0, max(1, table.num_rows), rng.binomial(table.num_rows, rate)))
    columns = [column.take(pa.array(places)) for column in table.columns]
    return pa.table(
        [plain(column) for column in columns],
        schema=pa.schema([(field.name, plain_type(field.type)) for field in table.schema]),
    )


def plain_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(plain_type(column.type))


def damaged(rng: np.random.Generator, table: pa.Table, damages: list, rate: float) -> pa.Table:
    copies = sample(rng, table, rate if damages else 0)
    rows = copies.to_pylist()
    kinds = rng.integers(0, max(1, len(damages)), len(rows))
    spoiled = [damages[kind](row) if spoilable(row) else row for kind, row in zip(kinds, rows, strict=True)]
    return pa.Table.from_pylist(spoiled, schema=copies.schema)


def spoilable(row: dict) -> bool:
    """A failed reading has no certificate to cut short."""
    return row.get("subject_key_identifier", "") is not None
