"""Message logs: which there are, what tells them apart, and their lines in blocks.

No more of a log is ever held than a block or the longest line allowed, whatever is in it.
"""

import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

ENDINGS = (".ndjson", ".ndjson.gz", ".ndjson.zst")
MOST_LINE_BYTES = 8 << 20
BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Block:
    """Whole lines; `first` is the number of the first, from 1. `broken` is a rule that a line of its own breaks."""

    first: int
    lines: bytes
    broken: str | None = None


def logs_below(folder: Path) -> list[Path]:
    """The message logs below `folder`, by name."""
    return sorted(path for path in folder.rglob("*") if path.name.endswith(ENDINGS) and path.is_file())


def digest(path: Path, size: int, earlier: set[int]) -> tuple[str, set[str]]:
    """SHA-256 of the first `size` octets, and those of the first so many octets as it had earlier."""
    found, before, done = hashlib.sha256(), set(), 0
    with path.open("rb") as file:
        for until in sorted({mark for mark in earlier if mark < size} | {size}):
            while done < until and (part := file.read(min(BLOCK_BYTES, until - done))):
                found.update(part)
                done += len(part)
            if until < size:
                before.add(found.hexdigest())
    return found.hexdigest(), before


def blocks(path: Path, size: int) -> Iterator[tuple[Block, int]]:
    """Blocks of the log's first `size` octets as stored, each with the octets read by then."""
    with path.open("rb") as file:
        bounded = _Bounded(file, size)
        for block in _lines(_plain(path, bounded)):
            yield block, bounded.done


def _plain(path: Path, stored: "_Bounded") -> io.RawIOBase | io.BufferedIOBase | pa.NativeFile:
    if path.name.endswith(".gz"):
        return gzip.GzipFile(fileobj=io.BufferedReader(stored, BLOCK_BYTES))
    if path.name.endswith(".zst"):
        # Unlike zstandard's, Arrow's reader tells a log that was cut off from one that has ended. It takes a window of
        # at most 128 MiB, which is what `zstd --long` asks for.
        return pa.CompressedInputStream(pa.PythonFile(stored, "r"), "zstd")
    return stored


def _lines(stream: io.RawIOBase | io.BufferedIOBase | pa.NativeFile) -> Iterator[Block]:
    line, rest, too_long = 1, b"", False
    while True:
        try:
            part = stream.read(BLOCK_BYTES)
        except (OSError, EOFError, zlib.error, pa.ArrowException):
            # What was unpacked before is read; the line at which it ended is not whole.
            yield Block(line, b"", "log_can_be_unpacked")
            return
        if not part:
            break
        if too_long:
            _, end, part = part.partition(b"\n")
            if not end:
                continue
            yield Block(line, b"", "line_is_not_too_long")
            line, too_long = line + 1, False
        whole, end, tail = part.rpartition(b"\n")
        if end:
            block = rest + whole + end
            yield Block(line, block)
            line, rest = line + block.count(b"\n"), tail
        else:
            rest += tail
        if len(rest) > MOST_LINE_BYTES:
            rest, too_long = b"", True
    if too_long:
        yield Block(line, b"", "line_is_not_too_long")
    elif rest:
        yield Block(line, rest)


class _Bounded(io.RawIOBase):
    """The first `size` octets of a file: what is appended while it is read belongs to the next time."""

    def __init__(self, file: io.BufferedReader, size: int):
        self._file = file
        self._size = size
        self.done = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        part = self._file.read(min(len(buffer), self._size - self.done))
        buffer[: len(part)] = part
        self.done += len(part)
        return len(part)
