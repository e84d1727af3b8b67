"""Where extracts and marts are: a path, a `file:` URL, or, for extracts, `s3://bucket/prefix` in an object store.

Objects are fetched into a folder beside the snapshots, those alone that changed since, and are read there like any
other files. Only bytes are copied here, and nothing in them is looked at. Rejected: reading them where they lie, for
which DuckDB downloads an extension and asks for the same bytes at each of its passes.
"""

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from data.extracts import MOST_BYTES_A_FILE, MOST_BYTES_IN_ALL, MOST_FILES, InputRefused, printable
from data.marts import locked, sync, write_durably

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

STAGE = "Fetching the extracts (bytes)"
FETCHED, NOTE = "fetched", "fetched.json"
OBJECTS_AT_ONCE = 8
BYTES_AT_ONCE = 8 << 20
CONNECT_SECONDS, REQUEST_SECONDS, TRIES = 10, 120, 3
# Stores tell the time of a change by the second, and by a clock of their own.
SETTLED_SECONDS = 3600
SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):/+", re.IGNORECASE)
Progress = Callable[[str, int, int], None]


class Object(NamedTuple):
    """An object as the store lists it; name: below the prefix."""

    name: str
    size: int
    modified_ns: int


def place(named: str) -> Path:
    """The folder that a path or a `file:` URL names; raises RuntimeError for a URL of another kind.

    A path of a URL arrives with its slashes run together.
    """
    scheme = _scheme(named)
    if scheme is None:
        return Path(named)
    if scheme != "file":
        raise RuntimeError(
            f"{named}: only pco build --extracts takes an object store (s3:); mount the store, or copy it"
        )
    return Path(unquote(re.sub(r"^/+(localhost(?=/))?/*", "/", named[len("file:") :])))


def extracts_at(named: str, marts: Path, progress: Progress = lambda stage, done, total: None) -> Path:
    """The folder of the extracts: `place`, or of an object store the folder that they are fetched into.

    Raises `InputRefused` naming each object that cannot be fetched, and OSError if the store cannot be asked.
    """
    if _scheme(named) != "s3":
        return place(named)
    root = SCHEME.sub("", named, count=1).rstrip("/")
    store = _connected()
    objects = _listed(store, root)
    marts.mkdir(parents=True, exist_ok=True)
    with locked(marts):
        _fetch(store, root, objects, marts, progress)
    return marts / FETCHED


def _scheme(named: str) -> str | None:
    found = SCHEME.match(named)
    return found[1].lower() if found else None


def _connected() -> "FileSystem":
    """The store of the usual settings of AWS's tools: AWS_ENDPOINT_URL, AWS_REGION, AWS_PROFILE and so on."""
    # It takes a twentieth of a second, which no other build should wait for.
    from pyarrow import fs

    asked = os.environ
    endpoint = asked.get("AWS_ENDPOINT_URL_S3") or asked.get("AWS_ENDPOINT_URL")
    region = asked.get("AWS_REGION") or asked.get("AWS_DEFAULT_REGION")
    return fs.S3FileSystem(
        endpoint_override=endpoint or None,
        region=region or None,
        connect_timeout=CONNECT_SECONDS,
        request_timeout=REQUEST_SECONDS,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=TRIES),
    )


def _listed(store: "FileSystem", root: str) -> list[Object]:
    from pyarrow import fs

    try:
        infos = store.get_file_info(fs.FileSelector(root, recursive=True))
    except FileNotFoundError as error:
        raise InputRefused([f"s3://{root}: no such folder"]) from error
    found = [
        Object(info.path.removeprefix(f"{root}/"), info.size, info.mtime_ns)
        for info in infos
        if info.type == fs.FileType.File
    ]
    if problems := list(_too_much(found, root)) + [_problem(one, reason) for one in found if (reason := _odd(one))]:
        raise InputRefused(problems)
    return sorted(found)


def _too_much(objects: list[Object], root: str) -> Iterator[str]:
    size = sum(one.size for one in objects)
    if len(objects) > MOST_FILES:
        yield f"s3://{root}: has {len(objects):,} files, more than {MOST_FILES:,}"
    if size > MOST_BYTES_IN_ALL:
        yield f"s3://{root}: has {size:,} bytes, more than {MOST_BYTES_IN_ALL:,}"


def _odd(one: Object) -> str | None:
    """Why the object cannot be a file below a folder."""
    if {"", ".", ".."} & set(one.name.split("/")) or "\0" in one.name:
        return "its name is not that of a file below the folder"
    if one.size > MOST_BYTES_A_FILE:
        return f"has {one.size:,} bytes, more than {MOST_BYTES_A_FILE:,}"
    return None


def _problem(one: Object, reason: str) -> str:
    return f"{printable(one.name)}: {reason}"


def _fetch(store: "FileSystem", root: str, objects: list[Object], marts: Path, progress: Progress) -> None:
    """Makes the folder hold these objects and nothing else; the lock is held."""
    into, work = marts / FETCHED, marts / f".draft-fetched-{os.getpid()}"
    known = _known(marts, root)
    missing = [one for one in objects if known.get(one.name) != one or not _is_there(one, into)]
    _remove_but({one.name for one in objects} - {one.name for one in missing}, into)
    work.mkdir()
    started, done, total = time.time_ns(), 0, sum(one.size for one in missing)
    problems = []
    try:
        with ThreadPoolExecutor(OBJECTS_AT_ONCE) as pool:
            copies = {
                pool.submit(_copy, store, root, one, work / str(number), into): one
                for number, one in enumerate(missing)
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
    told = {"root": root, "objects": settled}
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


def _copy(store: "FileSystem", root: str, one: Object, beside: Path, into: Path) -> str | None:
    """Why the object could not be fetched; a file has its name once it is whole."""
    path, to = f"{root}/{one.name}", into / one.name
    try:
        with store.open_input_stream(path) as source, beside.open("wb") as target:
            shutil.copyfileobj(source, target, BYTES_AT_ONCE)
        [info] = store.get_file_info([path])
        if (info.size, info.mtime_ns) != one[1:] or beside.stat().st_size != one.size:
            return "changed while it was fetched"
        sync(beside)
        to.parent.mkdir(parents=True, exist_ok=True)
        beside.replace(to)
    except OSError as error:
        return f"cannot be fetched ({str(error).splitlines()[0]})"
    return None
