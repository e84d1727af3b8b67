"""What may be published of counts to readers who are not the parties: numbers too small are left out, others rounded.

The numbers are in `disclosure.toml`. A cell is hidden when it is small, comes from too few parties, or mostly from one;
then further cells are hidden until none can be had by adding and subtracting what is shown, from within a table or from
another that shows the same total. Counts that can be worked out from two that are shown (Devices reported passed, from
those due and those reported failed) are guarded as if they were shown.
"""

import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl

FILE = Path(__file__).with_name("disclosure.toml")
Key = tuple[str, str]
Relation = tuple[Key, tuple[Key, ...]]


@dataclass(frozen=True)
class Policy:
    """The numbers of `disclosure.toml`, in Devices, parties and shares."""

    threshold: int
    round_to: int
    fewest_devices: int
    fewest_parties: int
    dominance: float
    party_roles: tuple[str, ...]

    def rounded(self, number: float) -> int:
        """To the nearest multiple, halves up."""
        return int(number / self.round_to + 0.5) * self.round_to

    def in_words(self) -> str:
        return (
            f"Numbers below {self.threshold} are not shown, others are rounded to the nearest {self.round_to}. A group "
            f"is shown from {self.fewest_devices} Devices and {self.fewest_parties} parties on, a number only where no "
            f"party makes more than {self.dominance:.0%} of it. Where a number not shown could be worked out from "
            "others, some of those are not shown either. Shares are made of the rounded numbers; rounded numbers need "
            "not add up."
        ).replace("%", "\u00a0%")


@cache
def policy() -> Policy:
    read = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return Policy(**read | {"party_roles": tuple(read["party_roles"])})


@dataclass(frozen=True)
class Cell:
    """A count, and whether it must not be shown, whatever else is."""

    value: int
    is_sensitive: bool


@dataclass(frozen=True)
class Sheet:
    """A table of counts by group that is to be published.

    make: columns -> a frame with one row per group and those columns: `key`, and each of `counts`.
    size: the count that says how large a group is. sums: a count of a row -> the counts of it that add up to it.
    adds_up: counts that, summed over the rows, make that count of the total (own name -> the total's).
    same_as: the group that is another sheet's row as well -> the name of that row.
    differs: own count -> (the total's count, the count by which they differ, 1 where own is the smaller, else -1).
    """

    name: str
    key: str
    make: Callable[[tuple[str, ...]], pl.DataFrame]
    counts: tuple[str, ...]
    size: str
    sums: dict[str, tuple[str, ...]] = field(default_factory=dict)
    adds_up: dict[str, str] = field(default_factory=dict)
    total: str = ""
    same_as: dict[str, str] = field(default_factory=dict)
    differs: dict[str, tuple[str, str, int]] = field(default_factory=dict)

    def row(self, group: str | None) -> str:
        """The name of a group's row among all sheets."""
        return self.same_as.get(group, f"{self.name}/{group}")


def published(sheets: Sequence[Sheet], rules: Policy | None = None) -> dict[str, pl.DataFrame]:
    """Each sheet's counts by its name: rounded, and null where they must not be shown."""
    rules = rules or policy()
    frames = {sheet.name: sheet.make(()) for sheet in sheets}
    cells: dict[Key, Cell] = {}
    relations: list[Relation] = []
    for sheet in sheets:
        found = _cells(sheet, frames[sheet.name], rules)
        cells |= {key: _either(cell, cells.get(key)) for key, cell in found.items()}
        relations += _relations(sheet, frames[sheet.name])
    hidden = hidden_cells(cells, relations, rules)
    return {sheet.name: _shown(sheet, frames[sheet.name], hidden, rules) for sheet in sheets}


def _either(cell: Cell, other: Cell | None) -> Cell:
    return Cell(cell.value, cell.is_sensitive or (other is not None and other.is_sensitive))


def _cells(sheet: Sheet, frame: pl.DataFrame, rules: Policy) -> dict[Key, Cell]:
    given = _contributions(sheet, rules)
    cells = {}
    for row in frame.to_dicts():
        group = row[sheet.key]
        is_small = row[sheet.size] < rules.fewest_devices or not given[group, sheet.size]
        for count in sheet.counts:
            value = row[count]
            is_sensitive = is_small or 0 < value < rules.threshold or (value > 0 and not given[group, count])
            cells[sheet.row(group), count] = Cell(value, is_sensitive)
    return cells


def _contributions(sheet: Sheet, rules: Policy) -> dict[tuple[str | None, str], bool]:
    """(group, count) -> whether enough parties share in it and none has too much of it, in each role."""
    enough: dict[tuple[str | None, str], bool] = {}
    for role in rules.party_roles:
        frame = sheet.make((role,))
        is_party = pl.col(role).is_not_null()
        told = frame.group_by(sheet.key).agg(
            (
                ((pl.col(count) > 0) & is_party).sum().ge(rules.fewest_parties)
                & (pl.col(count).max() <= rules.dominance * pl.col(count).sum())
            ).alias(count)
            for count in sheet.counts
        )
        for row in told.to_dicts():
            for count in sheet.counts:
                key = row[sheet.key], count
                enough[key] = enough.get(key, True) and row[count]
    return enough


def _relations(sheet: Sheet, frame: pl.DataFrame) -> Iterable[Relation]:
    rows = [sheet.row(group) for group in frame[sheet.key]]
    for row in rows:
        for whole, parts in sheet.sums.items():
            yield (row, whole.split("/")[0]), tuple((row, part) for part in parts)
        for own, (of_total, change, sign) in sheet.differs.items():
            larger, smaller = ((sheet.total, of_total), (row, own))[::sign]
            yield larger, (smaller, (row, change))
    for own, of_total in sheet.adds_up.items():
        yield (sheet.total, of_total), tuple((row, own) for row in rows)


def hidden_cells(cells: dict[Key, Cell], relations: Sequence[Relation], rules: Policy) -> set[Key]:
    """The sensitive cells, and as many others as it takes that no relation, nor several together, gives one away."""
    hidden = {key for key, cell in cells.items() if cell.is_sensitive}
    while True:
        more = next(filter(None, (_one_more(*one, cells, hidden, rules) for one in relations)), None)
        more = more or _against_several(cells, relations, hidden)
        if more is None:
            return hidden
        hidden.add(more)


def _against_several(cells: dict[Key, Cell], relations: Sequence[Relation], hidden: set[Key]) -> Key | None:
    """A cell to hide because all relations together have one solution only for a sensitive one; None when none has.

    A cell can be another number than it is when the hidden ones can change together with every relation kept. One of
    value 0 cannot become less, so it is no help to others.
    """
    free = [key for key in sorted(hidden) if cells[key].value > 0]
    place = {key: number for number, key in enumerate(free)}
    system = np.zeros((len(relations), len(free)))
    for row, (whole, parts) in enumerate(relations):
        for key, sign in ((whole, -1), *((part, 1) for part in parts)):
            if key in place:
                system[row, place[key]] += sign
    _, strengths, directions = np.linalg.svd(system)
    rank = int((strengths > 1e-9).sum())
    can_change = np.abs(directions[rank:]).max(axis=0, initial=0) > 1e-9
    pinned = {key for key in free if cells[key].is_sensitive and not can_change[place[key]]}
    near = [[whole, *parts] for whole, parts in relations if pinned & {whole, *parts}] if pinned else []
    touched = [[whole, *parts] for whole, parts in relations if hidden & {whole, *parts}] if pinned else []
    for group in (near, touched):
        shown = {key for keys in group for key in keys if key not in hidden and cells[key].value > 0}
        if shown:
            return min(shown, key=lambda key: (cells[key].value, key))
    return None


def _one_more(
    whole: Key, parts: tuple[Key, ...], cells: dict[Key, Cell], hidden: set[Key], rules: Policy
) -> Key | None:
    """A cell of the relation to hide besides, or None when what is hidden in it cannot be worked out."""
    left_out = [cells[part] for part in parts if part in hidden]
    is_safe = bool(left_out) if whole in hidden else not left_out or _is_safe(left_out, rules)
    if is_safe:
        return None
    still_shown = [part for part in parts if part not in hidden and cells[part].value > 0]
    return min(still_shown, key=lambda part: (cells[part].value, part), default=None if whole in hidden else whole)


def _is_safe(left_out: list[Cell], rules: Policy) -> bool:
    """Whether parts whose sum is known keep each other hidden.

    Someone who knows the rule knows that a sensitive one may be as little as 1 and as much as threshold - 1: that
    much must stay possible for each. Beside a large one that is hidden for its parties stands enough to blur it.
    """
    total, largest = sum(cell.value for cell in left_out), max(cell.value for cell in left_out)
    if len(left_out) < 2 or largest < rules.threshold or total < 2 * rules.threshold - 2 + len(left_out):
        return False
    of_parties = max((cell.value for cell in left_out if cell.is_sensitive), default=0)
    return total - of_parties >= (1 - rules.dominance) * of_parties


def _shown(sheet: Sheet, frame: pl.DataFrame, hidden: set[Key], rules: Policy) -> pl.DataFrame:
    columns = {}
    for count in sheet.counts:
        columns[count] = pl.Series(
            count,
            [
                None if (sheet.row(group), count) in hidden else rules.rounded(value)
                for group, value in frame.select(sheet.key, count).rows()
            ],
            pl.Int64,
        )
    return frame.select(sheet.key).with_columns(**columns)
