"""What is odd about the files of an extract taken together: a month that is missing, twice there, or far too small.

Oddities are named and refuse nothing, unless more seems to be missing than is allowed: extracts of few months or of
a small estate are odd in these ways and good. A month is that of a folder `month=YYYY-MM`.
"""

import re
from collections import defaultdict
from pathlib import PurePosixPath
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from data.extracts import ExtractFile

MONTHLY = ("service_responses", "dsp_checks", "credential_reads")
MONTH_FOLDER = re.compile(r"month=(?P<month>\d{4}-(0[1-9]|1[0-2]))(?P<more>.*)", re.IGNORECASE)
HIVE_KEY = re.compile(r"(?P<key>[^=]+)=.*")
# A month with less than this share of the median of its neighbours, so many on either side, is a cliff.
CLIFF = 0.2
NEIGHBOURS = 3
# Below so many rows a month, chance alone makes cliffs.
FEWEST_USUAL_ROWS = 100
# How file managers and browsers name a second copy.
COPY_NAMES = (
    re.compile(r"(?P<of>.+?) ?\(\d+\)"),
    re.compile(r"(?P<of>.+?)[ _-]+[Cc]opy( ?\(?\d+\)?)?"),
    re.compile(r"Copy (\(\d+\) )?of (?P<of>.+)"),
)
MONTH_MISSING, MONTH_TWICE, COPY, SMALL_MONTH = "month missing", "month twice", "copy", "small month"


class Warned(NamedTuple):
    """kind: one of the four above. where: a month or a file's name. sentence: says it all, without the extract."""

    kind: str
    extract: str
    where: str
    sentence: str


class Month(NamedTuple):
    """A month between the first and the last: rows in its files (None if it has none), and how many are usual."""

    month: str
    rows: int | None
    usual: float


Files = dict[str, list["ExtractFile"]]


def warnings(files: Files) -> list[Warned]:
    """What is odd as footers and names tell."""
    found = []
    for extract in MONTHLY:
        found += [_odd(extract, month) for month in odd_months(files.get(extract, []))]
        found += _months_twice(extract, files.get(extract, []))
    for extract, of_extract in files.items():
        found += _copies_by_name(extract, of_extract)
    return found


def too_much_missing(files: Files, most: float) -> list[str]:
    """A line for each extract of which more than this share of the rows seems to be missing."""
    problems = []
    for extract in MONTHLY:
        odd = odd_months(files.get(extract, []))
        missing = sum(month.usual - (month.rows or 0) for month in odd)
        rows = sum(file.rows for file in files.get(extract, []))
        if missing and missing > most * (rows + missing):
            months = ", ".join(month.month for month in odd)
            share = missing / (rows + missing)
            problems.append(
                f"{extract}: about {share:.1%} of its rows seem to be missing, more than {most:.1%} ({months})"
            )
    return problems


def odd_months(files: list["ExtractFile"]) -> list[Month]:
    """The months that are missing or far too small, by the months around them."""
    rows: dict[int, int] = defaultdict(int)
    for file in files:
        if found := _month_of(file.name):
            rows[_number(found["month"])] += file.rows
    if not rows:
        return []
    odd = []
    for number in range(min(rows), max(rows) + 1):
        near = [other for other in range(number - NEIGHBOURS, number + NEIGHBOURS + 1) if other != number]
        usual = float(median([rows[other] for other in near if other in rows] or [0]))
        if number not in rows:
            odd.append(Month(_written(number), None, usual))
        elif number > min(rows) and usual >= FEWEST_USUAL_ROWS and rows[number] < CLIFF * usual:
            odd.append(Month(_written(number), rows[number], usual))
    return odd


def _odd(extract: str, month: Month) -> Warned:
    if month.rows is None:
        return Warned(
            MONTH_MISSING, extract, month.month, f"no file of month {month.month}, of which others lie around it"
        )
    said = f"month {month.month} has {month.rows:,} rows, where {month.usual:,.0f} are usual in the months around it"
    return Warned(SMALL_MONTH, extract, month.month, said)


def _months_twice(extract: str, files: list["ExtractFile"]) -> list[Warned]:
    """Months under two folders that no key sets apart: `month=2021-03` and `old/month=2021-03`."""
    folders: dict[str, dict[tuple, str]] = defaultdict(dict)
    for file in files:
        if found := _month_of(file.name):
            parts = PurePosixPath(file.name).parent.parts
            kept = parts[: next(i for i, part in enumerate(parts) if MONTH_FOLDER.fullmatch(part)) + 1]
            apart = tuple(part if MONTH_FOLDER.fullmatch(part) else HIVE_KEY.sub(r"\g<key>", part) for part in kept)
            folders[found["month"]].setdefault(apart, "/".join(kept))
    return [
        Warned(MONTH_TWICE, extract, month, f"month {month} stands under {' and '.join(sorted(found.values()))}")
        for month, found in sorted(folders.items())
        if len(found) > 1
    ]


def _copies_by_name(extract: str, files: list["ExtractFile"]) -> list[Warned]:
    by_name = {file.name: file for file in files}
    found = []
    for file in files:
        path = PurePosixPath(file.name)
        for pattern in COPY_NAMES:
            named = pattern.fullmatch(path.stem)
            other = by_name.get(str(path.with_name(named["of"] + path.suffix))) if named else None
            if other and file.rows and (other.rows, other.physical) == (file.rows, file.physical):
                found.append(Warned(COPY, extract, file.name, f"{file.name} looks like a copy of {other.name}"))
                break
    return found


def copies(files: Files, digests: dict[str, str], known: list[Warned]) -> list[Warned]:
    """Files of one extract with the same bytes, but for those that are told already."""
    told = {warned.where for warned in known if warned.kind == COPY}
    found = []
    for extract, of_extract in files.items():
        first: dict[str, str] = {}
        for file in of_extract:
            other = first.setdefault(digests[file.name], file.name)
            if other != file.name and file.rows and told.isdisjoint((file.name, other)):
                found.append(Warned(COPY, extract, file.name, f"{file.name} has the same bytes as {other}"))
    return found


def _month_of(name: str) -> re.Match | None:
    return next(filter(None, map(MONTH_FOLDER.fullmatch, PurePosixPath(name).parent.parts)), None)


def _number(month: str) -> int:
    return int(month[:4]) * 12 + int(month[5:]) - 1


def _written(number: int) -> str:
    return f"{number // 12:04d}-{number % 12 + 1:02d}"
