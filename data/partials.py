"""Partial evidence: what files of one extract reduce to, kept from build to build.

    MARTS/partials/<key>/            Parquet files, and last of all partial.json, which says what they are
    MARTS/partials/<key>/partial.json
    MARTS/partials/verified.json     files of the last build by their identity, so that none is verified twice

A partial is read once and never changes. It is taken again as long as its files are as they were, the contracts and
the reading of them are, and the build asks for nothing that it left out.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from tempfile import mkdtemp

import pyarrow.parquet as pq

FACTS = "partial.json"
# Another name than before checksums were verified: of what lies under that one it is not known.
DIGESTS = "verified.json"
# Only what these hold decides what a file reduces to: a change of any of them reads every file anew.
READING = ("contracts.py", "contracts.toml", "duck.py", "quarantine.py", "reduction.py")
READING_FOLDERS = {"sql": ".sql", "reference": ".csv"}
LIBRARIES = ("duckdb", "polars")


@dataclass(frozen=True)
class Wanted:
    """What a build asks of partials: the start of the build, and the instant that it speaks of (None: the latest)."""

    build_start: datetime
    as_at: datetime | None = None


@dataclass(frozen=True)
class Partial:
    folder: Path
    facts: dict

    @property
    def key(self) -> str:
        return self.folder.name

    @property
    def extract(self) -> str:
        return self.facts["extract"]

    @property
    def latest(self) -> datetime | None:
        """The latest instant of any clock among the rows that keep the contract."""
        return max(map(datetime.fromisoformat, self.facts["latest"].values()), default=None)

    def tables(self) -> list[str]:
        return list(self.facts["tables"])

    def files(self, table: str) -> list[Path]:
        return [self.folder / file["name"] for file in self.facts["tables"].get(table, [])]

    def described(self, table: str) -> list[tuple[Path, int, str]]:
        """The table's files, each with its rows and SHA-256."""
        return [(self.folder / f["name"], f["rows"], f["sha256"]) for f in self.facts["tables"].get(table, [])]

    def serves(self, wanted: Wanted) -> bool:
        """Whether a build may take it: nothing was left out or refused that this build would see otherwise."""
        as_at, latest = self.facts["as_at"], self.latest
        if latest and latest > wanted.build_start:
            return False
        if self.facts["next_instant"] is not None and self.facts["next_instant"] <= _microseconds(wanted.build_start):
            return False
        if as_at is not None:
            return wanted.as_at is not None and as_at == wanted.as_at.isoformat()
        return wanted.as_at is None or latest is None or latest <= wanted.as_at


class Store:
    """The partials below a folder. A new one lies below `work`, on the same disk, until it is kept."""

    def __init__(self, folder: Path, work: Path):
        self.folder = folder
        self.work = work
        self.new = work / "partials"
        self.new.mkdir(parents=True, exist_ok=True)

    def partials(self) -> list[Partial]:
        """Every whole partial that was read as files are read today, in the order of their keys; new ones last."""
        found = []
        for folder in (
            folder for root in (self.folder, self.new) if root.is_dir() for folder in sorted(root.iterdir())
        ):
            with suppress(OSError, ValueError, KeyError):
                facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
                if facts["reading"] == reading() and _is_whole(folder, facts):
                    found.append(Partial(folder, facts))
        return found

    def draft(self) -> Path:
        """A folder to write a partial into."""
        return Path(mkdtemp(dir=self.work))

    def put(self, draft: Path, facts: dict) -> Partial:
        """Makes a draft a new partial; `facts` are the reader's and what is told of its files.

        The very same partial may have been put before: then that one stays, and the draft goes.
        """
        tables = {name: [_described(draft / file) for file in names] for name, names in facts["tables"].items()}
        facts = {**facts, "reading": reading(), "tables": tables}
        text = json.dumps(facts)
        # The same bytes read the same way are the same partial, wherever and whenever the files were written.
        contents = {name: told["sha256"] for name, told in facts.get("files", {}).items()}
        key = hashlib.sha256(json.dumps({**facts, "files": contents}).encode()).hexdigest()[:32]
        _write(draft / FACTS, text)
        folder = self.new / key
        try:
            draft.rename(folder)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            # A task of Spark's that ran twice: the run before this one ended, though its executor did not tell.
            shutil.rmtree(draft)
        return Partial(folder, facts)

    def keep(self, partials: Iterable[Partial]) -> None:
        """Keeps these partials for later builds and removes all others; what a snapshot holds of one is its own."""
        self.folder.mkdir(exist_ok=True)
        kept = {partial.key for partial in partials}
        for folder in self.folder.iterdir():
            if folder.is_dir() and folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)
        for folder in self.new.iterdir():
            if folder.name in kept:
                # One that was there lacked something, or it would not have been made anew.
                shutil.rmtree(self.folder / folder.name, ignore_errors=True)
                folder.rename(self.folder / folder.name)

    def digests(self) -> dict[str, tuple[list[int], str]]:
        """Name of a file -> (identity, SHA-256), as `keep_digests` was told; empty where that cannot be read."""
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            told = json.loads((self.folder / DIGESTS).read_text(encoding="utf-8"))
            return {name: (file["identity"], file["sha256"]) for name, file in told.items()}
        return {}

    def keep_digests(self, told: dict[str, tuple[list[int], str]]) -> None:
        """In place of those kept before; only of files that cannot change and keep their identity."""
        new = self.work / DIGESTS
        _write(new, json.dumps({name: {"identity": of, "sha256": sha256} for name, (of, sha256) in told.items()}))
        new.replace(self.folder / DIGESTS)


def _is_whole(folder: Path, facts: dict) -> bool:
    described = [file for named in facts["tables"].values() for file in named]
    return all((folder / file["name"]).stat().st_size == file["bytes"] for file in described)


def _described(file: Path) -> dict:
    with file.open("rb") as content:
        os.fsync(content.fileno())
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    rows = pq.read_metadata(file).num_rows
    return {"name": file.name, "rows": rows, "bytes": file.stat().st_size, "sha256": digest}


def _write(file: Path, text: str) -> None:
    with file.open("w", encoding="utf-8") as content:
        content.write(text)
        content.flush()
        os.fsync(content.fileno())


def _microseconds(moment: datetime) -> int:
    return int(moment.replace(tzinfo=UTC).timestamp() * 1_000_000)


@cache
def reading() -> str:
    """A digest of all that decides what a file reduces to."""
    digest = hashlib.sha256(" ".join(version(library) for library in LIBRARIES).encode())
    package = files("data")
    sources = [package / name for name in READING]
    for folder, ending in READING_FOLDERS.items():
        sources += sorted((s for s in (package / folder).iterdir() if s.name.endswith(ending)), key=lambda s: s.name)
    for source in sources:
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    return digest.hexdigest()
