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
def known_values(column: str) -> frozenset[str]:
    """The codes that the column is known to hold, those known by a pattern apart."""
    if column == "response_code":
        return frozenset(row["response_code"] for row in table("response_codes"))
    return frozenset(row["value"] for row in table("vocabulary") if row["column"] == column)


def is_recognised(column: str, value: str) -> bool:
    """Whether the domain knows the code; any other is kept, satisfies nothing, and is counted."""
    if column == "response_code":
        return any(re.fullmatch(pattern, value) for pattern in known_values(column))
    return value in known_values(column)
