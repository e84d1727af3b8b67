"""How many Devices are commissioned in each month."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

DAY_MS = 86_400_000
GROWTH = tomllib.loads(Path(__file__).with_name("growth.toml").read_text())
MOST_MONTHS = len(GROWTH["meters_thousand"])
# Bounds the memory of a worker; a block is one row group of each file.
MOST_DEVICES_A_BLOCK = 100_000


@dataclass(frozen=True)
class Block:
    """Devices commissioned in one month, numbered from `first`."""

    month: int
    first: int
    devices: int


def month_names(months: int) -> list[str]:
    return [str(month) for month in np.datetime64(GROWTH["first_month"], "M") + np.arange(months)]


def month_number(name: str) -> int:
    return int((np.datetime64(name, "M") - np.datetime64(GROWTH["first_month"], "M")).astype(int))


def month_starts_ms(months: int) -> np.ndarray:
    """Start of each month and, last, the end of the final one."""
    starts = np.datetime64(GROWTH["first_month"], "M") + np.arange(months + 1)
    return starts.astype("datetime64[ms]").astype(np.int64)


def devices_by_month(devices: int, months: int) -> np.ndarray:
    meters = np.cumsum(GROWTH["meters_thousand"][:months])
    totals = np.floor(devices * meters / meters[-1] + 0.5).astype(np.int64)
    return np.diff(totals, prepend=0)


def blocks_by_month(devices: int, months: int) -> list[list[Block]]:
    first, planned = 0, []
    for month, count in enumerate(devices_by_month(devices, months)):
        parts = max(1, -(-int(count) // MOST_DEVICES_A_BLOCK))
        sizes = np.diff(np.linspace(0, count, parts + 1).astype(np.int64))
        planned.append([])
        for size in sizes:
            planned[-1].append(Block(month, first, int(size)))
            first += int(size)
    return planned
