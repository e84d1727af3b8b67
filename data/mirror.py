"""Marts in an object store, and the folder here that mirrors them.

    PREFIX/objects/<sha256>            files of snapshots and their manifests; an object never changes
    PREFIX/heads/000000042-<id>.json   which snapshots there are, and which one is in use; the last head counts
    PREFIX/claims/000000043-<id>       someone is about to write the head of that number

Who reads makes the mirror what the last head says, and reads it like any marts folder. A build puts a snapshot's files
into the store before the head that names them, and CURRENT of the mirror moves after that: for any reader a snapshot is
there whole or not at all. Only what the store lacks is put, and only what the mirror lacks is fetched.

A store has no locks. Who writes a head first claims its number, and gives up if he then finds another claim or head of
it: as a store lists all that was written before, of two at once at most one goes on.
"""

import hashlib
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
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
HEAD = re.compile(r"heads/\d{9}-[0-9a-f]{32}\.json", re.ASCII)
CLAIM, OBJECT = re.compile(r"claims/\d{9}-[0-9a-f]{32}", re.ASCII), re.compile(r"objects/[0-9a-f]{64}", re.ASCII)
DIGEST, NUMBER = re.compile(r"[0-9a-f]{64}", re.ASCII), re.compile(r"\d{6}", re.ASCII)
# A file of a snapshot, below its folder.
FILE = re.compile(r"(\w[\w-]*/)*\w[\w.-]*\.parquet", re.ASCII)
MOST_BYTES_A_MANIFEST = 256 << 20
# Readers that have listed heads still find the one that they ask for; they ask again so often.
HEADS_KEPT, TRIES = 10, 5
# A claim that is older is of a process that died.
CLAIMED_NS = 900 * 10**9
# An object that no snapshot names may be of a build that has not published yet.
UNNAMED_NS = 24 * 3600 * 10**9
UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
log = logging.getLogger(__name__)
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
        """Removes snapshots elsewhere before they are gone from the folder, whose lock is held."""

    def problems(self) -> list[str]:
        """What is wrong elsewhere with what is published."""
        return []

    def repair(self, numbers: Iterable[int], progress: Progress = silent) -> None:
        """Makes damaged snapshots whole again, if there is anything to make them from."""

    def stop(self) -> None:
        """Ends, at its next block, a `pull` of another thread."""


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
        self._is_stopped = False

    def __str__(self) -> str:
        return str(self.store)

    def stop(self) -> None:
        self._is_stopped = True

    # --- from the store -------------------------------------------------------------------------------------

    def pull(self, progress: Progress = silent) -> None:
        head = self._head_of_pull()
        is_alike = head and head.name == self._followed() and in_use(self.folder) == head.in_use
        if is_alike and self._missing(head).keys() <= self._lost():
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(self.folder):
            # Another may have been here before the lock was.
            if head := self._head_of_pull():
                self._make_like(head, progress)

    def _head_of_pull(self) -> Head | None:
        # In this order: a build here may publish in between.
        before = self._followed()
        head = self._head()
        if before and (head is None or head.number < _number(before)):
            raise RuntimeError(
                f"{self}: what was published here is gone from the store; to begin anew remove {self.folder}"
            )
        return head

    def _make_like(self, head: Head, progress: Progress, damaged: Iterable[str] = ()) -> None:
        """damaged: snapshots that are fetched again, although the mirror seems to have them."""
        missing = self._missing(head) | {name: head.snapshots[name] for name in damaged if name in head.snapshots}
        with TemporaryDirectory(prefix=".draft-mirror-", dir=self.folder) as work:
            fetched, lost = self._fetch_snapshots(head, missing, Path(work), progress)
            # The one to be read comes first: what stands beside it is never read in its place.
            for name in sorted(fetched, key=lambda name: (name != head.in_use, name)):
                if not self._put_in_place(fetched[name]):
                    raise self._held(name)
                if name == head.in_use:
                    put_to_use(self.folder, head.in_use, Path(work), head.greatest)
            # Also where only another snapshot was published, so that its number is known.
            put_to_use(self.folder, head.in_use, Path(work), head.greatest)
        self._remove_but(head)
        self._follow(head.name, lost)

    def _held(self, name: str) -> RuntimeError:
        return RuntimeError(f"{self.folder}: snapshot {int(name)} is damaged here, and a process reads it; end that")

    def _missing(self, head: Head) -> dict[str, str]:
        return {name: digest for name, digest in head.snapshots.items() if not self._has(name, digest)}

    def _has(self, name: str, digest: str) -> bool:
        folder = self.folder / "snapshots" / name
        with suppress(OSError, SnapshotDamaged):
            return digest_of(folder / "manifest.json") == digest and opened(folder).manifest is not None
        return False

    def _fetch_snapshots(
        self, head: Head, missing: dict[str, str], work: Path, progress: Progress
    ) -> tuple[dict[str, Path], set[str]]:
        """Whole snapshots, each in a folder; and the names of those that the store has lost, none of them in use."""
        sizes, fetched, lost = self._sizes() if missing else {}, {}, set()
        # Of damaged ones too: each file is verified before it is taken.
        here = self._files_here(head.snapshots)
        objects = work / "objects"
        objects.mkdir()
        for name, digest in missing.items():
            if (folder := self.folder / "snapshots" / name).exists() and keeping.is_held(folder):
                if name == head.in_use:
                    raise self._held(name)
                log.warning("%s", self._held(name))
                continue
            try:
                fetched[name] = self._fetch_snapshot(name, digest, sizes, here, work, progress)
            except (RuntimeError, SnapshotDamaged, FileNotFoundError) as error:
                if name == head.in_use:
                    raise
                log.warning("%s: snapshot %d cannot be had (%s)", self, int(name), error)
                lost.add(name)
        return fetched, lost

    def _fetch_snapshot(
        self, name: str, digest: str, sizes: dict[str, int], here: dict[str, Path], work: Path, progress: Progress
    ) -> Path:
        manifest, draft, objects = self._manifest(name, digest), work / name, work / "objects"
        if problems := self._not_there(_files(manifest), sizes):
            raise RuntimeError(problems[0])
        files = {file.sha256: file for file in _files(manifest) if not (objects / file.sha256).exists()}
        self._each(lambda file: self._fetch(file, objects, here), files.values(), FETCHING, progress)
        for file in _files(manifest):
            (draft / file.name).parent.mkdir(parents=True, exist_ok=True)
            link(objects / file.sha256, draft / file.name)
        write_durably(draft / "manifest.json", manifest)
        seal(draft)
        for folder in [*(path for path in draft.rglob("*") if path.is_dir()), draft]:
            sync(folder)
        # What cannot be opened is not put in place.
        opened(draft)
        return draft

    def _put_in_place(self, draft: Path) -> bool:
        """In place of a damaged one, if need be; False if a process has that open."""
        to = self.folder / "snapshots" / draft.name
        if to.exists() and not self._remove(to):
            return False
        to.parent.mkdir(exist_ok=True)
        draft.rename(to)
        sync(to.parent)
        return True

    def _files_here(self, names: Iterable[str]) -> dict[str, Path]:
        """Digest -> a file of the mirror that is said to have it."""
        found = {}
        for folder in (self.folder / "snapshots" / name for name in names):
            with suppress(OSError, RuntimeError):
                found |= {file.sha256: folder / file.name for file in _files((folder / "manifest.json").read_bytes())}
        return found

    def _fetch(self, file: File, objects: Path, here: dict[str, Path]) -> None:
        to = objects / file.sha256
        with suppress(KeyError, OSError):
            if digest_of(here[file.sha256]) == file.sha256:
                link(here[file.sha256], to)
                return
        found, size = hashlib.sha256(), 0
        with self.store.opened(f"objects/{file.sha256}") as source, to.open("wb") as target:
            while size <= file.size and (block := source.read(s3.BYTES_AT_ONCE)):
                self._go_on()
                found.update(block)
                size += target.write(block)
        if found.hexdigest() != file.sha256:
            to.unlink()
            raise RuntimeError(f"{self}/objects/{file.sha256}: is not as it was written")
        sync(to)

    def _each(self, do: Callable[[File], None], files: Iterable[File], stage: str, progress: Progress) -> None:
        """Does it with each file, some at a time; the first failure ends it."""
        done, total = 0, sum(file.size for file in files)
        with ThreadPoolExecutor(s3.OBJECTS_AT_ONCE) as pool:
            doing = {pool.submit(do, file): file for file in files}
            try:
                for did in as_completed(doing):
                    did.result()
                    done += doing[did].size
                    progress(stage, done, total)
            except BaseException:
                self._is_stopped = True
                pool.shutdown(cancel_futures=True)
                self._is_stopped = False
                raise

    def _go_on(self) -> None:
        if self._is_stopped:
            raise InterruptedError("stopped")

    def _manifest(self, name: str, digest: str) -> bytes:
        """The manifest of a snapshot, from the mirror if it is there; raises RuntimeError if it is not as written."""
        with suppress(OSError):
            text = (self.folder / "snapshots" / name / "manifest.json").read_bytes()
            if hashlib.sha256(text).hexdigest() == digest:
                return text
        text = self.store.read(f"objects/{digest}", MOST_BYTES_A_MANIFEST)
        if hashlib.sha256(text).hexdigest() != digest:
            raise RuntimeError(f"{self}/objects/{digest}: is not as it was written")
        return text

    def _remove_but(self, head: Head) -> None:
        for folder in numbered(self.folder):
            if folder.name not in head.snapshots:
                self._remove(folder)

    def _remove(self, folder: Path) -> bool:
        """False if a process has it open."""
        with keeping.alone_with(folder) as alone:
            if alone:
                take_away(self.folder, folder)
            return alone

    def repair(self, numbers: Iterable[int], progress: Progress = silent) -> None:
        with locked(self.folder):
            if head := self._head_of_pull():
                self._make_like(head, progress, [f"{number:06d}" for number in numbers])

    # --- heads ----------------------------------------------------------------------------------------------

    def _head(self) -> Head | None:
        for _ in range(TRIES):
            heads = self._listed("heads", HEAD)
            if not heads:
                return None
            # It may be removed meanwhile, when there are later ones.
            with suppress(FileNotFoundError):
                return self._read_head(max(one.name for one in heads))
        raise FileNotFoundError(f"{self}: lists a head that cannot be read")

    def _listed(self, folder: str, named: re.Pattern[str]) -> list[s3.Object]:
        try:
            return [one for one in self.store.listed(folder) if named.fullmatch(one.name)]
        except FileNotFoundError:
            return []

    def _read_head(self, name: str) -> Head:
        text = self.store.read(name, MOST_BYTES_A_MANIFEST)
        try:
            head = Head(name, **json.loads(text))
            for number, digest in head.snapshots.items():
                if not (NUMBER.fullmatch(number) and DIGEST.fullmatch(digest) and number <= head.greatest):
                    raise ValueError(f"it names {number!r} and {digest!r}")
            if not (NUMBER.fullmatch(head.greatest) and head.in_use in head.snapshots):
                raise ValueError(f"it names {head.in_use!r} and {head.greatest!r}")
        except UNREADABLE as error:
            raise RuntimeError(f"{self}/{name}: is no head ({error})") from error
        return head

    def _follow(self, head: str, lost: Iterable[str]) -> None:
        told = {"url": str(self), "head": head, "lost": sorted(lost)}
        write_durably(self.folder / NOTE, json.dumps(told).encode())

    def _followed(self) -> str | None:
        """The head that the mirror is like."""
        head = self._note().get("head")
        return head if isinstance(head, str) and HEAD.fullmatch(head) else None

    def _lost(self) -> set[str]:
        """Snapshots of that head that the store could not give."""
        return set(self._note().get("lost", ()))

    def _note(self) -> dict:
        try:
            told = json.loads((self.folder / NOTE).read_bytes())
            return told if isinstance(told, dict) else {}
        except (OSError, ValueError):
            return {}

    def _last(self) -> Head | None:
        """The last head, which is the one that the mirror is like; raises RuntimeError if others came after it."""
        head = self._head()
        if (head.name if head else None) != self._followed():
            raise self._overtaken()
        return head

    def _overtaken(self) -> RuntimeError:
        return RuntimeError(f"{self}: something else was published there meanwhile; run the command again")

    def _replace(self, before: Head | None, **told: str | dict) -> Head:
        """Writes the head after the last one; raises RuntimeError if another was written meanwhile, or is about to."""
        number, mine = before.number + 1 if before else 1, uuid4().hex
        head = Head(f"heads/{number:09d}-{mine}.json", **told)
        content = asdict(head)
        del content["name"]
        claim, begun = f"claims/{number:09d}-{mine}", time.monotonic()
        self.store.write(claim, b"1")
        try:
            # In this order: who wrote a head took his claim away after it.
            claims, heads = self._listed("claims", CLAIM), self._listed("heads", HEAD)
            now = max((one.modified_ns for one in claims), default=0)
            of_number = [one for one in claims if _number(one.name) == number and one.modified_ns > now - CLAIMED_NS]
            later = [one for one in heads if _number(one.name) >= number]
            # A third of the time that a claim lasts: writing may take another.
            is_late = time.monotonic() - begun > CLAIMED_NS / 10**9 / 3
            if later or is_late:
                raise self._overtaken()
            if [one.name for one in of_number] != [claim]:
                raise RuntimeError(
                    f"{self}: something else is being published there, or began to be within the last "
                    f"{CLAIMED_NS // (60 * 10**9)} minutes and did not end; run the command again"
                )
        except BaseException:
            with suppress(OSError):
                self.store.remove(claim)
            raise
        # If this fails, the head may be there all the same, or come yet: the claim stays.
        self.store.write(head.name, json.dumps(content, indent=1).encode())
        # It is published now: what fails from here on is made up for by the next command.
        with suppress(OSError):
            self._follow(head.name, self._lost())
            past = [one for one in heads if _number(one.name) <= number - HEADS_KEPT]
            for one in [*(one for one in claims if _number(one.name) <= number), *past]:
                self.store.remove(one.name)
        return head

    # --- into the store -------------------------------------------------------------------------------------

    def publish(self, snapshot: Path, progress: Progress = silent) -> None:
        head = self._last()
        if head and snapshot.name <= head.greatest:
            raise self._overtaken()
        manifest = (snapshot / "manifest.json").read_bytes()
        digest = hashlib.sha256(manifest).hexdigest()
        snapshots = head.snapshots if head else {}
        named, sizes = self._named(snapshots), self._sizes()
        files = {file.sha256: file for file in _files(manifest)}
        # What no snapshot names is put anew, as it may be about to be removed.
        new = [f for sha256, f in files.items() if sha256 not in named or sizes.get(sha256) != f.size]
        self._each(lambda file: self._put(file, snapshot), new, PUTTING, progress)
        self.store.write(f"objects/{digest}", manifest)
        if problems := self._not_there(files.values(), self._sizes()):
            raise RuntimeError(problems[0])
        snapshots = {**snapshots, snapshot.name: digest}
        self._replace(head, in_use=snapshot.name, greatest=snapshot.name, snapshots=snapshots)

    def _put(self, file: File, snapshot: Path) -> None:
        path = snapshot / file.name
        # Before a byte of it is put: another snapshot may have an object of this name.
        if digest_of(path) != file.sha256:
            raise SnapshotDamaged(snapshot, f"{file.name} is not as it was written")
        with path.open("rb") as source, self.store.writing(f"objects/{file.sha256}") as target:
            shutil.copyfileobj(source, target, s3.BYTES_AT_ONCE)

    def use(self, name: str) -> None:
        head = self._last()
        if head is None or name not in head.snapshots:
            raise NoSnapshot(f"{self}: there is no snapshot {int(name)}")
        self._replace(head, in_use=name, greatest=head.greatest, snapshots=head.snapshots)

    def forget(self, names: Iterable[str]) -> None:
        head = self._last()
        if head is None:
            return
        # What the store has lost goes too: nobody can read it.
        gone = set(names) | self._lost() - {head.in_use}
        kept = {name: digest for name, digest in head.snapshots.items() if name not in gone}
        if kept != head.snapshots:
            head = self._replace(head, in_use=head.in_use, greatest=head.greatest, snapshots=kept)
        self._remove_unnamed(head)

    def _remove_unnamed(self, head: Head) -> None:
        """Removes objects that no snapshot names and that are a day old, as long as nobody publishes meanwhile."""
        named, now = self._named(head.snapshots), self.store.found(head.name).modified_ns
        for one in self._listed("objects", OBJECT):
            if one.name.removeprefix("objects/") not in named and one.modified_ns < now - UNNAMED_NS:
                is_last = max(other.name for other in self._listed("heads", HEAD)) == head.name
                claims = [other for other in self._listed("claims", CLAIM) if _number(other.name) > head.number]
                if not is_last or claims:
                    return
                # A build may have put it anew, for a snapshot to come.
                with suppress(FileNotFoundError):
                    if self.store.found(one.name) == one:
                        self.store.remove(one.name)

    def _named(self, snapshots: dict[str, str]) -> set[str]:
        """The digests of all objects that the snapshots are made of."""
        named = set(snapshots.values())
        for name, digest in snapshots.items():
            # Of one whose manifest is lost nothing can be read.
            with suppress(FileNotFoundError, RuntimeError):
                named |= {file.sha256 for file in _files(self._manifest(name, digest))}
        return named

    def problems(self) -> list[str]:
        head, sizes = self._head(), self._sizes()
        found = []
        for name, digest in head.snapshots.items() if head else ():
            if digest not in sizes:
                found.append(f"{self}/objects/{digest}: is missing, the manifest of snapshot {int(name)}")
            try:
                found += self._not_there(_files(self._manifest(name, digest)), sizes)
            except (OSError, RuntimeError) as error:
                found.append(str(error))
        return list(dict.fromkeys(found))

    def _sizes(self) -> dict[str, int]:
        """Digest -> bytes of the object in the store."""
        return {one.name.removeprefix("objects/"): one.size for one in self._listed("objects", OBJECT)}

    def _not_there(self, files: Iterable[File], sizes: dict[str, int]) -> list[str]:
        return [
            f"{self}/objects/{file.sha256}: has {found} bytes and not {file.size:,}"
            for file in files
            if (found := sizes.get(file.sha256, "no")) != file.size
        ]


def mirrors() -> Path:
    """The folder of all mirrors: PCO_MIRRORS, or in the user's cache."""
    if asked := os.environ.get(VARIABLE):
        return Path(asked)
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "post-commissioning-outcomes"


def link(file: Path, to: Path) -> None:
    """Another name for the file's bytes, or a copy where there are no links."""
    try:
        os.link(file, to)
    except OSError:
        shutil.copy2(file, to)
        sync(to)


def _number(name: str) -> int:
    """Of a head or a claim."""
    return int(re.search(r"/(\d{9})-", name, re.ASCII)[1])


def _files(manifest: bytes) -> list[File]:
    """The files that a manifest names; raises RuntimeError for names that no build gives."""
    try:
        files = [File(file["name"], file["bytes"], file["sha256"]) for file in json.loads(manifest)["files"]]
        for file in files:
            is_size = isinstance(file.size, int) and file.size >= 0
            if not (FILE.fullmatch(file.name) and DIGEST.fullmatch(file.sha256) and is_size):
                raise ValueError(f"it names {file.name!r} of {file.size!r} bytes and digest {file.sha256!r}")
        if len({file.name for file in files}) < len(files):
            raise ValueError("it names a file twice")
    except UNREADABLE as error:
        raise RuntimeError(f"a manifest in the store cannot be read ({error})") from error
    return files
