"""What the bytes of a file are: its digest, and the sender's list of them, `SHA256SUMS` in the extracts folder.

The list is what `sha256sum` writes: a digest, two spaces (or a space and `*`), and a name below the folder; a line that
begins with a backslash has `\\n` and `\\\\` in its name.
"""

import hashlib
import os
import re
import stat
from pathlib import Path, PurePosixPath
from typing import BinaryIO

SUMS = "SHA256SUMS"
MOST_SUMS_BYTES = 128 << 20
LINE = re.compile(r"(?P<escaped>\\?)(?P<digest>[0-9A-Fa-f]{64}) [ *](?P<name>.+)", re.DOTALL)
CHANGED = "changed while it was read"
# Two changes within so much time may leave a file with one time of change.
SETTLED_NANOSECONDS = 2_000_000_000


def identity(path: Path) -> tuple[int, int, int, int]:
    """(bytes, nanoseconds of the last change of content and of anything, inode): another if the file is rewritten."""
    told = path.lstat()
    return told.st_size, told.st_mtime_ns, told.st_ctime_ns, told.st_ino


def settled(told: tuple[int, ...], now: int) -> bool:
    """Whether the identity can stand for the content later: not if the file changed a moment ago, or in the future."""
    return max(told[1], told[2]) < now - SETTLED_NANOSECONDS


def opened(path: Path) -> BinaryIO:
    """The regular file, to read; never by way of a link, and never waiting for whoever writes a pipe."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError("is no regular file")
    return os.fdopen(descriptor, "rb")


def digest_of(path: Path, before: tuple[int, ...] | None) -> dict[str, str]:
    """{sha256}, or {problem}; `before` is the identity that the file must have, before and after."""
    try:
        with opened(path) as content:
            before = before or identity(path)
            sha256 = hashlib.file_digest(content, "sha256").hexdigest()
        return {"sha256": sha256} if identity(path) == before else {"problem": CHANGED}
    except (OSError, ValueError):
        return {"problem": "cannot be read any more"}


def sums_in(folder: str) -> tuple[dict[str, str], list[str]]:
    """Name -> digest as the sender lists them, and a line for each thing that is wrong with the list."""
    with opened(Path(folder) / SUMS) as file:
        content = file.read(MOST_SUMS_BYTES + 1)
    if len(content) > MOST_SUMS_BYTES:
        return {}, [f"has more than {MOST_SUMS_BYTES:,} bytes"]
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return {}, ["is no UTF-8"]
    listed: dict[str, str] = {}
    problems = []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.removesuffix("\r")
        if not line:
            continue
        found = LINE.fullmatch(line)
        name = _name(found["name"], bool(found["escaped"])) if found else None
        if name is None:
            problems.append(f"line {number} is no digest and name of a file below the folder")
        elif listed.setdefault(name, found["digest"].lower()) != found["digest"].lower():
            problems.append(f"line {number} names a file that stands there with another digest")
    if not listed and not problems:
        problems.append("lists no file")
    return listed, problems


def _name(written: str, escaped: bool) -> str | None:
    if escaped:
        if re.search(r"\\(?![\\nr])", written.replace("\\\\", "")):
            return None
        written = re.sub(r"\\([\\nr])", lambda found: {"n": "\n", "r": "\r"}.get(found[1], "\\"), written)
    path = PurePosixPath(written)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in written:
        return None
    return path.as_posix()


def problems_of_sums(
    listed: dict[str, str], told: dict[str, str | None], others: dict[str, dict]
) -> list[tuple[str, str]]:
    """(name, reason) of each file that is not as listed.

    told: digest of each extract file. others: what `digest_of` says of the listed files that are none.
    """
    problems = []
    for name, digest in told.items():
        if name not in listed:
            problems.append((name, f"is not listed in {SUMS}"))
        elif digest is not None and digest != listed[name]:
            problems.append((name, f"is not the file of {SUMS}: its SHA-256 differs"))
    for name, answer in others.items():
        if "sha256" not in answer:
            problems.append((name, f"is listed in {SUMS} and cannot be read here"))
        elif answer["sha256"] != listed[name]:
            problems.append((name, f"is not the file of {SUMS}: its SHA-256 differs"))
    return sorted(problems)
