"""Rows that break their contract: kept out of every verdict, counted, and shown by file and rule."""

import json
from dataclasses import dataclass, field
from datetime import datetime

import duckdb
import polars as pl

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


class BadRowsTable:
    """The bad rows of one batch, as table `bad_rows` of a connection: file, rules (list), sample, is_new.

    A row that is not new was quarantined before, for a rule of its own, and adds to no number of rows.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, query: str, values: dict):
        self._connection = connection
        connection.execute(f"create or replace temp table bad_rows as {query}", values).fetchall()

    def __len__(self) -> int:
        return self._fetch("select count(*)::bigint from bad_rows where is_new")[0][0]

    def summary(self, extract: str, names: dict[str, str]) -> BadRows:
        """By rule, with samples; `names` are the files' names by path."""
        each = "select file, unnest(rules) as rule, sample from bad_rows"
        samples = self._fetch(
            f"from ({each}) qualify row_number() over (partition by rule order by file, sample) <= {SAMPLES_A_RULE}"
        )
        counts = self._fetch(f"select file, rule, count(*)::bigint from ({each}) group by all")
        return BadRows(
            extract=extract,
            rows=len(self),
            by_rule=[(names[file], rule, count) for file, rule, count in counts],
            samples=[(names[file], rule, _readable(sample)) for file, rule, sample in samples],
        )

    def values(self, column: str) -> dict[str, int]:
        """Value of a column as found -> the bad rows that hold it."""
        found = f"""json_extract_string(sample, '$."{column}"')"""
        return dict(self._fetch(f"select {found}, count(*)::bigint from bad_rows where is_new group by 1"))

    def holds(self, clock: str, instant: datetime) -> bool:
        """Whether some bad row has this instant, or a later one, in a column of times."""
        found = f"""try_cast(json_extract_string(sample, '$."{clock}"') as timestamptz)::timestamp"""
        query = f"select count(*)::bigint from bad_rows where is_new and {found} >= $instant"
        return self._connection.sql(query, params={"instant": instant}).fetchall()[0][0] > 0

    def _fetch(self, query: str) -> list[tuple]:
        return self._connection.sql(query).fetchall()


def _readable(sample: str) -> str:
    return json.dumps(json.loads(sample), ensure_ascii=False)
