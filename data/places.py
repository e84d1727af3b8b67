"""Where extracts and marts are: a path, a `file:` URL, or `s3://bucket/prefix` in an object store.

Objects are fetched into a folder here, those alone that changed since, and are read there like any other files: of
extracts, beside the snapshots; of marts, a mirror (`data/mirror.py`). Only bytes are copied here, and nothing in them
is looked at. Rejected: reading them where they lie, for which DuckDB downloads an extension and asks for the same
bytes at each of its passes.
"""

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from urllib.parse import unquote

from data import s3
from data.extracts import MOST_BYTES_A_FILE, MOST_BYTES_IN_ALL, MOST_FILES, InputRefused, printable
from data.marts import locked, sync, write_durably
from data.mirror import Mirror, Published
from data.s3 import Object

STAGE = "Fetching the extracts (bytes)"
FETCHED, NOTE = "fetched", "fetched.json"
# Stores tell the time of a change by the second, and by a clock of their own.
SETTLED_SECONDS = 3600
Progress = Callable[[str, int, int], None]


def place(named: str) -> Path:
    """The folder that a path or a `file:` URL names; raises RuntimeError for a URL of another kind.

    A path of a URL arrives with its slashes run together.
    """
    scheme = s3.scheme(named)
    if scheme is None:
        return Path(named)
    if scheme == "s3":
        raise RuntimeError(f"{named}: an object store (s3:) is taken by --marts and by --extracts of pco build alone")
    if scheme != "file":
        raise RuntimeError(f"{named}: only paths, file: and s3: are known; mount the store, or copy it")
    return Path(unquote(re.sub(r"^/+(localhost(?=/))?/*", "/", named[len("file:") :])))


def marts_at(named: str) -> Published:
    """The marts of a path, a `file:` URL or an object store; of the last a mirror, which `pull` brings up to date."""
    return Mirror(named) if s3.scheme(named) == "s3" else Published(place(named))


def extracts_at(named: str, marts: Path, progress: Progress = lambda stage, done, total: None) -> Path:
    """The folder of the extracts: `place`, or of an object store the folder that they are fetched into.

    Raises `InputRefused` naming each object that cannot be fetched, and OSError if the store cannot be asked.
    """
    if s3.scheme(named) != "s3":
        return place(named)
    prefix = s3.Prefix(named)
    objects = _listed(prefix)
    marts.mkdir(parents=True, exist_ok=True)
    with locked(marts):
        _fetch(prefix, objects, marts, progress)
    return marts / FETCHED


def _listed(prefix: s3.Prefix) -> list[Object]:
    try:
        found = prefix.listed()
    except FileNotFoundError as error:
        raise InputRefused([f"{prefix}: no such folder"]) from error
    if problems := list(_too_much(found, prefix)) + [_problem(one, reason) for one in found if (reason := _odd(one))]:
        raise InputRefused(problems)
    return found


def _too_much(objects: list[Object], prefix: s3.Prefix) -> Iterator[str]:
    size = sum(one.size for one in objects)
    if len(objects) > MOST_FILES:
        yield f"{prefix}: has {len(objects):,} files, more than {MOST_FILES:,}"
    if size > MOST_BYTES_IN_ALL:
        yield f"{prefix}: has {size:,} bytes, more than {MOST_BYTES_IN_ALL:,}"


def _odd(one: Object) -> str | None:
    """Why the object cannot be a file below a folder."""
    if {"", ".", ".."} & set(one.name.split("/")) or "\0" in one.name:
        return "its name is not that of a file below the folder"
    if one.size > MOST_BYTES_A_FILE:
        return f"has {one.size:,} bytes, more than {MOST_BYTES_A_FILE:,}"
    return None


def _problem(one: Object, reason: str) -> str:
    return f"{printable(one.name)}: {reason}"


def _fetch(prefix: s3.Prefix, objects: list[Object], marts: Path, progress: Progress) -> None:
    """Makes the folder hold these objects and nothing else; the lock is held."""
    into, work = marts / FETCHED, marts / f".draft-fetched-{os.getpid()}"
    known = _known(marts, prefix.root)
    missing = [one for one in objects if known.get(one.name) != one or not _is_there(one, into)]
    _remove_but({one.name for one in objects} - {one.name for one in missing}, into)
    work.mkdir()
    started, done, total = time.time_ns(), 0, sum(one.size for one in missing)
    problems = []
    try:
        with ThreadPoolExecutor(s3.OBJECTS_AT_ONCE) as pool:
            copies = {
                pool.submit(_copy, prefix, one, work / str(number), into): one for number, one in enumerate(missing)
            }
            for copy in as_completed(copies):
                one, reason = copies[copy], copy.result()
                problems += [_problem(one, reason)] if reason else []
                done += one.size
                progress(STAGE, done, total)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if problems:
        raise InputRefused(sorted(problems))
    lasting = started - SETTLED_SECONDS * 10**9
    settled = [one for one in objects if known.get(one.name) == one or one.modified_ns < lasting]
    told = {"root": prefix.root, "objects": settled}
    write_durably(marts / NOTE, json.dumps(told).encode())


def _known(marts: Path, root: str) -> dict[str, Object]:
    """Name -> the object that was fetched, of those that cannot have changed and look the same."""
    try:
        told = json.loads((marts / NOTE).read_bytes())
        return {one.name: one for one in map(Object._make, told["objects"])} if told["root"] == root else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _is_there(one: Object, into: Path) -> bool:
    file = into / one.name
    return file.is_file() and not file.is_symlink() and file.stat().st_size == one.size


def _remove_but(names: set[str], into: Path) -> None:
    for file in list(into.rglob("*")):
        if not file.is_dir() and file.relative_to(into).as_posix() not in names:
            file.unlink()
    for folder in sorted((f for f in into.rglob("*") if f.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()


def _copy(prefix: s3.Prefix, one: Object, beside: Path, into: Path) -> str | None:
    """Why the object could not be fetched; a file has its name once it is whole."""
    to = into / one.name
    try:
        with prefix.opened(one.name) as source, beside.open("wb") as target:
            shutil.copyfileobj(source, target, s3.BYTES_AT_ONCE)
        if prefix.found(one.name) != one or beside.stat().st_size != one.size:
            return "changed while it was fetched"
        sync(beside)
        to.parent.mkdir(parents=True, exist_ok=True)
        beside.replace(to)
    except OSError as error:
        return f"cannot be fetched ({s3.first_line(error)})"
    return None
