"""`/healthz`: whether a reader who came now would find a whole snapshot; no word of what or where it is."""

import time
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from streamlit import runtime

from data.marts import NoSnapshot, Snapshot, current

# An answer holds for this many seconds: health is asked often and by anybody.
HOLDS = 1.0
# Readers are served in both; the second asks for the operator.
OK, INSTEAD = "ok", "ok, an earlier snapshot"


class Health:
    """What is known of the snapshot, for a second."""

    def __init__(self, marts: Path):
        self.marts = marts
        self.is_stopping = False
        self._state = ""
        self._until = 0.0

    async def answer(self, request: Request) -> PlainTextResponse:
        state = "stopping" if self.is_stopping else await self._held()
        return PlainTextResponse(state, 200 if state in (OK, INSTEAD) else 503)

    async def _held(self) -> str:
        if time.monotonic() >= self._until:
            # Taken before the work: who asks meanwhile gets the last answer, and the disk is asked once.
            self._until = time.monotonic() + HOLDS
            self._state = await run_in_threadpool(state_of, self.marts)
        return self._state or await run_in_threadpool(state_of, self.marts)


def state_of(marts: Path) -> str:
    """`ok`, or in a few words what is amiss."""
    try:
        if not runtime.exists() or runtime.get_instance().state.name in ("STOPPING", "STOPPED"):
            return "not ready"
        snapshot = current(marts)
        if not all(map(is_there, *files_of(snapshot))):
            return "snapshot damaged"
        return INSTEAD if getattr(snapshot, "instead_of", None) else OK
    except NoSnapshot:
        return "no snapshot"
    except Exception:
        return "snapshot damaged"


def files_of(snapshot: Snapshot) -> tuple[list[Path], list[int | None]]:
    """The snapshot's files and the sizes in bytes that its manifest names, None where it names none."""
    files = snapshot.manifest["files"]
    return [snapshot.folder / file["name"] for file in files], [file.get("bytes") for file in files]


def is_there(file: Path, size: int | None) -> bool:
    """A file of the size named; of an older manifest, one that could be Parquet at all."""
    found = file.stat()
    return found.st_size == size if size is not None else found.st_size > 8
