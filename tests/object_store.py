"""An object store of one bucket, in memory and on loopback: as much of S3 as our listing, fetching and putting take.

It lists a page of few objects at a time, as a real store lists a thousand, with milliseconds where it tells whole
seconds of one object, as some stores do. Signatures are not looked at.
"""

import hashlib
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import BinaryIO, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

OBJECTS_A_PAGE = 3
ERROR = "<Error><Code>{code}</Code><Message>{message}</Message></Error>"


class Put(NamedTuple):
    body: bytes
    at: datetime

    @property
    def listed_at(self) -> str:
        return f"{self.at:%Y-%m-%dT%H:%M:%S}.{self.at.microsecond // 1000:03}Z"

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(self.body, usedforsecurity=False).hexdigest()}"'


class ObjectStore:
    """objects: key -> what lies there. fetched, received: how often each key was asked for its bytes, or was put.

    refuses: whether a request, by its method and key, is denied. before: is told of each object before it is put.
    """

    def __init__(self, bucket: str, address: str = ""):
        self.bucket, self.address = bucket, address
        self.forget()

    def forget(self) -> None:
        """As at the beginning."""
        self.objects: dict[str, Put] = {}
        self.parts: dict[str, dict[int, bytes]] = {}
        self.fetched: Counter[str] = Counter()
        self.received: Counter[str] = Counter()
        self.refuses: Callable[[str, str], bool] = lambda method, key: False
        self.before: Callable[[str, str], None] = lambda method, key: None

    def put(self, key: str, body: bytes) -> None:
        self.objects[key] = Put(body, datetime.now(UTC))

    def listing(self, prefix: str, after: str) -> str:
        keys = sorted(key for key in self.objects if key.startswith(prefix) and key > after)
        page, more = keys[:OBJECTS_A_PAGE], keys[OBJECTS_A_PAGE:]
        contents = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>{put.listed_at}</LastModified>"
            f"<ETag>{escape(put.etag)}</ETag><Size>{len(put.body)}</Size></Contents>"
            for key, put in ((key, self.objects[key]) for key in page)
        )
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        return (
            f"<ListBucketResult><Name>{self.bucket}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(page)}</KeyCount>"
            f"<IsTruncated>{str(bool(more)).lower()}</IsTruncated>{token}{contents}</ListBucketResult>"
        )


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer leaves in one piece: the second of two would wait for the first to be acknowledged.
    wbufsize = -1
    server: "Server"

    def handle_expect_100(self) -> bool:
        goes_on = super().handle_expect_100()
        self.wfile.flush()
        return goes_on

    def asked(self) -> tuple[str, dict[str, str]]:
        """The key and what else is asked; without a key if the bucket is another."""
        url = urlsplit(self.path)
        bucket, _, key = unquote(url.path).lstrip("/").partition("/")
        asked = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        return (key if bucket == self.server.store.bucket else None), asked

    def do_GET(self) -> None:
        store = self.server.store
        key, asked = self.asked()
        if key is None:
            self.complain(404, "NoSuchBucket")
        elif store.refuses(self.command, key):
            self.complain(403, "AccessDenied")
        elif not key:
            self.answer(200, store.listing(asked.get("prefix", ""), asked.get("continuation-token", "")).encode())
        elif key not in store.objects:
            self.complain(404, "NoSuchKey")
        else:
            self.send_object(key)

    do_HEAD = do_GET

    def do_PUT(self) -> None:
        store, body = self.server.store, self.body()
        key, asked = self.asked()
        if self.is_let_in(key) and "uploadId" in asked:
            store.parts[asked["uploadId"]][int(asked["partNumber"])] = body
            self.answer(200, b"", ETag='"of a part"')
        elif self.is_let_in(key):
            self.received(key, body)
            self.answer(200, b"", ETag=store.objects[key].etag)
        else:
            self.complain(403, "AccessDenied")

    def do_POST(self) -> None:
        """Begins and completes an upload in parts."""
        store = self.server.store
        self.body()
        key, asked = self.asked()
        if not self.is_let_in(key):
            self.complain(403, "AccessDenied")
        elif "uploads" in asked:
            upload = str(len(store.parts))
            store.parts[upload] = {}
            self.answer(
                200,
                f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>".encode(),
            )
        else:
            parts = store.parts[asked["uploadId"]]
            self.received(key, b"".join(parts[number] for number in sorted(parts)))
            self.answer(200, b"<CompleteMultipartUploadResult/>")

    def do_DELETE(self) -> None:
        key, _ = self.asked()
        if self.is_let_in(key):
            self.server.store.objects.pop(key, None)
            self.answer(204, b"")
        else:
            self.complain(403, "AccessDenied")

    def is_let_in(self, key: str | None) -> bool:
        return key is not None and not self.server.store.refuses(self.command, key)

    def received(self, key: str, body: bytes) -> None:
        self.server.store.before(self.command, key)
        self.server.store.received[key] += 1
        self.server.store.put(key, body)

    def body(self) -> bytes:
        """What is sent: in pieces, and the pieces in signed pieces again."""
        if self.headers.get("Transfer-Encoding") == "chunked":
            sent = pieces(self.rfile)
        else:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return pieces(BytesIO(sent)) if "aws-chunked" in self.headers.get("Content-Encoding", "") else sent

    def complain(self, status: int, code: str) -> None:
        self.answer(status, ERROR.format(code=code, message="It cannot be had.").encode())

    def send_object(self, key: str) -> None:
        put = self.server.store.objects[key]
        self.server.store.fetched[key] += self.command == "GET"
        described = {"ETag": put.etag, "Last-Modified": format_datetime(put.at, usegmt=True)}
        part = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or "")
        if part is None:
            self.answer(200, put.body, **described)
            return
        first, last = int(part[1]), min(int(part[2]), len(put.body) - 1)
        described["Content-Range"] = f"bytes {first}-{last}/{len(put.body)}"
        self.answer(206, put.body[first : last + 1], **described)

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/xml", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *said) -> None:
        pass


def pieces(sent: BinaryIO) -> bytes:
    """The bytes of pieces that each have their length, in hexadecimal, before them; a last one is empty."""
    whole = bytearray()
    while size := int(sent.readline().split(b";")[0], 16):
        whole += sent.read(size)
        sent.readline()
    while sent.readline().strip():
        pass
    return bytes(whole)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, store: ObjectStore):
        super().__init__(("127.0.0.1", 0), Handler)
        self.store = store


@contextmanager
def serving(bucket: str) -> Iterator[ObjectStore]:
    store = ObjectStore(bucket)
    with Server(store) as server:
        store.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield store
        finally:
            server.shutdown()
            thread.join()
