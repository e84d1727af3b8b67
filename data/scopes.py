"""A scope is a snapshot with fewer rows: a sealed folder, made once, which holds what one kind of reader may see.

    SCOPES/000001-0123456789abcdef/aggregates/000001/   manifest.json and the Parquet files that it names

The first name is the published snapshot's number and a digest of its manifest and of the rules by which scopes are
made: another snapshot, or other rules, are another folder. A folder is written under a name of its own and renamed
once it is whole; its files are read-only. Who can read one scope's folder reaches no row of another's.
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from data.marts import Snapshot

FORMAT = 1
WHOLE, PARTY, AGGREGATES, OPERATOR = KINDS = ("all", "party", "aggregates", "operator")
# What stands in a scope's files of the published snapshot's manifest for anyone but an operator.
KEPT_OF_MANIFEST = (
    "format",
    "snapshot",
    "parent",
    "as_at",
    "as_at_is_given",
    "grace_days",
    "most_quarantined",
    "build_started_at",
    "build_finished_at",
    "is_demonstration",
)
Tables = Iterable[tuple[str, pl.DataFrame]]


class ScopeDamaged(Exception):
    """A sealed folder is not as it was written."""


@dataclass(frozen=True)
class Scope:
    """What a reader may reach; `party` is the party's id, for that kind alone."""

    kind: str
    party: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS or (self.kind == PARTY) != bool(self.party):
            raise ValueError(f"no such scope: {self.kind}, party {self.party!r}")

    @property
    def key(self) -> str:
        """A name for files and folders; the party's id, which may hold anything, by its digest."""
        return f"party-{hashlib.sha256(self.party.encode()).hexdigest()[:16]}" if self.party else self.kind

    @property
    def in_words(self) -> str:
        return {
            WHOLE: "all parties, all Devices",
            PARTY: f"Devices of party {self.party}; other parties not named",
            AGGREGATES: "aggregates through the disclosure policy; no Devices, no parties",
            OPERATOR: "build status and quarantined rows",
        }[self.kind]


ALL = Scope(WHOLE)


class Sealed(Snapshot):
    """A snapshot of one scope; it knows how many Devices it speaks of where it holds none of them."""

    def rows(self, table: str) -> int:
        return super().rows(table) or (self.manifest.get("devices", 0) if table == "outcomes" else 0)


def scope_key(snapshot: Snapshot) -> str:
    """The scope of a snapshot, for names of files; that of a published one is all."""
    return snapshot.manifest.get("scope", {}).get("key", WHOLE)


def scope_in_words(snapshot: Snapshot) -> str:
    return snapshot.manifest.get("scope", {}).get("in_words", ALL.in_words)


def sealed(
    snapshot: Snapshot, scope: Scope, root: Path, rules: str, make: Callable[[], tuple[Tables, dict]]
) -> Snapshot:
    """The scope's folder of a published snapshot, made now if there is none.

    rules: whatever else decides what is in it. make: its tables, a name and a frame for each file, and what its
    manifest tells besides.
    """
    if scope == ALL:
        return snapshot
    home = root / f"{snapshot.folder.name}-{_digest(snapshot, rules)}"
    folder = home / scope.key / snapshot.folder.name
    if not (folder / "manifest.json").is_file():
        home.mkdir(parents=True, exist_ok=True)
        with _alone(home / f".{scope.key}.lock"):
            if not (folder / "manifest.json").is_file():
                _write(snapshot, scope, home, make)
    return _opened(folder)


def _digest(snapshot: Snapshot, rules: str) -> str:
    told = json.dumps([FORMAT, rules, snapshot.manifest], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _write(snapshot: Snapshot, scope: Scope, home: Path, make: Callable[[], tuple[Tables, dict]]) -> None:
    draft, place = home / f".draft-{scope.key}", home / scope.key
    # Whoever holds the lock is alone: what is here was left by a process that died.
    for orphan in (draft, place):
        _remove(orphan)
    folder = draft / snapshot.folder.name
    folder.mkdir(parents=True)
    try:
        tables, told = make()
        parts: dict[str, int] = {}
        for table, frame in tables:
            number = parts[table] = parts.get(table, -1) + 1
            frame.write_parquet(folder / f"{table}-{number:05d}.parquet", compression="zstd", compression_level=1)
        manifest = {
            **{name: snapshot.manifest[name] for name in KEPT_OF_MANIFEST if name in snapshot.manifest},
            # Pages tell of these; only an operator's manifest has more than their places.
            "extracts": {},
            "ignored_in_extracts": [],
            **told,
            "scope": {"kind": scope.kind, "key": scope.key, "in_words": scope.in_words},
            "files": [_described(file) for file in sorted(folder.glob("*.parquet"))],
        }
        (folder / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        _seal(folder)
        draft.rename(place)
        _sync(home)
    except BaseException:
        _remove(draft)
        raise


def _described(file: Path) -> dict:
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    rows = pq.read_metadata(file).num_rows
    return {"name": file.name, "table": file.name.rsplit("-", 1)[0], "rows": rows, "sha256": digest}


def _seal(folder: Path) -> None:
    for file in folder.iterdir():
        _sync(file)
        file.chmod(0o400)
    _sync(folder)
    folder.chmod(0o500)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _opened(folder: Path) -> Sealed:
    """The folder as its manifest has it; raises `ScopeDamaged` where a file is not what was sealed."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    for file in manifest["files"]:
        path = folder / file["name"]
        if not path.is_file() or _described(path)["sha256"] != file["sha256"]:
            raise ScopeDamaged(f"{path}: not as it was sealed")
    return Sealed(folder, manifest)


def prune(root: Path, kept: Iterable[Snapshot]) -> list[str]:
    """Removes the scopes of snapshots that are no longer kept, and names them."""
    names = {snapshot.folder.name for snapshot in kept}
    gone = [home for home in sorted(root.glob("*-*")) if home.is_dir() and home.name.split("-")[0] not in names]
    for home in gone:
        _remove(home)
    return [home.name for home in gone]


def _remove(folder: Path) -> None:
    """A sealed folder lets nothing be taken out of it until it is unsealed."""
    if not folder.exists():
        return
    for path in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        path.chmod(0o700)
    shutil.rmtree(folder)
