"""An object store of one bucket, in memory and on loopback: as much of S3 as listing and fetching take.

It lists a page of few objects at a time, as a real store lists a thousand. Signatures are not looked at.
"""

import hashlib
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

OBJECTS_A_PAGE = 3
NOT_FOUND = "<Error><Code>{code}</Code><Message>There is none.</Message></Error>"


class Put(NamedTuple):
    body: bytes
    at: datetime

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(self.body, usedforsecurity=False).hexdigest()}"'


class ObjectStore:
    """objects: key -> what lies there. fetched: how often each key was asked for its bytes."""

    def __init__(self, bucket: str, address: str = ""):
        self.bucket, self.address = bucket, address
        self.objects: dict[str, Put] = {}
        self.fetched: Counter[str] = Counter()

    def put(self, key: str, body: bytes) -> None:
        self.objects[key] = Put(body, datetime.now(UTC))

    def listing(self, prefix: str, after: str) -> str:
        keys = sorted(key for key in self.objects if key.startswith(prefix) and key > after)
        page, more = keys[:OBJECTS_A_PAGE], keys[OBJECTS_A_PAGE:]
        contents = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>{put.at:%Y-%m-%dT%H:%M:%S.000Z}</LastModified>"
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
    server: "Server"

    def do_GET(self) -> None:
        store, url = self.server.store, urlsplit(self.path)
        bucket, _, key = unquote(url.path).lstrip("/").partition("/")
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        if bucket != store.bucket:
            self.answer(404, NOT_FOUND.format(code="NoSuchBucket").encode())
        elif not key:
            self.answer(200, store.listing(asked.get("prefix", ""), asked.get("continuation-token", "")).encode())
        elif key not in store.objects:
            self.answer(404, NOT_FOUND.format(code="NoSuchKey").encode())
        else:
            self.send_object(key)

    do_HEAD = do_GET

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
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *said) -> None:
        pass


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
