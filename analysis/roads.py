"""The Devices of a snapshot as two small numbers each, by which their roads are counted.

A page that asks which roads the selected Devices took would have to read and group a row a Device at each change of a
filter: two seconds at 10,000,000 Devices. Here rows are read once. Of kinds, by which Devices are selected, and of
ways, which are roads with all that is told of them, there are far fewer than Devices.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from analysis.numbered import is_selected, numbered
from analysis.selection import Selection
from data.codes import coded

MONTH = pl.col("commissioned_at").dt.strftime("%Y-%m").alias("commissioned_month")
KIND = ("device_type", "csp_region", "supplier_at_commissioning", "supplier", "network_operator")
MOST_WAITING = AT_ONCE = 1_000_000
WAY = ("pathway", "pathway_hours", "reported", "actual", "device_keys")


@dataclass(frozen=True)
class Roads:
    """kinds, ways: a row each, in the order of their numbers. kind, way: of each Device, its numbers (UInt32)."""

    kinds: pl.DataFrame
    ways: pl.DataFrame
    kind: np.ndarray = field(repr=False)
    way: np.ndarray = field(repr=False)

    def counted(self, selection: Selection) -> pl.DataFrame:
        """`WAY`, with codes for texts, a row a way that selected Devices went, and devices: how many of them."""
        conditions = selection.conditions()
        devices = self._devices(is_selected(self.kinds, conditions)) if conditions else self._all_devices
        return self.ways.with_columns(devices=devices).filter(pl.col("devices") > 0)

    @cached_property
    def _all_devices(self) -> pl.Series:
        return self._devices(np.ones(self.kinds.height, bool))

    def _devices(self, is_chosen: np.ndarray) -> pl.Series:
        """How many Devices of the chosen kinds went each way."""
        devices = np.zeros(self.ways.height, np.int64)
        # Some at a time: what is made on the way would be as large as the roads, for each reader.
        for first in range(0, len(self.way), AT_ONCE):
            part = slice(first, first + AT_ONCE)
            chosen = self.way[part][is_chosen[self.kind[part]]]
            devices += np.bincount(chosen, minlength=self.ways.height)
        return pl.Series(devices)


def roads(outcomes: Iterable[Path]) -> Roads:
    """The roads of the files of a snapshot's outcomes: eight bytes a Device, and one file while it is read."""
    kinds, ways = _Numbered(), _Numbered()
    for file in outcomes:
        rows = pl.read_parquet(file, columns=["commissioned_at", *KIND, *WAY], glob=False)
        kinds.add(rows.select(pl.col("commissioned_at").dt.truncate("1mo"), *KIND))
        ways.add(rows.select(WAY))
    of_kind, kind = kinds.all()
    of_way, way = ways.all()
    return Roads(coded(of_kind.select(MONTH, *KIND)), coded(of_way), kind, way)


class _Numbered:
    """Rows told apart, each with a number, and the numbers of all rows."""

    def __init__(self) -> None:
        self._known = pl.DataFrame()
        self._numbers: list[np.ndarray] = []
        # The different rows of parts, which other parts may have too, and of each row its place among them.
        self._waiting: list[tuple[pl.DataFrame, np.ndarray]] = []

    def add(self, rows: pl.DataFrame) -> None:
        self._waiting.append(numbered(rows))
        # What is known is gone through each time.
        if sum(known.height for known, _ in self._waiting) > max(MOST_WAITING, self._known.height):
            self._settle()

    def _settle(self) -> None:
        parts = [self._known, *(known for known, _ in self._waiting)]
        # What is known comes first, and so keeps its numbers.
        self._known, numbers = numbered(pl.concat(part for part in parts if part.width))
        ends = np.cumsum([part.height for part in parts])
        for (_, of_rows), of_known in zip(self._waiting, np.split(numbers, ends[:-1])[1:], strict=True):
            self._numbers.append(of_known[of_rows])
        self._waiting = []

    def all(self) -> tuple[pl.DataFrame, np.ndarray]:
        self._settle()
        numbers, filled = np.empty(sum(map(len, self._numbers)), np.uint32), 0
        # Each part goes once it is taken: together they are as large as the whole.
        while self._numbers:
            part = self._numbers.pop(0)
            numbers[filled : filled + len(part)] = part
            filled += len(part)
        return self._known, numbers
