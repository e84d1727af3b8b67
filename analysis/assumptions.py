"""What the business case assumes: each driver with low, central and high, read and refused by name.

A file of assumptions is CSV, a row a driver (and scenario), columns COLUMNS; a driver that it does not name keeps the
value of `assumptions.toml`.
"""

import csv
import io
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

LEVELS = ("low", "central", "high")
COLUMNS = ("scenario", "driver", *LEVELS, "unit", "who_is_affected", "source")
UNCONFIRMED = "assumption, to be confirmed"
MOST_NAME = 60


class WrongAssumptions(Exception):
    """Assumptions that make no sense; `problems` names each, a line a problem."""

    def __init__(self, problems: list[str]):
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Driver:
    """A block of assumptions.toml."""

    name: str
    label: str
    group: str
    unit: str
    affects: str
    low: float
    central: float
    high: float
    limits: tuple[float, float]
    kind: str
    source: str

    @property
    def is_uncertain(self) -> bool:
        return self.kind == "uncertain"


@dataclass(frozen=True)
class Assumption:
    """A driver's values; in the unit of its driver."""

    low: float
    central: float
    high: float
    source: str = UNCONFIRMED

    @property
    def is_confirmed(self) -> bool:
        return UNCONFIRMED not in self.source


Assumptions = Mapping[str, Assumption]


@cache
def drivers() -> tuple[Driver, ...]:
    text = (files("analysis") / "assumptions.toml").read_text(encoding="utf-8")
    return tuple(
        Driver(name, **block | {"limits": tuple(block["limits"])}) for name, block in tomllib.loads(text).items()
    )


def driver(name: str) -> Driver:
    return next(one for one in drivers() if one.name == name)


def defaults() -> dict[str, Assumption]:
    return {one.name: Assumption(one.low, one.central, one.high, one.source) for one in drivers()}


def central(assumptions: Assumptions) -> dict[str, float]:
    return {name: one.central for name, one in assumptions.items()}


def unconfirmed(assumptions: Assumptions) -> int:
    """How many drivers have no source but `assumption, to be confirmed`."""
    return sum(not one.is_confirmed for one in assumptions.values())


def with_source(name: str, low: float, middle: float, high: float, known: Assumptions) -> Assumption:
    """The values with the source of those known; values that were changed are to be confirmed."""
    same = known.get(name)
    is_same = same is not None and (same.low, same.central, same.high) == (low, middle, high)
    return Assumption(low, middle, high, same.source if is_same else UNCONFIRMED)


def problems(assumptions: Assumptions) -> list[str]:
    """What is wrong, a line each, naming the driver and the value; none when all make sense."""
    found = []
    for one in drivers():
        given = assumptions[one.name]
        least, most = one.limits
        for level in LEVELS:
            value = getattr(given, level)
            if value is None or not math.isfinite(value):
                found.append(f"{one.label} ({one.name}), {level}: a number is needed")
            elif not least <= value <= most:
                found.append(f"{one.label} ({one.name}), {level}: {value:g} {_out_of_limits(value, least, most)}")
            elif one.name == "years" and value != int(value):
                found.append(f"{one.label} ({one.name}), {level}: {value:g} is no whole number")
        if any(value is None for value in (given.low, given.central, given.high)):
            continue
        for lower, upper in (("low", "central"), ("central", "high")):
            if getattr(given, lower) > getattr(given, upper):
                found.append(
                    f"{one.label} ({one.name}): {lower} {getattr(given, lower):g} is above "
                    f"{upper} {getattr(given, upper):g}"
                )
    return found


def _out_of_limits(value: float, least: float, most: float) -> str:
    if value < least == 0:
        return "is negative"
    return f"is below {least:g}" if value < least else f"is above {most:,.0f}"


def checked(assumptions: Assumptions) -> dict[str, Assumption]:
    """The assumptions as they are; raises `WrongAssumptions`."""
    if found := problems(assumptions):
        raise WrongAssumptions(found)
    return dict(assumptions)


def read_scenarios(text: str) -> dict[str, dict[str, Assumption]]:
    """Scenario -> driver -> assumption, of a CSV file; raises `WrongAssumptions` with every problem of the file.

    Without a column `scenario` the file is one scenario of the name `file`.
    """
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    missing = [name for name in ("driver", *LEVELS) if name not in (rows.fieldnames or ())]
    if missing:
        raise WrongAssumptions([f"the file has no column {', '.join(missing)}"])
    found, scenarios = [], {}
    try:
        numbered = list(enumerate(rows, start=2))
    except csv.Error as error:
        raise WrongAssumptions([f"the file is no CSV: {error}"]) from error
    known = {one.name: one for one in drivers()}
    for line, row in numbered:
        scenario, name = (row.get("scenario") or "file").strip()[:MOST_NAME], (row["driver"] or "").strip()
        given = scenarios.setdefault(scenario, {})
        if name not in known:
            found.append(f"line {line}: there is no driver {name!r}")
        elif name in given:
            found.append(f"line {line}: {name} stands twice in scenario {scenario!r}")
        else:
            given[name] = _read_row(row, known[name], line, found)
    if not scenarios:
        raise WrongAssumptions(["the file holds no row"])
    whole = {scenario: defaults() | given for scenario, given in scenarios.items()}
    found += [f"{problem} (scenario {scenario!r})" for scenario, given in whole.items() for problem in problems(given)]
    if found:
        raise WrongAssumptions(found)
    return whole


def _read_row(row: dict, one: Driver, line: int, found: list[str]) -> Assumption:
    """The row's assumption; the driver's default when the row holds text in a number, which is then among `found`."""
    values = {}
    for level in LEVELS:
        text = (row[level] or "").strip()
        try:
            values[level] = float(text)
        except ValueError:
            found.append(f"line {line}: {one.label} ({one.name}), {level}: {text!r} is no number")
    if len(values) < len(LEVELS):
        return defaults()[one.name]
    return Assumption(**values, source=(row.get("source") or "").strip() or UNCONFIRMED)


def write_scenarios(scenarios: Mapping[str, Assumptions]) -> str:
    """The CSV file that `read_scenarios` reads back as it was."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for scenario, assumptions in scenarios.items():
        for one in drivers():
            given = assumptions[one.name]
            values = [repr(float(getattr(given, level))) for level in LEVELS]
            writer.writerow([scenario, one.name, *values, one.unit, one.affects, given.source])
    return text.getvalue()


def changed(assumptions: Assumptions, name: str, middle: float) -> dict[str, Assumption]:
    """The assumptions with another central value of one driver."""
    return {**assumptions, name: replace(assumptions[name], central=middle)}
