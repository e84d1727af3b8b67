"""The contract of each extract, declared once in contracts.toml.

Checking, quarantine and the reference page are all made from what this module returns.
"""

import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

# DuckDB matches a glob once for each entry of a column's dictionary, a regular expression once for each row.
EUI64_GLOB = "-".join(["[0-9A-F][0-9A-F]"] * 8)
ERA_STARTS = "2012-01-01"
# The column in which the reader says which file a row is from; an extra column of a file may have any usual name.
PATH_READ = "path_that_the_reader_read"

# Contract kind -> the DuckDB type that holds it.
SQL_TYPE = {
    "text": "VARCHAR",
    "code": "VARCHAR",
    "eui": "VARCHAR",
    "octets": "VARCHAR",
    "counter": "UBIGINT",
    "number": "BIGINT",
    "timestamp": "TIMESTAMP",
    "date": "DATE",
    "flag": "BOOLEAN",
}
INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
# DuckDB takes one with nanoseconds and a zone only by way of one with microseconds.
ZONED_NANOSECONDS = "TIMESTAMPTZ_NS"
TIMESTAMPS = {
    "TIMESTAMP",
    "TIMESTAMP_S",
    "TIMESTAMP_MS",
    "TIMESTAMP_NS",
    "TIMESTAMP WITH TIME ZONE",
    ZONED_NANOSECONDS,
}
# Physical types that hold every value of a kind, so that no value of theirs can be of the wrong kind.
EXACT = {
    "VARCHAR": {"VARCHAR"},
    "UBIGINT": {"UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"},
    "BIGINT": INTEGERS - {"UBIGINT"},
    "TIMESTAMP": TIMESTAMPS,
    "DATE": {"DATE"},
    "BOOLEAN": {"BOOLEAN"},
}
# Physical types whose values are taken one by one, when they convert without loss.
CONVERTIBLE = {
    "VARCHAR": {"BLOB"},
    "UBIGINT": INTEGERS | {"HUGEINT", "UHUGEINT", "DOUBLE", "FLOAT", "VARCHAR"},
    "BIGINT": INTEGERS | {"HUGEINT", "UHUGEINT", "DOUBLE", "FLOAT", "VARCHAR"},
    "TIMESTAMP": {"VARCHAR", "DATE"},
    "DATE": {"VARCHAR"} | TIMESTAMPS,
    "BOOLEAN": {"VARCHAR"},
}


@dataclass(frozen=True)
class Rule:
    """A truth that every row of an extract keeps; `sql` may be null, which counts as kept."""

    name: str
    sql: str
    says: str
    # The column of which this is the rule of form, if it is one.
    form_of: str | None = None


@dataclass(frozen=True)
class Column:
    name: str
    kind: str
    optional: bool = False
    within_era: bool = False

    @property
    def quoted(self) -> str:
        return f'"{self.name}"'

    @property
    def sql_type(self) -> str:
        return SQL_TYPE[self.kind]

    def is_exact(self, physical: str) -> bool:
        return physical in EXACT[self.sql_type]

    def typed(self, physical: str) -> str:
        """SQL of the column's value in the contract's type; null when it is of the wrong kind."""
        if self.is_exact(physical):
            return f"{self.as_stored(physical)}::{self.sql_type}"
        if physical.startswith("DECIMAL") and self.sql_type in ("UBIGINT", "BIGINT"):
            return self._without_loss(physical)
        if physical not in CONVERTIBLE[self.sql_type]:
            return f"null::{self.sql_type}"
        if physical == "VARCHAR":
            return self._from_text()
        if physical == "BLOB":
            # A cast would write the bytes beyond ASCII as escapes, and take any.
            return f"try(decode({self.quoted}))"
        return self._without_loss(physical)

    def _from_text(self) -> str:
        there = f"try_cast({self.quoted} as {self.sql_type})"
        if self.kind in ("number", "counter"):
            return f"case when regexp_full_match({self.quoted}, '-?[0-9]+') then {there} end"
        if self.kind == "timestamp":
            # One with a zone is converted; the session's zone is UTC, so one without a zone is UTC too.
            return f"try_cast({self.quoted} as TIMESTAMPTZ)::TIMESTAMP"
        if self.kind == "date":
            moment = f"try_cast({self.quoted} as TIMESTAMP)"
            # `infinity` is a date to DuckDB.
            return f"case when isfinite({moment}) and {moment}::date::timestamp = {moment} then {moment}::date end"
        return there

    def _without_loss(self, physical: str) -> str:
        stored = self.as_stored(physical)
        there = f"try_cast({stored} as {self.sql_type})"
        back = "TIMESTAMP" if physical == ZONED_NANOSECONDS else physical
        return f"case when try_cast({there} as {back}) = {stored} then {there} end"

    def as_stored(self, physical: str) -> str:
        """SQL of the file's own value, in a type that DuckDB can work with."""
        return f"{self.quoted}::timestamptz::timestamp" if physical == ZONED_NANOSECONDS else self.quoted

    def as_found(self, physical: str) -> str:
        """SQL of the value as the file has it, for a sample."""
        name = self.quoted if self.is_exact(physical) else f"raw_{self.name}"
        if physical in ("DOUBLE", "FLOAT"):
            # JSON has no infinity, and nothing that is no number.
            return f"case when isfinite({name}) then to_json({name}) else to_json({name}::varchar) end"
        if physical not in TIMESTAMPS:
            return name
        # DuckDB fails for good when it prints the earliest instant of 64 bits, which some writers mean as null.
        return f"case when {name} >= timestamp '0001-01-01' then {name} end"

    def rules(self, physical: str | None = None) -> list[Rule]:
        """The column's own rules; `physical` adds the rule of kind where the file's type calls for it."""
        found = []
        name, quoted = self.name, self.quoted
        if physical is not None and not self.is_exact(physical):
            sql = f"raw_{name} is null or {quoted} is not null"
            found.append(Rule(f"{name}_is_a_{self.kind}", sql, f"{name} is of its kind ({self.kind})."))
        if not self.optional:
            value = quoted if physical is None or self.is_exact(physical) else f"raw_{name}"
            found.append(Rule(f"{name}_is_present", f"{value} is not null", f"{name} holds a value."))
        if self.kind in ("eui", "octets"):
            sql = f"{quoted} glob '{EUI64_GLOB}'"
            says = f"{name} is eight upper-case hex pairs joined by hyphens."
            found.append(Rule(f"{name}_is_well_formed", sql, says, form_of=name))
        if self.within_era:
            sql = f"{quoted} between timestamp '{ERA_STARTS}' and $build_start"
            says = f"{name} is not before {ERA_STARTS[:4]} nor later than the start of the build."
            found.append(Rule(f"{name}_is_within_era", sql, says))
        return found


@dataclass(frozen=True)
class Contract:
    extract: str
    grain: str
    columns: tuple[Column, ...]
    own_rules: tuple[Rule, ...] = ()
    # Rules that no single row can show, with their names and what they say; the build looks for them by itself.
    rules_of_rows: tuple[Rule, ...] = ()
    optional: bool = False
    time: str = ""
    # The columns whose latest value is the default of `as_at`.
    clocks: tuple[str, ...] = ()
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(column.name for column in self.columns))

    @property
    def instants(self) -> list[str]:
        """The columns that may not be later than the start of the build."""
        return [column.name for column in self.columns if column.within_era]

    def rules(self, physical: dict[str, str] | None = None) -> list[Rule]:
        """Every rule of a row, in the order in which a report names them."""
        types = physical or {}
        of_columns = [rule for column in self.columns for rule in column.rules(types.get(column.name))]
        return of_columns + list(self.own_rules)

    def typed_sql(self, physical: dict[str, str], source: str = "true") -> str:
        """SELECT of the files' rows in the contract's types; `file` is the path read.

        Binds $files (paths). `source` is a condition on the files' own columns.
        """
        typed = [f"{column.typed(physical[column.name])} as {column.quoted}" for column in self.columns]
        raw = [
            f"{c.as_stored(physical[c.name])} as raw_{c.name}" for c in self.columns if not c.is_exact(physical[c.name])
        ]
        return (
            f"select {', '.join(typed + raw)}, {PATH_READ} as file "
            f"from read_parquet($files, hive_partitioning = false, filename = '{PATH_READ}') where {source}"
        )

    def kept_sql(self, physical: dict[str, str], form: dict[str, str]) -> str:
        """SQL of whether a row keeps its contract; binds $build_start where a rule asks for it.

        form: column -> SQL to the same effect as its rule of form. A null counts as kept, and what is null and
        false is false: one coalesce a rule would cost twice as much.
        """
        kept = " and ".join(f"({form.get(rule.form_of, rule.sql)})" for rule in self.rules(physical))
        return f"coalesce({kept}, true)"

    def broken_rules_sql(self, physical: dict[str, str]) -> str:
        """SQL of the names of the rules that a row breaks, as a list."""
        broken = ", ".join(
            f"case when not coalesce({rule.sql}, true) then '{rule.name}' end" for rule in self.rules(physical)
        )
        return f"list_filter([{broken}], lambda rule: rule is not null)"

    def bad_row_sql(self, physical: dict[str, str], rules: str | None = None, is_new: str = "true") -> str:
        """SQL of what is kept of a bad row, as JSON text; `data.quarantine.BadRows` reads it.

        rules: SQL of the rules that it breaks, as a list. is_new: false if it was quarantined before.
        """
        # Of an instant that is not to be had in microseconds the greatest number stands for it.
        instants = ", ".join(
            f"'{clock}': case when {clock} is not null then coalesce(try(epoch_us({clock})), {2**63 - 1}) end"
            for clock in self.instants
        )
        parts = {
            "file": "file",
            "rules": rules or self.broken_rules_sql(physical),
            "sample": self.sample_sql(physical),
            "is_new": is_new,
            "instants": f"{{{instants}}}" if instants else "null",
        }
        pairs = ", ".join(f"'{name}': {sql}" for name, sql in parts.items())
        return f"to_json({{{pairs}}})::varchar"

    def sample_sql(self, physical: dict[str, str]) -> str:
        """SQL of the row as the file has it, as JSON text."""
        found = ", ".join(f"'{column.name}': {column.as_found(physical[column.name])}" for column in self.columns)
        return f"to_json({{{found}}})::varchar"


@cache
def contracts() -> dict[str, Contract]:
    """Extract name -> its contract, in the order of contracts.toml."""
    text = (files("data") / "contracts.toml").read_text(encoding="utf-8")
    return {name: _contract(name, block) for name, block in tomllib.loads(text).items()}


def _contract(name: str, block: dict) -> Contract:
    return Contract(
        extract=name,
        grain=block["grain"],
        columns=tuple(Column(**column) for column in block["columns"]),
        own_rules=tuple(Rule(**rule) for rule in block.get("rules", ())),
        rules_of_rows=tuple(Rule(sql="", **rule) for rule in block.get("rules_of_rows", ())),
        optional=block.get("optional", False),
        time=block["time"],
        clocks=tuple(block.get("clocks", ())),
    )
