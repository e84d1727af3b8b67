"""Rows that break their contract: kept out of every verdict, counted, and shown by file and rule."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import duckdb
import polars as pl

if TYPE_CHECKING:
    from data.evidence import Rows

SAMPLES_A_RULE = 100


@dataclass
class BadRows:
    """Of one batch: rows by file and rule, samples by rule, and the distinct rows in all."""

    extract: str
    rows: int
    by_rule: list[tuple[str, str, int]]
    samples: list[tuple[str, str, str]]


@dataclass
class Quarantine:
    rows: dict[str, int] = field(default_factory=dict)
    by_rule: dict[tuple[str, str, str], int] = field(default_factory=dict)
    samples: dict[tuple[str, str], list[tuple[str, str]]] = field(default_factory=dict)

    def add(self, bad: BadRows) -> None:
        self.rows[bad.extract] = self.rows.get(bad.extract, 0) + bad.rows
        for file, rule, count in bad.by_rule:
            key = (bad.extract, file, rule)
            self.by_rule[key] = self.by_rule.get(key, 0) + count
        for file, rule, sample in bad.samples:
            held = self.samples.setdefault((bad.extract, rule), [])
            if len(held) < SAMPLES_A_RULE:
                held.append((file, sample))

    def frame(self) -> pl.DataFrame:
        """One row per extract, file and rule: rows, and samples (list of JSON texts, 100 a rule at most)."""
        schema = {
            "extract": pl.String,
            "file": pl.String,
            "rule": pl.String,
            "rows": pl.Int64,
            "samples": pl.List(pl.String),
        }
        rows = [
            (extract, file, rule, count, self._samples_of(extract, file, rule))
            for (extract, file, rule), count in sorted(self.by_rule.items())
        ]
        return pl.DataFrame(rows, schema, orient="row")

    def _samples_of(self, extract: str, file: str, rule: str) -> list[str]:
        return [sample for of_file, sample in self.samples.get((extract, rule), []) if of_file == file]


def bad_rows_of(
    connection: duckdb.DuckDBPyConnection,
    rows: Rows,
    group_rule: str | None = None,
    group_keys: list[int] | None = None,
) -> BadRows:
    """The rows of a batch that break a rule of their own, or belong to one of the Devices `group_keys`.

    With `group_rule` only the rows of those Devices are looked at, and only those not yet quarantined
    for a rule of their own add to the number of rows.
    """
    name = f"bad_{rows.contract.extract}"
    query, values = rows.query(
        _bad_rows_sql(rows, group_rule), **({"keys": group_keys} if group_rule else {})
    )
    connection.execute(f"create or replace temp table {name} as {query}", values).fetchall()
    counts = connection.sql(f"select file, rule, count(*)::bigint from {name} group by all").fetchall()
    distinct = connection.sql(f"select count(*)::bigint from {name} where is_first").fetchall()[0][0]
    samples = connection.sql(
        f"select file, rule, sample from {name} "
        f"qualify row_number() over (partition by rule order by file, sample) <= {SAMPLES_A_RULE}"
    ).fetchall()
    connection.execute(f"drop table {name}")
    return BadRows(
        extract=rows.contract.extract,
        rows=distinct,
        by_rule=[(rows.name_of(file), rule, count) for file, rule, count in counts],
        samples=[(rows.name_of(file), rule, _readable(sample)) for file, rule, sample in samples],
    )


def _bad_rows_sql(rows: Rows, group_rule: str | None) -> str:
    columns = ", ".join(f'"{name}": "{name}"' for name in rows.contract.names)
    sample = f"to_json({{{columns}}})"
    if group_rule:
        return (
            f"select file, '{group_rule}' as rule, keeps_contract as is_first, {sample} as sample from rows "
            "where case when regexp_full_match(device_id, '([0-9A-F]{2}-){7}[0-9A-F]{2}') "
            "then eui_key(device_id) end in (select unnest($keys::ubigint[]))"
        )
    physical = dict(rows.batch[0].physical)
    broken = ", ".join(
        f"case when not coalesce({rule.sql}, true) then '{rule.name}' end"
        for rule in rows.contract.rules(physical)
    )
    return (
        "select file, rules[place] as rule, place = 1 as is_first, sample from ("
        f"select file, list_filter([{broken}], lambda rule: rule is not null) as rules, {sample} as sample "
        "from rows where not keeps_contract), unnest(range(1, len(rules) + 1)) as t(place)"
    )


def _readable(sample: str) -> str:
    return json.dumps(json.loads(sample), ensure_ascii=False)
