"""The audit log: who read rows of Devices, and who took which file; a line of JSON each, appended, never changed."""

import fcntl
import json
import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from dashboard import access
from data.marts import Snapshot
from data.scopes import scope_in_words, scope_key

NAME = "audit.jsonl"
# A file that has grown beyond this is put aside under its time, and another begun.
MOST_BYTES = 20_000_000
DEVICES, FILE, QUARANTINE, LOGIN, LOGOUT = "devices", "file", "quarantine", "login", "logout"


class NotLogged(Exception):
    """What must be logged could not be; so it was not done."""


def folder() -> Path | None:
    """Where the log is: as configured, else beside the marts folder; None where nothing is served."""
    known = access.settings() if access.is_configured() else None
    marts = os.environ.get("PCO_MARTS")
    return (known and known.audit) or (Path(marts).absolute().parent / "audit" if marts else None)


def log(
    reader: access.Reader, what: str, snapshot: Snapshot | None, *, name: str = "", filters: str = "", rows: int = 0
) -> None:
    """Adds a line; where readers log in, what cannot be logged is refused."""
    line = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "who": reader.who,
        "role": reader.role,
        "session": reader.session[:16],
        "what": what,
        "name": name,
        "filters": filters,
        "rows": rows,
    }
    if snapshot is not None:
        line |= {
            "scope": scope_key(snapshot),
            "scope_in_words": scope_in_words(snapshot),
            "snapshot": snapshot.number,
            "built": snapshot.manifest["build_finished_at"],
        }
    where = folder()
    if where is None:
        return
    try:
        append(where, json.dumps(line, ensure_ascii=False))
    except OSError as error:
        logging.getLogger(__name__).error("the audit log cannot be written: %s", error)
        if access.is_configured():
            raise NotLogged("the audit log cannot be written") from error


def append(where: Path, line: str, most_bytes: int = MOST_BYTES) -> None:
    """Adds a line in one write; two processes that write at once lose and mix nothing."""
    where.mkdir(parents=True, exist_ok=True)
    with (where / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        file = where / NAME
        if file.exists() and file.stat().st_size > most_bytes:
            file.rename(where / f"audit-{datetime.now(UTC):%Y%m%dT%H%M%S%f}.jsonl")
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, (line + "\n").encode())
        finally:
            os.close(descriptor)


def logged(make: Callable[[], tuple[bytes, int]], snapshot: Snapshot, name: str, filters: str) -> Callable[[], bytes]:
    """A function that makes a file: it refuses a reader whose login has ended, and logs that the file was made.

    make: the file, and how many rows of a table it holds. The reader is who draws the button: the file is made later,
    outside of any page.
    """
    reader = access.of_this_run()

    def made() -> bytes:
        reader.refuse_ended()
        content, rows = make()
        log(reader, FILE, snapshot, name=name, filters=filters, rows=rows)
        return content

    return made
