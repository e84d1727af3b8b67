"""The demonstration estate: extracts in one folder, the planted truth in another beside it."""

import json
import os
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from data.estate import cells, changes, checks, flaws, inventory, pathway, premises, write
from data.estate.growth import MOST_MONTHS, Block, blocks_by_month, month_names, month_starts_ms
from data.estate.rows import Rows, chosen, length, together
from data.estate.spill import Spill

MARKER = "DEMONSTRATION.json"
TRUTH = "planted_truth"
PARTIAL = ".partial"
# More would not fit in 2 GiB together.
MOST_WORKERS = 4

# Extracts in month folders: the time that says which, their columns as numbers, and how they become a table.
MONTHLY = {
    "service_responses": ("sent", pathway.RESPONSES, write.service_responses),
    "dsp_checks": ("checked", checks.CHECKS, write.dsp_checks),
    "credential_reads": ("read", cells.READS, write.credential_reads),
}


@dataclass
class EstateSummary:
    """What was written. rows: by extract, and `planted_truth`."""

    extracts: Path
    truth: Path
    devices: int
    seed: int
    months: int
    rows: dict[str, int] = field(default_factory=dict)


def generate(
    out: Path,
    devices: int = 300_000,
    seed: int = 1,
    months: int = MOST_MONTHS,
    progress: Callable[[int, int], None] | None = None,
) -> EstateSummary:
    """Writes the estate into `out`, and its planted truth into the folder `<out>-truth` beside it.

    `out` must be new, empty, or an earlier demonstration estate, which it replaces.
    """
    out = Path(out).absolute()
    if not 1 <= months <= MOST_MONTHS:
        raise ValueError(f"months must be 1 to {MOST_MONTHS}, not {months}")
    if devices < 1 or seed < 0:
        raise ValueError("devices must be 1 or more, and seed 0 or more")
    truth = out.with_name(f"{out.name}-truth")
    refuse_to_overwrite(out, truth)
    partial = out / PARTIAL
    shutil.rmtree(partial, ignore_errors=True)
    try:
        rows = Estate(partial, devices, seed, months, progress or (lambda done, total: None)).write()
        write_marker(partial / "extracts" / MARKER, devices, seed, months)
        replace(truth, partial / "truth")
        replace(out, partial / "extracts")
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return EstateSummary(out, truth, devices, seed, months, dict(sorted(rows.items())))


def refuse_to_overwrite(out: Path, truth: Path) -> None:
    """Only what an earlier call wrote, or left behind, is ever removed."""
    if (found := names_in(out) - {PARTIAL}) and MARKER not in found:
        raise FileExistsError(f"{out} is not empty and is no demonstration estate")
    if any(not name.startswith(TRUTH) for name in names_in(truth)):
        raise FileExistsError(f"{truth} is not empty and is no planted truth")


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def write_marker(path: Path, devices: int, seed: int, months: int) -> None:
    names = month_names(months)
    marker = {
        "what": "Demonstration estate: synthetic data, no real Device, person or party",
        "devices": devices,
        "seed": seed,
        "months": months,
        "first_month": names[0],
        "last_month": names[-1],
    }
    path.write_text(json.dumps(marker, indent=2) + "\n")


def replace(target: Path, made: Path) -> None:
    """Fills the folder anew; it may be a mount point, so it stays the folder that it is."""
    target.mkdir(parents=True, exist_ok=True)
    for path in target.iterdir():
        if path.is_dir() and path.name != PARTIAL:
            shutil.rmtree(path)
        elif path.is_file():
            path.unlink()
    # The marker sorts before the extracts, and comes last: without it the folder is no estate.
    for path in sorted(made.iterdir(), reverse=True):
        shutil.move(path, target / path.name)


class Estate:
    def __init__(self, folder: Path, devices: int, seed: int, months: int, progress: Callable[[int, int], None]):
        self.extracts, self.truth = folder / "extracts", folder / "truth"
        self.devices, self.seed, self.months = devices, seed, months
        self.text = write.Texts(seed)
        self.month_starts = month_starts_ms(months)
        self.month_names = month_names(months)
        self.spills = {
            extract: Spill(folder / "later" / extract, types, self.month_starts)
            for extract, (_, types, _) in MONTHLY.items()
        }
        self.later = folder / "later"
        self.progress, self.done, self.lock = progress, 0, threading.Lock()
        self.rows = Counter()

    @property
    def horizon(self) -> int:
        return int(self.month_starts[-1])

    def write(self) -> Counter:
        self.append_once("parties", "part-0", write.party_table(self.text))
        certificates = write.certificates(inventory.party_certificates(), self.text)
        self.append_once("certificates", "part-parties", certificates)
        # The longest months first, so that no worker waits at the end for one of them.
        planned = sorted(blocks_by_month(self.devices, self.months), key=lambda blocks: -sum(b.devices for b in blocks))
        # Threads suffice: numpy and the Parquet writer do their work outside the interpreter's lock.
        with ThreadPoolExecutor(min(MOST_WORKERS, os.cpu_count() or 1)) as workers:
            wait_for_all(workers, self.write_month, planned)
            wait_for_all(workers, self.write_later, range(self.months))
        shutil.rmtree(self.later)
        self.write_what_is_empty()
        return self.rows

    def write_what_is_empty(self) -> None:
        """An estate of a few Devices may have no row of an extract, which must be there all the same."""
        for extract, (_, types, as_table) in MONTHLY.items():
            if not self.rows[extract]:
                path = self.month_file(extract, self.months - 1, "part-0")
                writers = {}
                write.append(writers, path, as_table(together([], types), self.text))
                self.finish(writers, Counter())

    def append_once(self, extract: str, name: str, table: pa.Table) -> None:
        writers = {}
        write.append(writers, self.extracts / extract / f"{name}.parquet", table)
        self.finish(writers, Counter({extract: table.num_rows}))

    def finish(self, writers: dict, rows: Counter) -> None:
        for writer in writers.values():
            writer.close()
        with self.lock:
            self.rows += rows

    def write_month(self, blocks: list[Block]) -> None:
        month = blocks[0].month
        files = Files(self, month)
        for number, block in enumerate(blocks):
            if block.devices:
                # SFC64 draws a third faster than the default generator.
                rng = np.random.Generator(np.random.SFC64([self.seed, month, number]))
                self.write_block(files, block, rng)
                self.report(block.devices)
        files.close()

    def report(self, devices: int) -> None:
        with self.lock:
            self.done += devices
            self.progress(self.done, self.devices)

    def write_block(self, files: "Files", block: Block, rng: np.random.Generator) -> None:
        start, end = self.month_starts[block.month : block.month + 2]
        devices = premises.settle(rng, block, int(start), int(end), self.horizon)
        path = pathway.walk(rng, devices, block.month, self.horizon)
        changed = changes.change_suppliers(rng, devices, self.horizon)
        held = cells.hold(rng, devices, path, changed, block.month)
        checked = checks.check(rng, devices, held.recovery_empty, block.month, self.horizon)
        files.monthly(rng, block, "service_responses", [*path.parts, changed.rows])
        files.monthly(rng, block, "dsp_checks", checked.parts)
        reads = cells.read(rng, devices, path, changed, held, block.month, self.horizon)
        files.monthly(rng, block, "credential_reads", reads)
        files.whole(rng, block, "registrations", changes.registrations(rng, devices), write.registrations)
        files.whole(rng, block, "devices", inventory.device_rows(rng, devices), write.devices)
        files.whole(rng, block, "certificates", inventory.device_certificates(devices, held), write.certificates)
        incidents = checks.incidents(rng, devices, path, checked, self.horizon)
        files.whole(rng, block, "incidents", incidents, write.incidents)
        files.truth(inventory.truth(devices, held, self.text))

    def write_later(self, month: int) -> None:
        """Rows of a month about Devices commissioned before it."""
        writers, counted = {}, Counter()
        for extract, (_, _, as_table) in MONTHLY.items():
            rows = self.spills[extract].of_month(month)
            if length(rows):
                write.append(writers, self.month_file(extract, month, "part-1"), as_table(rows, self.text))
                counted[extract] += length(rows)
        self.finish(writers, counted)

    def month_file(self, extract: str, month: int, name: str) -> Path:
        return self.extracts / extract / f"month={self.month_names[month]}" / f"{name}.parquet"


def wait_for_all(workers: ThreadPoolExecutor, work: Callable, items: Iterable) -> None:
    """On an error or an interrupt, what has not begun never will."""
    try:
        for future in [workers.submit(work, item) for item in items]:
            future.result()
    except BaseException:
        workers.shutdown(cancel_futures=True)
        raise


class Files:
    """What the blocks of one month write: a row group each of that month's files, and the rows kept for later."""

    def __init__(self, estate: Estate, month: int):
        self.estate, self.month = estate, month
        self.writers, self.counted = {}, Counter()
        self.later: dict[str, list[Rows]] = {extract: [] for extract in MONTHLY}

    def monthly(self, rng: np.random.Generator, block: Block, extract: str, parts: list[Rows]) -> None:
        time, types, as_table = MONTHLY[extract]
        end = self.estate.month_starts[self.month + 1]
        parts = [numbered(part, block) for part in parts]
        self.later[extract] += [chosen(part, np.flatnonzero(part[time] >= end)) for part in parts]
        rows = together([chosen(part, np.flatnonzero(part[time] < end)) for part in parts], types)
        path = self.estate.month_file(extract, self.month, "part-0")
        self.add(rng, extract, path, as_table(rows, self.estate.text))

    def whole(self, rng, block: Block, extract: str, rows: Rows, as_table) -> None:
        path = self.estate.extracts / extract / f"part-{self.estate.month_names[self.month]}.parquet"
        self.add(rng, extract, path, as_table(numbered(rows, block), self.estate.text))

    def add(self, rng: np.random.Generator, extract: str, path: Path, table: pa.Table) -> None:
        flawed = flaws.flawed(rng, extract, table)
        for each in (table, flawed):
            if each.num_rows:
                write.append(self.writers, path, each)
                self.counted[extract] += each.num_rows

    def truth(self, table: pa.Table) -> None:
        name = f"{TRUTH}-{self.estate.month_names[self.month]}.parquet"
        write.append(self.writers, self.estate.truth / name, table)
        self.counted[TRUTH] += table.num_rows

    def close(self) -> None:
        for extract, (time, _, _) in MONTHLY.items():
            self.estate.spills[extract].keep(self.month, self.later[extract], time)
        self.estate.finish(self.writers, self.counted)


def numbered(rows: Rows, block: Block) -> Rows:
    """Places in the block become the Devices' numbers."""
    if "device" not in rows:
        return rows
    return rows | {"device": rows["device"] + np.int32(block.first)}
