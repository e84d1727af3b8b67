"""Rows before they are text: columns of numbers, -1 for a null code and NEVER for a null time."""

from dataclasses import dataclass, field

import numpy as np

Rows = dict[str, np.ndarray]


@dataclass
class Gathered:
    """Rows of one extract that come a few at a time, with the type of every column."""

    types: dict[str, str]
    parts: list[Rows] = field(default_factory=list)

    def add(self, **columns) -> None:
        size = len(columns["device"])
        self.parts.append(
            {name: np.broadcast_to(np.asarray(columns[name], dtype), size) for name, dtype in self.types.items()}
        )

    def rows(self) -> Rows:
        return together(self.parts, self.types)


def together(parts: list[Rows], types: dict[str, str]) -> Rows:
    return {
        name: np.concatenate([part[name] for part in parts]) if parts else np.empty(0, dtype)
        for name, dtype in types.items()
    }


def chosen(rows: Rows, which: np.ndarray) -> Rows:
    """The rows at these places."""
    return {name: column[which] for name, column in rows.items()}


def length(rows: Rows) -> int:
    return len(next(iter(rows.values())))
