"""Marts in an object store, and the folder here that mirrors them.

    PREFIX/objects/<sha256>            files of snapshots and their manifests; an object never changes
    PREFIX/heads/000000042-<id>.json   which snapshots there are, and which one is in use; the last head counts

Who reads makes the mirror what the last head says, and reads it like any marts folder. A build puts a snapshot's files
into the store before the head that names them, and CURRENT of the mirror moves after that: for any reader a snapshot is
there whole or not at all. Only what no snapshot has yet is put, and only what the mirror lacks is fetched.

A store has no locks. A head has a number after that of the head it follows, and a name of its own; whoever finds, once
his is written, another of that number takes his away and gives up. As a store lists all that was written before, of two
that write at once at most one goes on.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from uuid import uuid4

from data import keeping, s3
from data.marts import (
    NoSnapshot,
    SnapshotDamaged,
    digest_of,
    in_use,
    locked,
    numbered,
    opened,
    put_to_use,
    seal,
    sync,
    write_durably,
)
from data.marts import remove as take_away

# Where mirrors are, each in a folder of its own.
VARIABLE = "PCO_MIRRORS"
NOTE = "mirrored.json"
FETCHING, PUTTING = "Fetching snapshots (bytes)", "Putting the snapshot into the store (bytes)"
HEAD = re.compile(r"heads/(\d{9})-[0-9a-f]{32}\.json", re.ASCII)
DIGEST, NUMBER = re.compile(r"[0-9a-f]{64}", re.ASCII), re.compile(r"\d{6}", re.ASCII)
# Readers that have listed heads still find the one that they ask for.
HEADS_KEPT = 10
# An object that no snapshot names may be of a build that has not published yet.
UNNAMED_NS = 24 * 3600 * 10**9
Progress = Callable[[str, int, int], None]


def silent(stage: str, done: int, total: int) -> None:
    pass


class Published:
    """Where snapshots are published: a folder here, and nowhere else."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __str__(self) -> str:
        return str(self.folder)

    def pull(self, progress: Progress = silent) -> None:
        """Makes the folder what is published; raises `BuildUnderWay`, and OSError or RuntimeError, changing nothing."""

    def publish(self, snapshot: Path, progress: Progress = silent) -> None:
        """Publishes a whole snapshot elsewhere before it is put to use in the folder, whose lock is held."""

    def use(self, name: str) -> None:
        """Puts a published snapshot to use elsewhere before it is in the folder, whose lock is held."""

    def forget(self, names: Iterable[str]) -> None:
        """Removes snapshots elsewhere once they are gone from the folder."""

    def problems(self) -> list[str]:
        """What is wrong elsewhere with what is published."""
        return []


@dataclass(frozen=True)
class Head:
    """name: of the object; greatest: of all snapshots that ever were; snapshots: name -> digest of the manifest."""

    name: str
    in_use: str
    greatest: str
    snapshots: dict[str, str]

    @property
    def number(self) -> int:
        return _number(self.name)


@dataclass(frozen=True)
class File:
    """A file of a snapshot as its manifest tells it; name: below the snapshot's folder."""

    name: str
    size: int
    sha256: str


class Mirror(Published):
    """Snapshots published in an object store, and a folder that mirrors it."""

    def __init__(self, url: str):
        self.store = s3.Prefix(url)
        bucket, _, _ = self.store.root.partition("/")
        digest = hashlib.sha256(f"{s3.endpoint()} {self.store}".encode()).hexdigest()
        super().__init__(mirrors() / f"{bucket}-{digest[:16]}")

    def __str__(self) -> str:
        return str(self.store)

    # --- from the store -------------------------------------------------------------------------------------

    def pull(self, progress: Progress = silent) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(self.folder):
            head, before = self._head(), self._followed()
            if before and (head is None or head.number < _number(before)):
                raise RuntimeError(
                    f"{self}: what was published here is gone from the store; to begin anew remove {self.folder}"
                )
            if head is None:
                return
            with TemporaryDirectory(prefix=".draft-mirror-", dir=self.folder) as work:
                self._fetch_snapshots(head, Path(work), progress)
                if in_use(self.folder) != head.in_use:
                    put_to_use(self.folder, head.in_use, Path(work), head.greatest)
            self._remove_but(head)
            self._follow(head.name)

    def _fetch_snapshots(self, head: Head, work: Path, progress: Progress) -> None:
        missing = {name: digest for name, digest in head.snapshots.items() if not self._has(name, digest)}
        manifests = {name: self._manifest(name, digest) for name, digest in missing.items()}
        here = self._files_here(set(head.snapshots) - set(missing))
        total = sum(file.size for manifest in manifests.values() for file in _files(manifest))
        done = 0
        for name, manifest in manifests.items():
            draft = work / name
            with ThreadPoolExecutor(s3.OBJECTS_AT_ONCE) as pool:
                files = {pool.submit(self._fetch, file, draft, here): file for file in _files(manifest)}
                for fetched in as_completed(files):
                    here[files[fetched].sha256] = fetched.result()
                    done += files[fetched].size
                    progress(FETCHING, done, total)
            write_durably(draft / "manifest.json", manifest)
            seal(draft)
            for folder in [*(path for path in draft.rglob("*") if path.is_dir()), draft]:
                sync(folder)
            here |= self._put_in_place(draft, name, manifest)

    def _put_in_place(self, draft: Path, name: str, manifest: bytes) -> dict[str, Path]:
        to = self.folder / "snapshots" / name
        if to.exists():
            # Damaged, or another history's.
            take_away(self.folder, to)
        to.parent.mkdir(exist_ok=True)
        draft.rename(to)
        sync(to.parent)
        return {file.sha256: to / file.name for file in _files(manifest)}

    def _has(self, name: str, digest: str) -> bool:
        folder = self.folder / "snapshots" / name
        with suppress(OSError, SnapshotDamaged):
            return digest_of(folder / "manifest.json") == digest and opened(folder).manifest is not None
        return False

    def _files_here(self, names: Iterable[str]) -> dict[str, Path]:
        """Digest -> a file of the mirror that is said to have it."""
        folders = [self.folder / "snapshots" / name for name in names]
        return {
            f.sha256: folder / f.name for folder in folders for f in _files((folder / "manifest.json").read_bytes())
        }

    def _fetch(self, file: File, draft: Path, here: dict[str, Path]) -> Path:
        to = draft / file.name
        to.parent.mkdir(parents=True, exist_ok=True)
        with suppress(KeyError, OSError):
            if digest_of(here[file.sha256]) == file.sha256:
                os.link(here[file.sha256], to)
                return to
        found = hashlib.sha256()
        with self.store.opened(f"objects/{file.sha256}") as source, to.open("wb") as target:
            while block := source.read(s3.BYTES_AT_ONCE):
                found.update(block)
                target.write(block)
        if found.hexdigest() != file.sha256:
            raise RuntimeError(f"{self}/objects/{file.sha256}: is not as it was written")
        sync(to)
        return to

    def _manifest(self, name: str, digest: str) -> bytes:
        """The manifest of a snapshot, from the mirror if it is there; raises RuntimeError if it is not as written."""
        with suppress(OSError):
            text = (self.folder / "snapshots" / name / "manifest.json").read_bytes()
            if hashlib.sha256(text).hexdigest() == digest:
                return text
        text = self.store.read(f"objects/{digest}")
        if hashlib.sha256(text).hexdigest() != digest:
            raise RuntimeError(f"{self}/objects/{digest}: is not as it was written")
        return text

    def _remove_but(self, head: Head) -> None:
        for folder in numbered(self.folder):
            if folder.name not in head.snapshots:
                with keeping.alone_with(folder) as alone:
                    if alone:
                        take_away(self.folder, folder)

    # --- heads ----------------------------------------------------------------------------------------------

    def _head(self) -> Head | None:
        """The last head; of two with one number, of which at most one lasts, the first."""
        while heads := self._heads():
            last = max(map(_number, (one.name for one in heads)))
            of_last = [one for one in heads if _number(one.name) == last]
            name = min(of_last, key=lambda one: (one.modified_ns, one.name)).name
            # It may be taken away meanwhile.
            with suppress(FileNotFoundError):
                return self._read_head(name)
        return None

    def _heads(self) -> list[s3.Object]:
        try:
            return [one for one in self.store.listed("heads") if HEAD.fullmatch(one.name)]
        except FileNotFoundError:
            return []

    def _read_head(self, name: str) -> Head:
        text = self.store.read(name)
        try:
            head = Head(name, **json.loads(text))
            for number, digest in head.snapshots.items():
                if not (NUMBER.fullmatch(number) and DIGEST.fullmatch(digest) and number <= head.greatest):
                    raise ValueError(f"it names {number} and {digest}")
            if not (NUMBER.fullmatch(head.greatest) and head.in_use in head.snapshots):
                raise ValueError(f"it names {head.in_use} and {head.greatest}")
        except (ValueError, TypeError, AttributeError) as error:
            raise RuntimeError(f"{self}/{name}: is no head ({error})") from error
        return head

    def _follow(self, head: str) -> None:
        write_durably(self.folder / NOTE, json.dumps({"url": str(self), "head": head}).encode())

    def _followed(self) -> str | None:
        """The head that the mirror is like."""
        try:
            head = json.loads((self.folder / NOTE).read_bytes())["head"]
            return head if HEAD.fullmatch(head) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _last(self) -> Head | None:
        """The last head, which is the one that the mirror is like; raises RuntimeError if others came after it."""
        head = self._head()
        if (head.name if head else None) != self._followed():
            raise self._overtaken()
        return head

    def _overtaken(self) -> RuntimeError:
        return RuntimeError(f"{self}: something else was published there meanwhile; run the command again")

    def _replace(self, before: Head | None, **told: str | dict) -> Head:
        """Writes the head after the last one; raises RuntimeError if another was written meanwhile."""
        number = before.number + 1 if before else 1
        head = Head(f"heads/{number:09d}-{uuid4().hex}.json", **told)
        content = asdict(head)
        del content["name"]
        self.store.write(head.name, json.dumps(content, indent=1).encode())
        others = [one.name for one in self._heads() if one.name != head.name]
        if any(_number(name) == number for name in others) or (before and before.name not in others):
            self.store.remove(head.name)
            raise self._overtaken()
        self._follow(head.name)
        for name in others:
            if _number(name) <= number - HEADS_KEPT:
                with suppress(OSError):
                    self.store.remove(name)
        return head

    # --- into the store -------------------------------------------------------------------------------------

    def publish(self, snapshot: Path, progress: Progress = silent) -> None:
        head = self._last()
        manifest = (snapshot / "manifest.json").read_bytes()
        digest = hashlib.sha256(manifest).hexdigest()
        snapshots = head.snapshots if head else {}
        named = self._named(snapshots)
        files = {file.sha256: file for file in _files(manifest)}
        new = [file for sha256, file in files.items() if sha256 not in named]
        done, total = 0, sum(file.size for file in new)
        with ThreadPoolExecutor(s3.OBJECTS_AT_ONCE) as pool:
            puts = {pool.submit(self._put, file, snapshot): file for file in new}
            for put in as_completed(puts):
                put.result()
                done += puts[put].size
                progress(PUTTING, done, total)
        self.store.write(f"objects/{digest}", manifest)
        if problems := self._not_there(files.values()):
            raise RuntimeError(problems[0])
        self._replace(
            head, in_use=snapshot.name, greatest=snapshot.name, snapshots={**snapshots, snapshot.name: digest}
        )

    def _put(self, file: File, snapshot: Path) -> None:
        found = hashlib.sha256()
        with (snapshot / file.name).open("rb") as source, self.store.writing(f"objects/{file.sha256}") as target:
            while block := source.read(s3.BYTES_AT_ONCE):
                found.update(block)
                target.write(block)
        if found.hexdigest() != file.sha256:
            raise SnapshotDamaged(snapshot, f"{file.name} is not as it was written")

    def use(self, name: str) -> None:
        head = self._last()
        if head is None or name not in head.snapshots:
            raise NoSnapshot(f"{self}: there is no snapshot {int(name)}")
        self._replace(head, in_use=name, greatest=head.greatest, snapshots=head.snapshots)

    def forget(self, names: Iterable[str]) -> None:
        """Objects that no snapshot names any more go once they are a day old."""
        with locked(self.folder):
            head = self._last()
            if head is None:
                return
            kept = {name: digest for name, digest in head.snapshots.items() if name not in set(names)}
            if kept != head.snapshots:
                head = self._replace(head, in_use=head.in_use, greatest=head.greatest, snapshots=kept)
            named = self._named(head.snapshots)
            now = self.store.found(head.name).modified_ns
            for one in self.store.listed("objects"):
                if one.name.removeprefix("objects/") not in named and one.modified_ns < now - UNNAMED_NS:
                    self.store.remove(one.name)

    def _named(self, snapshots: dict[str, str]) -> set[str]:
        """The digests of all objects that the snapshots are made of."""
        manifests = [self._manifest(name, digest) for name, digest in snapshots.items()]
        return {*snapshots.values(), *(file.sha256 for manifest in manifests for file in _files(manifest))}

    def problems(self) -> list[str]:
        head = self._head()
        manifests = [self._manifest(name, digest) for name, digest in head.snapshots.items()] if head else []
        return self._not_there({file.sha256: file for manifest in manifests for file in _files(manifest)}.values())

    def _not_there(self, files: Iterable[File]) -> list[str]:
        sizes = {one.name: one.size for one in self.store.listed("objects")}
        return [
            f"{self}/objects/{file.sha256}: has {found} bytes and not {file.size:,}"
            for file in files
            if (found := sizes.get(f"objects/{file.sha256}", "no")) != file.size
        ]


def mirrors() -> Path:
    """The folder of all mirrors: PCO_MIRRORS, or in the user's cache."""
    if asked := os.environ.get(VARIABLE):
        return Path(asked)
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "post-commissioning-outcomes"


def _number(head: str) -> int:
    return int(HEAD.fullmatch(head)[1])


def _files(manifest: bytes) -> list[File]:
    """The files that a manifest names; raises RuntimeError for a name that leads out of the snapshot's folder."""
    try:
        files = [File(file["name"], file["bytes"], file["sha256"]) for file in json.loads(manifest)["files"]]
        for file in files:
            name = PurePosixPath(file.name)
            if name.is_absolute() or ".." in name.parts or "\0" in file.name or not DIGEST.fullmatch(file.sha256):
                raise ValueError(f"names {file.name} and {file.sha256}")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RuntimeError(f"a manifest in the store cannot be read ({error})") from error
    return files
