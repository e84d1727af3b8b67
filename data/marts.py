"""Snapshots: a build's tables, published whole or not at all, and old ones kept.

    MARTS/CURRENT                     the number of the snapshot in use
    MARTS/snapshots/000001/           manifest.json and the Parquet files that it names
    MARTS/snapshots/000001/evidence/  the rows that verdicts rest on, by extract and bucket of Devices

A snapshot is written under a name of its own and renamed once it is complete; CURRENT is replaced last.
A reader takes CURRENT once and every file from that snapshot's manifest.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

FORMAT = 1
NUMBERED = re.compile(r"(?P<table>[a-z_]+)-\d{5}\.parquet")
EVIDENCE = "evidence"


class NoSnapshot(Exception):
    """There is no snapshot to read."""


class BuildUnderWay(Exception):
    """Another build holds the marts folder."""


@dataclass(frozen=True)
class Snapshot:
    """A published build; its files do not change."""

    folder: Path
    manifest: dict

    @property
    def number(self) -> int:
        return int(self.folder.name)

    def files(self, table: str) -> list[Path]:
        """The Parquet files of a table, in order; none when the snapshot has no such table."""
        return [self.folder / file["name"] for file in self.manifest["files"] if file["table"] == table]

    def evidence_files(self, name: str, bucket: int) -> list[Path]:
        """The files of one reduction (`attempts`, `cell_reads` ...) that hold the rows of a bucket of Devices."""
        found = self.files(f"{EVIDENCE}/{name}")
        return [file for file in found if file.parent.name == f"bucket={bucket}"]

    def frame(self, table: str) -> pl.DataFrame:
        """A small table whole."""
        return pl.read_parquet(self.files(table), glob=False)

    def rows(self, table: str) -> int:
        return sum(file["rows"] for file in self.manifest["files"] if file["table"] == table)


def current(marts: Path) -> Snapshot:
    """The snapshot in use; raises `NoSnapshot`."""
    pointer = marts / "CURRENT"
    if not pointer.is_file():
        raise NoSnapshot(f"{marts}: no snapshot has been published here; run pco build first")
    return _open(marts, pointer.read_text(encoding="ascii").strip())


def snapshots(marts: Path) -> list[Snapshot]:
    """Every snapshot kept, oldest first; one of which parts were removed or damaged is none."""
    kept = []
    for folder in _numbered(marts):
        with suppress(NoSnapshot):
            kept.append(_open(marts, folder.name))
    return kept


def _open(marts: Path, name: str) -> Snapshot:
    folder = marts / "snapshots" / name
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NoSnapshot(f"{folder}: the snapshot cannot be read ({error})") from error
    return Snapshot(folder, manifest)


def _numbered(marts: Path) -> list[Path]:
    root = marts / "snapshots"
    return sorted(root.glob("[0-9]" * 6)) if root.is_dir() else []


class Draft:
    """A snapshot being written; holds the marts folder's lock from enter to exit."""

    def __init__(self, marts: Path):
        self.marts = marts.absolute()
        self.work = self.marts / f".draft-{os.getpid()}"

    def __enter__(self) -> "Draft":
        self.marts.mkdir(parents=True, exist_ok=True)
        self._lock = (self.marts / "LOCK").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            raise BuildUnderWay(f"{self.marts}: another build is under way") from error
        # Whoever holds the lock is alone: any draft here was left by a build that died.
        for orphan in self.marts.glob(".draft-*"):
            shutil.rmtree(orphan, ignore_errors=True)
        (self.work / "tables").mkdir(parents=True)
        return self

    def __exit__(self, *exception) -> None:
        shutil.rmtree(self.work, ignore_errors=True)
        self._lock.close()

    def write(self, table: str, frame: pl.DataFrame, part: int = 0) -> None:
        frame.write_parquet(self._part(table, part), compression="zstd", compression_level=1)

    def _part(self, table: str, part: int) -> Path:
        return self.work / "tables" / f"{table}-{part:05d}.parquet"

    def keep_evidence(self, reduced: Path, names: Iterable[str]) -> None:
        """Takes the reductions as they are into the snapshot, for what it says of one Device."""
        for name in names:
            (self.work / "tables" / EVIDENCE).mkdir(exist_ok=True)
            (reduced / name).rename(self.work / "tables" / EVIDENCE / name)

    def publish(self, manifest: dict) -> Snapshot:
        """Makes the draft the snapshot in use, in one step for any reader."""
        earlier = _numbered(self.marts)
        name = f"{int(earlier[-1].name) + 1 if earlier else 1:06d}"
        tables = self.work / "tables"
        manifest = {
            "format": FORMAT,
            "snapshot": name,
            "parent": earlier[-1].name if earlier else None,
            **manifest,
            "files": [_described(path, tables) for path in sorted(tables.rglob("*.parquet"))],
        }
        _write_durably(tables / "manifest.json", json.dumps(manifest, indent=1))
        for folder in [*(path for path in tables.rglob("*") if path.is_dir()), tables]:
            _sync(folder)
        root = self.marts / "snapshots"
        root.mkdir(exist_ok=True)
        tables.rename(root / name)
        _sync(root)
        _write_durably(self.work / "CURRENT", name + "\n")
        (self.work / "CURRENT").replace(self.marts / "CURRENT")
        _sync(self.marts)
        return _open(self.marts, name)


def _described(path: Path, tables: Path) -> dict:
    name = path.relative_to(tables)
    table = NUMBERED.fullmatch(path.name)["table"] if len(name.parts) == 1 else "/".join(name.parts[:2])
    _sync(path)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "name": name.as_posix(),
        "table": table,
        "rows": pq.read_metadata(path).num_rows,
        "sha256": digest,
    }


def _write_durably(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
