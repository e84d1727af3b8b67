"""Rows of later months, kept on disk as numbers until their month is written, so that memory stays bounded."""

from pathlib import Path

import numpy as np

from data.estate.rows import Rows, length


class Spill:
    """Rows of one extract, one file a month of commissioning, in the order of the month that they belong to."""

    def __init__(self, folder: Path, types: dict[str, str], month_starts: np.ndarray):
        self.folder, self.types, self.month_starts = folder, np.dtype(list(types.items())), month_starts
        folder.mkdir(parents=True)

    def keep(self, source: int, parts: list[Rows], time: str) -> None:
        size = sum(length(part) for part in parts)
        records = np.empty(size, self.types)
        for name in self.types.names:
            records[name] = np.concatenate([part[name] for part in parts]) if parts else 0
        month = (np.searchsorted(self.month_starts, records[time], side="right") - 1).astype(np.int16)
        order = np.argsort(month, kind="stable")
        np.save(self.folder / f"{source:03d}.npy", records[order])
        months = np.arange(len(self.month_starts) + 1)
        np.save(self.folder / f"{source:03d}-edges.npy", np.searchsorted(month[order], months))

    def of_month(self, month: int) -> Rows:
        parts = [
            np.load(self.folder / f"{source:03d}.npy", mmap_mode="r")[slice(*edges[month : month + 2])]
            for source, edges in self.edges()
            if edges[month] < edges[month + 1]
        ]
        records = np.concatenate(parts) if parts else np.empty(0, self.types)
        return {name: np.ascontiguousarray(records[name]) for name in self.types.names}

    def edges(self) -> list[tuple[int, np.ndarray]]:
        sources = sorted(int(path.name[:3]) for path in self.folder.glob("*-edges.npy"))
        return [(source, np.load(self.folder / f"{source:03d}-edges.npy")) for source in sources]
