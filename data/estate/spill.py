"""Rows of later months, kept on disk as numbers until their month is written, so that memory stays bounded."""

from pathlib import Path

import numpy as np

from data.estate.rows import Rows, length


class Spill:
    """Rows of one extract, one file a month of commissioning, in the order of the month that they belong to."""

    def __init__(self, folder: Path, types: dict[str, str], month_starts: np.ndarray):
        self.folder, self.types, self.month_starts = folder, np.dtype(list(types.items())), month_starts
        self.edges: dict[int, np.ndarray] = {}
        folder.mkdir(parents=True)

    def keep(self, source: int, parts: list[Rows], time: str) -> None:
        records = np.empty(sum(length(part) for part in parts), self.types)
        for name in self.types.names:
            records[name] = np.concatenate([part[name] for part in parts]) if parts else 0
        month = (np.searchsorted(self.month_starts, records[time], side="right") - 1).astype(np.int16)
        order = np.argsort(month, kind="stable")
        records[order].tofile(self.folder / str(source))
        self.edges[source] = np.searchsorted(month[order], np.arange(len(self.month_starts) + 1))

    def of_month(self, month: int) -> Rows:
        parts = [self.part(source, *edges[month : month + 2]) for source, edges in sorted(self.edges.items())]
        records = np.concatenate([np.empty(0, self.types), *parts])
        return {name: np.ascontiguousarray(records[name]) for name in self.types.names}

    def part(self, source: int, start: int, end: int) -> np.ndarray:
        if start == end:
            return np.empty(0, self.types)
        file = self.folder / str(source)
        return np.fromfile(file, self.types, count=end - start, offset=int(start) * self.types.itemsize)
