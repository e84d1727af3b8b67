"""The snapshots that a marts folder keeps: which there are, whether they are whole, which one may go."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from data.marts import NoSnapshot, SnapshotDamaged, current, in_use, locked, numbered, opened, published, put_to_use
from data.marts import remove as take_away

IN_USE, READ, KEPT, REMOVED = "in use", "held by a reader", "kept", "removed"


class NoSuchSnapshot(NoSnapshot):
    """The marts folder keeps no snapshot of that number."""


@dataclass(frozen=True)
class Entry:
    """A snapshot as the operator sees it: size in bytes; damage is what is wrong with it, None if nothing is known."""

    number: int
    size: int
    in_use: bool
    held: bool
    manifest: dict | None
    damage: str | None

    @property
    def parent(self) -> int | None:
        parent = (self.manifest or {}).get("parent")
        return int(parent) if parent else None

    @property
    def devices(self) -> int | None:
        if self.manifest is None:
            return None
        return sum(file["rows"] for file in self.manifest["files"] if file["table"] == "outcomes")


def entries(marts: Path) -> list[Entry]:
    """Every published snapshot, oldest first, damaged ones too; only manifests and sizes are verified."""
    if not numbered(marts):
        raise NoSnapshot(f"{marts}: no snapshot has been published here; run pco build first")
    used = in_use(marts)
    return [_entry(folder, used) for folder in published(marts)]


def _entry(folder: Path, used: str | None) -> Entry:
    # Before it is opened here, which holds it too.
    held = is_held(folder)
    try:
        manifest, damage = opened(folder).manifest, None
    except SnapshotDamaged as error:
        manifest, damage = None, error.what
    return Entry(int(folder.name), _size(folder), folder.name == used, held, manifest, damage)


def verify(marts: Path, number: int | None = None) -> dict[int, list[str]]:
    """What is wrong with each snapshot, or with one: every digest is computed."""
    folders = published(marts) if number is None else [folder_of(marts, number)]
    if not folders:
        raise NoSnapshot(f"{marts}: no snapshot has been published here; run pco build first")
    found = {}
    for folder in folders:
        try:
            found[int(folder.name)] = opened(folder).damage()
        except SnapshotDamaged as error:
            found[int(folder.name)] = [error.what]
    return found


def use(marts: Path, number: int, before_use: Callable[[str], None] = lambda name: None) -> None:
    """Puts a kept snapshot to use, if it is whole; raises `SnapshotDamaged`, `NoSnapshot` or `BuildUnderWay`.

    before_use: is told the snapshot's name; if it raises, the snapshot is not put to use.
    """
    with locked(marts):
        folder = folder_of(marts, number)
        opened(folder).verify()
        before_use(folder.name)
        with TemporaryDirectory(prefix=".draft-", dir=marts) as work:
            put_to_use(marts, folder.name, Path(work))


def prune(
    marts: Path,
    keep: int,
    dry_run: bool = False,
    before_removal: Callable[[list[str]], None] = lambda names: None,
) -> dict[int, str]:
    """Removes all but the `keep` newest whole snapshots; returns what became (or would become) of each.

    before_removal: is told the names of those that go, be it none; if it raises, nothing goes.

    Never goes: the one in use, the one read in its place when it is damaged, and any that a process has open (it holds
    a shared lock; a session of the dashboard counts for as long as it shows that snapshot). A file system without
    such locks has no way to say so: there, stop the readers first.
    """
    if dry_run:
        return _fates(marts, keep)
    with locked(marts):
        fates = _fates(marts, keep)
        before_removal([f"{number:06d}" for number, fate in fates.items() if fate == REMOVED])
        for number, fate in fates.items():
            if fate == REMOVED:
                folder = folder_of(marts, number)
                with alone_with(folder) as alone:
                    if alone:
                        take_away(marts, folder)
                    else:
                        fates[number] = READ
        return fates


def _fates(marts: Path, keep: int) -> dict[int, str]:
    found = entries(marts)
    newest = [entry.number for entry in found if entry.damage is None][-keep:]
    served = current(marts).number
    fates = {}
    for entry in found:
        if entry.in_use or entry.number == served:
            fates[entry.number] = IN_USE
        elif entry.number in newest:
            fates[entry.number] = KEPT
        else:
            fates[entry.number] = READ if entry.held else REMOVED
    return fates


def folder_of(marts: Path, number: int) -> Path:
    for folder in published(marts):
        if int(folder.name) == number:
            return folder
    raise NoSuchSnapshot(f"{marts}: there is no snapshot {number}; pco snapshots list tells which there are")


def is_held(folder: Path) -> bool:
    with alone_with(folder) as alone:
        return not alone


@contextmanager
def alone_with(folder: Path) -> Iterator[bool]:
    """Whether no reader has the snapshot open; while this lasts none can open it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        alone = True
    except BlockingIOError:
        alone = False
    except OSError:
        alone = True
    try:
        yield alone
    finally:
        os.close(descriptor)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
