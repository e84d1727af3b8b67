"""Rows that break their contract: kept out of every verdict, counted, and shown by file and rule."""

import json
from collections import Counter
from dataclasses import dataclass, field

import polars as pl

from data.contracts import Contract

SAMPLES_A_RULE = 100


class BadRows:
    """The bad rows of one batch of files: counted, and a few kept as samples.

    rows: the distinct rows. by_rule: (file, rule) -> rows. samples: rule -> (file, JSON text) of the first by file
    and text. values: (code column, value as found) -> rows. latest: clock -> its latest microsecond since 1970.
    A row that is not new was quarantined before, for a rule of its own, and adds to no number of rows.
    """

    def __init__(self, contract: Contract, names: dict[str, str]):
        """names: the files' names below the extracts folder, by path."""
        self._codes = [column.name for column in contract.columns if column.kind == "code"]
        self._clocks = contract.clocks
        self._names = names
        self.extract = contract.extract
        self.rows = 0
        self.by_rule: Counter[tuple[str, str]] = Counter()
        self.samples: dict[str, list[tuple[str, str]]] = {}
        self.values: Counter[tuple[str, str | None]] = Counter()
        self.latest: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self.by_rule)

    def add(self, bad_rows: pl.Series) -> None:
        """Takes rows in as `Contract.bad_row_sql` gives them."""
        rows = bad_rows.str.json_decode(self._shape()).struct.unnest()
        names = pl.col("file").replace_strict(self._names, return_dtype=pl.String)
        rows = rows.with_columns(names)
        new = rows.filter("is_new")
        self.rows += new.height
        by_rule = rows.select("file", "sample", rule="rules").explode("rule")
        for file, rule, count in by_rule.group_by("file", "rule").len().iter_rows():
            self.by_rule[file, rule] += count
        self._add_samples(by_rule)
        self._add_values(new)
        for clock in self._clocks:
            latest = new["instants"].struct.field(clock).max()
            self.latest[clock] = max(latest or 0, self.latest.get(clock, 0))

    def _shape(self) -> pl.Struct:
        return pl.Struct(
            {
                "file": pl.String,
                "rules": pl.List(pl.String),
                "sample": pl.String,
                "is_new": pl.Boolean,
                "instants": pl.Struct(dict.fromkeys(self._clocks, pl.Int64) or {"none": pl.Int64}),
            }
        )

    def _add_samples(self, by_rule: pl.DataFrame) -> None:
        first = by_rule.sort("file", "sample").group_by("rule", maintain_order=True).head(SAMPLES_A_RULE)
        for rule, file, sample in first.select("rule", "file", "sample").iter_rows():
            self.samples.setdefault(rule, []).append((file, sample))
        for rule, held in self.samples.items():
            self.samples[rule] = sorted(held)[:SAMPLES_A_RULE]

    def _add_values(self, new: pl.DataFrame) -> None:
        for column in self._codes:
            found = new.select(value=pl.col("sample").str.json_path_match(f"$.{column}"))
            for value, count in found.group_by("value").len().iter_rows():
                self.values[column, value] += count


@dataclass
class Quarantine:
    """The bad rows of all extracts."""

    rows: dict[str, int] = field(default_factory=dict)
    by_rule: dict[tuple[str, str, str], int] = field(default_factory=dict)
    samples: dict[tuple[str, str], list[tuple[str, str]]] = field(default_factory=dict)

    def add(self, bad: BadRows) -> None:
        if bad.rows:
            self.rows[bad.extract] = self.rows.get(bad.extract, 0) + bad.rows
        for (file, rule), count in bad.by_rule.items():
            key = (bad.extract, file, rule)
            self.by_rule[key] = self.by_rule.get(key, 0) + count
        for rule, samples in bad.samples.items():
            held = self.samples.setdefault((bad.extract, rule), [])
            held += [(file, _readable(sample)) for file, sample in samples[: SAMPLES_A_RULE - len(held)]]

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


def _readable(sample: str) -> str:
    return json.dumps(json.loads(sample), ensure_ascii=False)
