"""Snapshots: a build's tables, published whole or not at all, and old ones kept.

    MARTS/CURRENT                     the number of the snapshot in use; below it what tells damage to these few bytes
    MARTS/snapshots/000001/           manifest.json, its digest, and the Parquet files that it names
    MARTS/snapshots/000001/evidence/  the rows that verdicts rest on, by extract; the bytes are those of MARTS/partials

A snapshot is written under a name of its own and renamed once it is complete; CURRENT is replaced last. A reader takes
CURRENT once and every file from that snapshot's manifest. `data/keeping.py` lists, verifies and removes old snapshots.

What is verified when, so that opening is quick at any size: on opening, the manifest's digest, the presence and size of
every file and, of the snapshot in use, the digest of every table but the two large ones. `outcomes` and evidence: their
digests when they are first asked for. A digest is computed once a process and file, and again when the file's size,
time or place on disk is another. Damage raises `SnapshotDamaged`; nothing is read of a damaged file.
"""

import fcntl
import hashlib
import json
import logging
import os
import re
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from weakref import WeakValueDictionary

import polars as pl
import pyarrow.parquet as pq

from data.codes import in_text

# 2: the manifest has a digest of its own, and says each file's size.
FORMAT = 2
NUMBERED = re.compile(r"(?P<table>[a-z_]+)-\d{5}\.parquet")
# The number in use; then the greatest that was ever published, and a digest of both. The first may stand alone.
POINTER = re.compile(r"(\d{6})\n?|(\d{6})\n(\d{6}) ([0-9a-f]{16})\n", re.ASCII)
EVIDENCE, OUTCOMES = "evidence", "outcomes"
ASK = "ask the operator to run `pco snapshots verify`"

log = logging.getLogger(__name__)
_opening, _checking = threading.Lock(), threading.Lock()
_opened: "WeakValueDictionary[tuple, Snapshot]" = WeakValueDictionary()
_checked: dict[str, tuple] = {}
_told: set[str] = set()


class NoSnapshot(Exception):
    """There is no snapshot to read."""


class SnapshotDamaged(NoSnapshot):
    """Something of a snapshot is gone or is not as it was written."""

    def __init__(self, folder: Path, what: str):
        super().__init__(f"{folder}: the snapshot is damaged ({what}); {ASK}")
        self.what = what


class BuildUnderWay(Exception):
    """Another build holds the marts folder."""


class Hold:
    """A reader's shared lock on a snapshot's folder: as long as it lives no other process removes the snapshot."""

    def __init__(self, folder: Path):
        self.folder, self._descriptor = folder, os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            del self._descriptor
            raise
        except OSError:
            # A file system without locks: what is read is verified all the same.
            pass

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            os.close(self._descriptor)

    def __reduce__(self) -> tuple:
        return Hold, (self.folder,)


@dataclass(frozen=True)
class Snapshot:
    """A published build; its files do not change, and are not removed as long as this object lives.

    instead_of: why the snapshot in use is not read; None for the snapshot in use itself.
    """

    folder: Path
    manifest: dict
    instead_of: str | None = None
    held: Hold | None = field(default=None, compare=False, repr=False)

    @property
    def number(self) -> int:
        return int(self.folder.name)

    @cached_property
    def _tables(self) -> dict[str, list[dict]]:
        tables: dict[str, list[dict]] = {}
        for file in self.manifest["files"]:
            tables.setdefault(file["table"], []).append(file)
        return tables

    @cached_property
    def files_by_name(self) -> dict[str, dict]:
        """What the manifest says of each file, by its name below the folder."""
        return {file["name"]: file for file in self.manifest["files"]}

    def files(self, table: str) -> list[Path]:
        """The Parquet files of a table, each verified, in order; none when the snapshot has no such table."""
        return [self._found(file) for file in self._tables.get(table, [])]

    def part(self, table: str, number: int) -> Path:
        """One file of a table of several, verified; the others are not looked at."""
        return self._found(self.files_by_name[_part_name(table, number)])

    def evidence_files(self, name: str) -> list[Path]:
        """The files of one reduction (`attempts`, `cell_reads` ...), each verified."""
        return self.files(f"{EVIDENCE}/{name}")

    def evidence_places(self, name: str) -> list[Path]:
        """Where the files of one reduction are, without a look at them."""
        return [self.folder / file["name"] for file in self._tables.get(f"{EVIDENCE}/{name}", [])]

    def frame(self, table: str) -> pl.DataFrame:
        """A small table whole."""
        return self.scan(table).collect()

    def scan(self, table: str) -> pl.LazyFrame:
        """A table, to be read as far as is asked; its texts are texts."""
        return in_text(pl.scan_parquet(self.files(table), glob=False))

    def rows(self, table: str) -> int:
        return sum(file["rows"] for file in self._tables.get(table, []))

    def verify(self, *, small: bool = False) -> None:
        """Verifies every file, or only the tables that are read whole; raises `SnapshotDamaged`."""
        for file in self.manifest["files"]:
            if not small or not (file["table"] == OUTCOMES or _is_evidence(file)):
                self._found(file)

    def damage(self) -> list[str]:
        """What is wrong with each file that is damaged."""
        found = []
        for file in self.manifest["files"]:
            try:
                self._found(file)
            except SnapshotDamaged as damaged:
                found.append(damaged.what)
        return found

    def _found(self, file: dict) -> Path:
        path = self.folder / file["name"]
        try:
            _verify(path, file["sha256"])
        except OSError as error:
            raise SnapshotDamaged(self.folder, f"{file['name']}: {error.strerror}") from error
        except ValueError as error:
            raise SnapshotDamaged(self.folder, f"{file['name']} {error}") from error
        return path


def _part_name(table: str, number: int) -> str:
    return f"{table}-{number:05d}.parquet"


def _is_evidence(file: dict) -> bool:
    return file["table"].startswith(f"{EVIDENCE}/")


def _verify(path: Path, sha256: str) -> None:
    """Computes the file's digest, once as long as the file is the same; raises OSError, or ValueError if it differs."""
    known = (*_identity(path), sha256)
    if _checked.get(str(path)) == known:
        return
    with _checking:
        if _checked.get(str(path)) != known:
            if digest_of(path) != sha256:
                raise ValueError("is not as it was written")
            _checked[str(path)] = known


def _identity(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- which snapshot -----------------------------------------------------------------------------------------


def current(marts: Path) -> Snapshot:
    """The snapshot in use; raises `NoSnapshot`.

    If it is damaged, the one before it that is not, and if CURRENT cannot be read, the newest: `instead_of` says why,
    and so does the log.
    """
    while True:
        pointer = _pointer(marts)
        try:
            if pointer is None:
                raise NoSnapshot(f"{marts}: CURRENT names no snapshot; {ASK}")
            snapshot = opened(marts / "snapshots" / pointer[0])
            snapshot.verify(small=True)
            return snapshot
        except NoSnapshot as error:
            # A publisher may have moved CURRENT on, and removed what it named.
            if _pointer(marts) == pointer:
                return _in_place_of(marts, pointer, error)


def _in_place_of(marts: Path, pointer: tuple[str, str] | None, error: NoSnapshot) -> Snapshot:
    folders = numbered(marts)
    for folder in reversed(folders):
        if pointer is None or folder.name < pointer[0]:
            with suppress(NoSnapshot):
                found = opened(folder)
                found.verify(small=True)
                why = f"{error}; snapshot {found.number} is read in its place"
                if why not in _told:
                    _told.add(why)
                    log.warning("%s", why)
                return replace(found, instead_of=why)
    if pointer is None and not folders:
        raise NoSnapshot(f"{marts}: no snapshot has been published here; run pco build first")
    raise error


def snapshots(marts: Path) -> list[Snapshot]:
    """Every snapshot kept, oldest first; one of which parts were removed or damaged is none."""
    kept = []
    for folder in published(marts):
        with suppress(NoSnapshot):
            kept.append(opened(folder))
    return kept


def in_use(marts: Path) -> str | None:
    """The name of the snapshot that CURRENT names, damaged or not."""
    pointer = _pointer(marts)
    return pointer[0] if pointer else None


def _pointer(marts: Path) -> tuple[str, str | None] | None:
    """(the number in use, the greatest that was published if it is told), or None if CURRENT cannot be believed."""
    try:
        found = POINTER.fullmatch((marts / "CURRENT").read_bytes().decode("ascii"))
    except (OSError, UnicodeDecodeError):
        return None
    if found is None or found[1]:
        return (found[1], None) if found else None
    return (found[2], found[3]) if found[0].encode() == _pointing_at(found[2], found[3]) else None


def _pointing_at(name: str, greatest: str) -> bytes:
    return f"{name}\n{greatest} {hashlib.sha256(f'{name} {greatest}'.encode()).hexdigest()[:16]}\n".encode()


def published(marts: Path) -> list[Path]:
    """The folders of snapshots, oldest first, without one whose build died before it was put to use."""
    pointer = _pointer(marts)
    greatest = pointer[1] if pointer else None
    return [folder for folder in numbered(marts) if greatest is None or folder.name <= greatest]


def numbered(marts: Path) -> list[Path]:
    root = marts / "snapshots"
    return sorted(root.glob("[0-9]" * 6)) if root.is_dir() else []


def opened(folder: Path) -> Snapshot:
    """The snapshot in a folder, with its manifest and the size of every file verified; raises `SnapshotDamaged`."""
    try:
        key = (str(folder), *_identity(folder / "manifest.json"))
        with _opening:
            found = _opened.get(key)
            if found is None:
                _opened[key] = found = _open(folder)
            return found
    except OSError as error:
        raise SnapshotDamaged(folder, f"cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise SnapshotDamaged(folder, f"manifest.json: {error}") from error


def _open(folder: Path) -> Snapshot:
    held = Hold(folder)
    text = (folder / "manifest.json").read_bytes()
    sealed = (folder / "manifest.sha256").exists()
    if sealed and (folder / "manifest.sha256").read_bytes() != _seal(text):
        raise SnapshotDamaged(folder, "manifest.json is not as it was written")
    manifest = json.loads(text)
    if manifest["format"] != 1 and not sealed:
        raise SnapshotDamaged(folder, "manifest.sha256 is missing")
    if manifest["format"] > FORMAT:
        raise SnapshotDamaged(folder, f"its format {manifest['format']} is of a later version of pco")
    if manifest["snapshot"] != folder.name:
        raise SnapshotDamaged(folder, f"its manifest is that of snapshot {manifest['snapshot']}")
    for file in manifest["files"]:
        name = PurePosixPath(file["name"])
        if name.is_absolute() or ".." in name.parts:
            raise SnapshotDamaged(folder, f"its manifest names {name}")
        try:
            found = (folder / name).lstat()
        except OSError as error:
            raise SnapshotDamaged(folder, f"{name}: {error.strerror}") from error
        if not stat.S_ISREG(found.st_mode):
            raise SnapshotDamaged(folder, f"{name} is no file")
        if found.st_size != file.get("bytes", found.st_size):
            raise SnapshotDamaged(folder, f"{name} has {found.st_size:,} bytes and not {file['bytes']:,}")
    return Snapshot(folder, manifest, held=held)


def _seal(manifest: bytes) -> bytes:
    """In the form that `sha256sum --check` reads."""
    return f"{hashlib.sha256(manifest).hexdigest()}  manifest.json\n".encode()


def seal(folder: Path) -> None:
    """Writes the digest of a folder's manifest.json beside it."""
    write_durably(folder / "manifest.sha256", _seal((folder / "manifest.json").read_bytes()))


# --- publishing ---------------------------------------------------------------------------------------------


@contextmanager
def locked(marts: Path) -> Iterator[None]:
    """Holds the marts folder alone; raises `BuildUnderWay`."""
    with (marts / "LOCK").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BuildUnderWay(f"{marts}: another build is under way") from error
        # Whoever holds the lock is alone: any draft here was left by a build that died.
        _remove_orphans(marts)
        yield


def _remove_orphans(marts: Path) -> None:
    """Drafts and removals that were not finished, and a snapshot that never came into use."""
    for pattern in (".draft-*", ".removed-*"):
        for orphan in marts.glob(pattern):
            shutil.rmtree(orphan, ignore_errors=True)
    for folder in sorted(set(numbered(marts)) - set(published(marts))):
        remove(marts, folder)


def remove(marts: Path, folder: Path) -> None:
    """Takes a snapshot away in one step for any reader, then deletes it; the lock is held."""
    away = marts / f".removed-{folder.name}-{os.getpid()}"
    folder.rename(away)
    sync(folder.parent)
    shutil.rmtree(away, ignore_errors=True)


def put_to_use(marts: Path, name: str, work: Path, greatest: str = "") -> None:
    """Makes CURRENT name a snapshot that is in place; `work` is a folder for the new CURRENT. The lock is held.

    greatest: a number that was published, if not here.
    """
    write_durably(work / "CURRENT", _pointing_at(name, max(name, greatest, _greatest(marts))))
    (work / "CURRENT").replace(marts / "CURRENT")
    sync(marts)


def _greatest(marts: Path) -> str:
    """The greatest number that any snapshot had, be it an orphan or gone."""
    pointer = _pointer(marts) or ()
    return max([*filter(None, pointer), *(folder.name for folder in numbered(marts))], default="000000")


class Draft:
    """A snapshot being written; holds the marts folder's lock from enter to exit.

    before_use: is told the folder of the whole snapshot; if it raises, the snapshot is not published.
    """

    def __init__(self, marts: Path, before_use: Callable[[Path], None] = lambda snapshot: None):
        self.marts, self._before_use = marts.absolute(), before_use
        self.work = self.marts / f".draft-{os.getpid()}"
        self._stack = ExitStack()
        self._described: dict[str, dict] = {}

    def __enter__(self) -> "Draft":
        self.marts.mkdir(parents=True, exist_ok=True)
        # A number is never used again: of what bore it, a reader may still hold the path.
        orphan = _greatest(self.marts)
        self._stack.enter_context(locked(self.marts))
        self._name = f"{int(max(orphan, _greatest(self.marts))) + 1:06d}"
        try:
            (self.work / "tables").mkdir(parents=True)
        except OSError:
            self._stack.close()
            raise
        return self

    def __exit__(self, *exception) -> None:
        with self._stack:
            shutil.rmtree(self.work, ignore_errors=True)
            unused = self.marts / "snapshots" / self._name
            if unused.is_dir() and in_use(self.marts) != self._name:
                with suppress(OSError):
                    remove(self.marts, unused)

    def write(self, table: str, frame: pl.DataFrame, part: int = 0) -> None:
        file = self.part(table, part)
        write_table(frame, file)
        self._described[file.name] = _description(file)

    def part(self, table: str, part: int = 0) -> Path:
        """Where a table, or a part of a large one, is to be written."""
        return self.work / "tables" / _part_name(table, part)

    def take(self, table: str, file: Path, name: str, rows: int, sha256: str) -> None:
        """Takes a file that does not change into the snapshot as part of a table, by a second name for its bytes."""
        target = self.work / "tables" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(file, target)
        except OSError:
            shutil.copy2(file, target)
            sync(target)
        size = target.stat().st_size
        self._described[name] = {"name": name, "table": table, "rows": rows, "bytes": size, "sha256": sha256}

    def take_from(self, snapshot: Snapshot, table: str, part: int = 0) -> None:
        """Takes a part of a table as an earlier snapshot has it."""
        name = self.part(table, part).name
        found = snapshot.files_by_name[name]
        self.take(table, snapshot.folder / name, name, found["rows"], found["sha256"])

    def publish(self, manifest: dict) -> Snapshot:
        """Makes the draft the snapshot in use, in one step for any reader."""
        tables = self.work / "tables"
        manifest = {
            "format": FORMAT,
            "snapshot": self._name,
            "parent": self._parent(),
            **manifest,
            "files": [self._describe(path) for path in sorted(tables.rglob("*.parquet"))],
        }
        write_durably(tables / "manifest.json", json.dumps(manifest, indent=1).encode())
        seal(tables)
        for folder in [*(path for path in tables.rglob("*") if path.is_dir()), tables]:
            sync(folder)
        root = self.marts / "snapshots"
        root.mkdir(exist_ok=True)
        sync(self.marts)
        # Written before the snapshot is in place: what follows needs no room on the disk.
        write_durably(self.work / "CURRENT", _pointing_at(self._name, self._name))
        tables.rename(root / self._name)
        sync(root)
        self._before_use(root / self._name)
        (self.work / "CURRENT").replace(self.marts / "CURRENT")
        sync(self.marts)
        return opened(root / self._name)

    def _parent(self) -> str | None:
        try:
            return current(self.marts).folder.name
        except NoSnapshot:
            return None

    def _describe(self, path: Path) -> dict:
        name = path.relative_to(self.work / "tables").as_posix()
        return self._described.get(name) or _description(path)


def _description(file: Path) -> dict:
    """What a manifest says of a file of a table, which is on the disk by then."""
    sync(file)
    return {
        "name": file.name,
        "table": NUMBERED.fullmatch(file.name)["table"],
        "rows": pq.read_metadata(file).num_rows,
        "bytes": file.stat().st_size,
        "sha256": digest_of(file),
    }


def write_table(frame: pl.DataFrame, file: Path) -> None:
    """Without statistics: nobody passes over a group of rows by them, and they take a sixth of the time."""
    frame.write_parquet(file, compression="zstd", compression_level=1, statistics=False)


def write_durably(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    sync(path)


def sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
