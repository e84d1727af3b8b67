"""Facts of the domain as rows, read from the CSV files beside this one."""

import csv
import re
from functools import cache
from importlib.resources import files

DEVICE_TYPES = ("ESME", "GSME", "GPF", "CHF")


@cache
def table(name: str) -> tuple[dict[str, str], ...]:
    """The rows of `<name>.csv`; every value is text, as the codes 6.20 and 6.2 differ."""
    text = (files(__package__) / f"{name}.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))


@cache
def checks() -> tuple[dict[str, str], ...]:
    return table("checks")


@cache
def required(reference: str, number: str) -> dict[str, tuple[int, ...]]:
    """Device type -> numbers of the rows of a matrix (checks or cells) marked `x` for it."""
    return {
        device_type: tuple(int(row[number]) for row in table(reference) if row[device_type] == "x")
        for device_type in DEVICE_TYPES
    }


@cache
def known_values(extract: str, column: str) -> frozenset[str]:
    """The codes that the column of an extract is known to hold, those known by a pattern apart."""
    if column == "response_code":
        return frozenset(row["response_code"] for row in table("response_codes"))
    of_column = (row for row in table("vocabulary") if row["column"] == column)
    return frozenset(row["value"] for row in of_column if extract in (row["extracts"].split() or [extract]))


def is_recognised(extract: str, column: str, value: str) -> bool:
    """Whether the domain knows the code; any other is kept, satisfies nothing, and is counted."""
    known = known_values(extract, column)
    if column == "response_code":
        return any(re.fullmatch(pattern, value) for pattern in known)
    return value in known
