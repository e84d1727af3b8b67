"""Objects of a store that speaks S3, below `s3://bucket/prefix`, through the client that pyarrow brings."""

import os
import re
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):/+", re.IGNORECASE)
CONNECT_SECONDS, REQUEST_SECONDS, TRIES = 10, 120, 3
OBJECTS_AT_ONCE = 8
BYTES_AT_ONCE = 8 << 20


class Object(NamedTuple):
    """An object as the store lists it; name: below the prefix; modified_ns: in whole seconds.

    Some stores list milliseconds, and tell whole seconds of one object.
    """

    name: str
    size: int
    modified_ns: int


def scheme(named: str) -> str | None:
    found = SCHEME.match(named)
    return found[1].lower() if found else None


def endpoint() -> str | None:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None


class Prefix:
    """What lies below a URL, whose slashes may have run together; every method raises OSError as the store fails."""

    def __init__(self, url: str):
        self.root = SCHEME.sub("", url, count=1).rstrip("/")
        self._store = _connected()

    def __str__(self) -> str:
        return f"s3://{self.root}"

    def listed(self, below: str = "") -> list[Object]:
        """The objects whose names begin with the folder `below`, sorted; raises FileNotFoundError if there is none."""
        from pyarrow import fs

        folder = f"{self.root}/{below}".rstrip("/")
        return sorted(
            Object(info.path.removeprefix(f"{self.root}/"), info.size, _whole_seconds(info.mtime_ns))
            for info in self._store.get_file_info(fs.FileSelector(folder, recursive=True))
            if info.type == fs.FileType.File
        )

    def found(self, name: str) -> Object:
        """Raises FileNotFoundError."""
        from pyarrow import fs

        [info] = self._store.get_file_info([f"{self.root}/{name}"])
        if info.type != fs.FileType.File:
            raise FileNotFoundError(f"{self}/{name}: there is no such object")
        return Object(name, info.size, _whole_seconds(info.mtime_ns))

    def opened(self, name: str) -> BinaryIO:
        """To be read from its beginning to its end; raises FileNotFoundError."""
        return self._store.open_input_stream(f"{self.root}/{name}")

    def read(self, name: str, most: int) -> bytes:
        """A small object; raises OSError if it has more than `most` bytes."""
        with self.opened(name) as source:
            content = source.read(most + 1)
        if len(content) > most:
            raise OSError(f"{self}/{name}: has more than {most:,} bytes")
        return content

    def writing(self, name: str) -> BinaryIO:
        """The object is there once this is closed."""
        return self._store.open_output_stream(f"{self.root}/{name}")

    def write(self, name: str, content: bytes) -> None:
        with self.writing(name) as target:
            target.write(content)

    def remove(self, name: str) -> None:
        self._store.delete_file(f"{self.root}/{name}")


def _whole_seconds(ns: int) -> int:
    return ns // 10**9 * 10**9


def first_line(error: OSError) -> str:
    """What the client says of a failure, without the history of its tries."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def _connected() -> "FileSystem":
    """The store of the usual settings of AWS's tools: AWS_ENDPOINT_URL, AWS_REGION, AWS_PROFILE and so on."""
    # It takes a twentieth of a second, which no other command should wait for.
    from pyarrow import fs

    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return fs.S3FileSystem(
        endpoint_override=endpoint(),
        region=region or None,
        connect_timeout=CONNECT_SECONDS,
        request_timeout=REQUEST_SECONDS,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=TRIES),
        # A small object takes one request in place of three.
        allow_delayed_open=True,
    )
