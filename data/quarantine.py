"""Rows that break their contract: kept out of every verdict, counted, and shown by file and rule."""

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

import polars as pl

from data.contracts import Contract

SAMPLES_A_RULE = 100


class BadRows:
    """The bad rows of one batch of files: counted, and a few kept as samples.

    rows: the distinct rows. by_rule: (file, rule) -> rows. samples: rule -> (file, JSON text) of the first by file
    and text. values: (code column, value as found) -> rows. latest: instant -> its latest microsecond since 1970.
    next_instant: the first microsecond since 1970 after the start of the build that a row holds; a later build may
    find such a row good. A row that is not new was quarantined before, for a rule of its own, and adds to no number.
    """

    def __init__(self, contract: Contract, names: dict[str, str], build_start: datetime):
        """names: the files' names below the extracts folder, by path."""
        self._codes = [column.name for column in contract.columns if column.kind == "code"]
        self._instants = contract.instants
        self._build_start = int(build_start.replace(tzinfo=UTC).timestamp() * 1_000_000)
        self._names = names
        self.extract = contract.extract
        self.rows = 0
        self.by_rule: Counter[tuple[str, str]] = Counter()
        self.samples: dict[str, list[tuple[str, str]]] = {}
        self.values: Counter[tuple[str, str | None]] = Counter()
        self.latest: dict[str, int] = {}
        self.next_instant: int | None = None

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
        for name in self._instants:
            self._add_instants(name, new["instants"].struct.field(name))

    def _add_instants(self, name: str, moments: pl.Series) -> None:
        self.latest[name] = max(moments.max() or 0, self.latest.get(name, 0))
        later = [moment for moment in (moments.filter(moments > self._build_start).min(), self.next_instant) if moment]
        self.next_instant = min(later, default=None)

    def facts(self) -> dict:
        """What is kept of them with the partial, in plain values: rows, by_rule, samples."""
        return {
            "rows": self.rows,
            "by_rule": [[file, rule, rows] for (file, rule), rows in sorted(self.by_rule.items())],
            "samples": {
                rule: [[file, _readable(sample)] for file, sample in held] for rule, held in self.samples.items()
            },
        }

    def _shape(self) -> pl.Struct:
        return pl.Struct(
            {
                "file": pl.String,
                "rules": pl.List(pl.String),
                "sample": pl.String,
                "is_new": pl.Boolean,
                "instants": pl.Struct(dict.fromkeys(self._instants, pl.Int64) or {"none": pl.Int64}),
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

    def add(self, extract: str, bad: dict) -> None:
        """Takes in the `BadRows.facts` of some files; those of all files give the same in any order."""
        if bad["rows"]:
            self.rows[extract] = self.rows.get(extract, 0) + bad["rows"]
        for file, rule, rows in bad["by_rule"]:
            key = (extract, file, rule)
            self.by_rule[key] = self.by_rule.get(key, 0) + rows
        for rule, samples in bad["samples"].items():
            held = self.samples.get((extract, rule), []) + [(file, sample) for file, sample in samples]
            self.samples[extract, rule] = sorted(held)[:SAMPLES_A_RULE]

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
