"""Devices counted by how they stand, for any selection: what a page makes its figures of.

The counts have a row a kind of Device and standing: 1,600,000 at 10,000,000 Devices, and a page asks several questions
of those selected. Of standings there are some thousands, whatever the estate: counted by them and by what a question
groups by, a few ten thousand rows are left.
"""

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from analysis.counts import COUNTED_BY
from analysis.numbered import is_selected, numbered
from analysis.selection import Selection

STANDING = ("reported", "actual", "finding", "device_keys", "cause", "causes", "unmet", "signature")
KIND = tuple(column for column in COUNTED_BY if column not in STANDING)


@dataclass(frozen=True)
class Standings:
    """kinds, standings: a row each, in the order of their numbers. kind, standing, devices: a place a row of counts."""

    kinds: pl.DataFrame
    standings: pl.DataFrame
    kind: np.ndarray = field(repr=False)
    standing: np.ndarray = field(repr=False)
    devices: np.ndarray = field(repr=False)
    _groups: dict[tuple[str, ...], tuple[pl.DataFrame, np.ndarray]] = field(default_factory=dict, repr=False)

    def counted(self, selection: Selection, *by: str) -> pl.DataFrame:
        """Counts of the selected Devices: the columns `by` (of `KIND`), `STANDING` and devices."""
        kind, standing, devices = self.kind, self.standing, self.devices
        if conditions := selection.conditions():
            chosen = is_selected(self.kinds, conditions)[kind]
            kind, standing, devices = kind[chosen], standing[chosen], devices[chosen]
        groups, group = self._grouped(by)
        found = pl.DataFrame({"group": group[kind], "standing": standing, "devices": devices})
        found = found.group_by("group", "standing").agg(pl.col("devices").sum()).sort("group", "standing")
        parts = [groups[found["group"]], self.standings[found["standing"]], found.select("devices")]
        return pl.concat(parts, how="horizontal")

    def _grouped(self, by: tuple[str, ...]) -> tuple[pl.DataFrame, np.ndarray]:
        """The different values of these columns, and of each kind its place among them."""
        if not by:
            return pl.DataFrame(height=1), np.zeros(self.kinds.height, np.uint32)
        if by not in self._groups:
            self._groups[by] = numbered(self.kinds.select(by))
        return self._groups[by]


def standings(counts: pl.DataFrame) -> Standings:
    """Of the `counts` of a snapshot."""
    kinds, kind = numbered(counts.select(KIND))
    of_devices, standing = numbered(counts.select(STANDING))
    return Standings(kinds, of_devices, kind, standing, counts["devices"].to_numpy())
