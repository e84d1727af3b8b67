"""What the business case assumes: each driver with low, central and high, read and refused by name.

A file of assumptions is CSV, a row a driver (and scenario), columns COLUMNS; a driver that it does not name keeps the
value of `assumptions.toml`.
"""

import base64
import binascii
import csv
import io
import math
import re
import tomllib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

LEVELS = ("low", "central", "high")
COLUMNS = ("scenario", "driver", *LEVELS, "unit", "who_is_affected", "source")
UNCONFIRMED = "assumption, to be confirmed"
MOST_NAME = 60
# How a text begins that a sheet would take for a formula, whatever apostrophes stand before it.
LIKE_A_FORMULA = r"[=+\-@\t\r\n\uFF1D\uFF0B\uFF0D\uFF20]"
NOT_WHOLE = "the text is cut short or was changed"
# Characters that a packed text may have unpacked.
MOST_UNPACKED = 200_000


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
    found, scenarios = [], {}
    try:
        missing = [name for name in ("driver", *LEVELS) if name not in (rows.fieldnames or ())]
        numbered = list(enumerate(rows, start=2))
    except csv.Error as error:
        raise WrongAssumptions([f"the file is no CSV: {error}"]) from error
    if missing:
        raise WrongAssumptions([f"the file has no column {', '.join(missing)}"])
    known = {one.name: one for one in drivers()}
    for line, row in numbered:
        scenario, name = _as_written((row.get("scenario") or "file").strip())[:MOST_NAME], (row["driver"] or "").strip()
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
    return Assumption(**values, source=_as_written((row.get("source") or "").strip()) or UNCONFIRMED)


def write_scenarios(scenarios: Mapping[str, Assumptions]) -> str:
    """The CSV file that `read_scenarios` reads back as it was; no text of it is taken for a formula by a sheet."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for scenario, assumptions in scenarios.items():
        for one in drivers():
            given = assumptions[one.name]
            values = [repr(float(getattr(given, level))) for level in LEVELS]
            writer.writerow([_as_text(scenario), one.name, *values, one.unit, one.affects, _as_text(given.source)])
    return text.getvalue()


def packed(scenarios: Mapping[str, Assumptions]) -> str:
    """The scenarios as a short text for an address: only what differs from the defaults, compressed."""
    text, usual = io.StringIO(), defaults()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("scenario", "driver", *LEVELS, "source"))
    for scenario, assumptions in scenarios.items():
        differing = [name for name, given in assumptions.items() if given != usual[name]]
        for name in differing or [next(iter(usual))]:
            given = assumptions[name]
            values = [repr(float(getattr(given, level))) for level in LEVELS]
            writer.writerow([_as_text(scenario), name, *values, _as_text(given.source)])
    return base64.urlsafe_b64encode(zlib.compress(text.getvalue().encode(), 9)).decode().rstrip("=")


def unpacked(text: str) -> dict[str, dict[str, Assumption]]:
    """The scenarios of `packed`; raises `WrongAssumptions`."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        packing = zlib.decompressobj()
        found = packing.decompress(data, MOST_UNPACKED).decode()
        is_whole = packing.eof
    except (binascii.Error, zlib.error, ValueError) as error:
        raise WrongAssumptions([NOT_WHOLE]) from error
    if not is_whole:
        raise WrongAssumptions([NOT_WHOLE])
    return read_scenarios(found)


def _as_text(text: str) -> str:
    """With an apostrophe more where a sheet would take it for a formula."""
    return f"'{text}" if re.match(f"'*{LIKE_A_FORMULA}", text) else text


def _as_written(text: str) -> str:
    """What `_as_text` was given."""
    return text[1:] if re.match(f"'+{LIKE_A_FORMULA}", text) else text


def changed(assumptions: Assumptions, name: str, middle: float) -> dict[str, Assumption]:
    """The assumptions with another central value of one driver."""
    return {**assumptions, name: replace(assumptions[name], central=middle)}
