"""Runs a function on files that are not ours in a child process with limits, so that a file that kills its reader
kills no more than that child.

    run("data.extracts:inspected", files, limits=Limits(memory_bytes=2 << 30))

A helper process is started once: it imports, opens nothing and starts no work, and forks one child a call (about
10 ms; a fresh Python with DuckDB and pyarrow takes 0.3 s). This process has threads and is never forked. What comes
back is JSON of plain values: whatever a file does to the child, nothing of it is run here.
"""

import atexit
import ctypes
import errno
import importlib
import json
import os
import resource
import selectors
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

# With duckdb 2.0, polars 2.1 and pyarrow 26 a connected child on 2 cores has reserved 1.5 GB of address space, of which
# 0.27 GB are data (what may be written): the address space says nothing, so data is what is limited.
READY_BYTES = 512 << 20
MOST_MEMORY_BYTES = 4 << 30
MOST_SECONDS = 6 * 3600.0
# A child that was taken over must not fill this process with what it says.
MOST_SAID_BYTES = 256 << 20
COMPLAINT_BYTES = 8 << 10
# How much longer than its time a child is waited for before its helper is given up as well.
PATIENCE = 10.0
NO_NEW_PRIVILEGES, DIE_WITH_PARENT = 38, 1
HEADER = struct.Struct("!Q")

MEMORY, TIME, FILE_SIZE, SIGNAL, STATUS = "memory", "time", "file size", "signal", "status"
# What Rust, C++, Arrow and DuckDB say when memory is refused to them, and the system when a thread is.
OF_MEMORY = ("memory allocation of", "bad_alloc", "out of memory", "cannot allocate memory", "temporarily unavailable")


@dataclass(frozen=True)
class Limits:
    """What a child may use.

    memory_bytes: data that may be written, above what the libraries take to be ready. seconds: of time by the clock,
    and of processor time for each core. file_bytes: of any one file that it writes; 0 for no file at all.
    """

    memory_bytes: int = MOST_MEMORY_BYTES
    seconds: float = MOST_SECONDS
    file_bytes: int = 0


class ChildDied(Exception):
    """The child ended before it had a result; `reason` is MEMORY, TIME, FILE_SIZE, SIGNAL or STATUS."""

    def __init__(self, reason: str, says: str):
        super().__init__(says)
        self.reason = reason


class ChildFailed(Exception):
    """The function raised an exception that the caller did not name; `kind` is that exception's name."""

    def __init__(self, kind: str, message: str):
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.message = message


Progress = Callable[..., None]


def run(
    function: str | Callable,
    *arguments,
    limits: Limits | None = None,
    progress: Progress | None = None,
    raises: tuple[type[Exception], ...] = (),
):
    """The function's result, worked out in a child.

    function: `module:name`, or a function of a module. Arguments, progress, result and the arguments of exceptions
    are plain values (what JSON has; a tuple arrives as a list). With `progress` the function gets one more argument
    of that name, and what it is called with is passed on. An exception of a class in `raises` is raised here anew,
    any other as `ChildFailed`; the end of a child as `ChildDied`.
    """
    limits = limits or Limits()
    named = function if isinstance(function, str) else f"{function.__module__}:{function.__qualname__}"
    asked = {
        "function": named,
        "arguments": arguments,
        "limits": asdict(limits),
        "progress": progress is not None,
    }
    heard = _Heard(progress or (lambda *told: None))
    with _a_helper() as helper:
        status = helper.call(json.dumps(asked).encode(), heard, limits.seconds + PATIENCE)
    return heard.result(status, limits, {_name_of(kind): kind for kind in raises})


def _name_of(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


# -- in the process that asks ------------------------------------------------------------------------


class _Heard:
    """What a child has said so far: lines of JSON, and the end of what it and its libraries complained of."""

    def __init__(self, progress: Progress):
        self._progress = progress
        self._rest: list[bytes] = []
        self._bytes = 0
        self._complaint = b""
        self._said: dict | None = None

    def said(self, some: bytes) -> None:
        self._bytes += len(some)
        if self._bytes > MOST_SAID_BYTES:
            raise ChildDied(STATUS, "it said more than an answer can be")
        if b"\n" not in some:
            self._rest.append(some)
            return
        *lines, rest = b"".join([*self._rest, some]).split(b"\n")
        self._rest = [rest]
        for line in lines:
            self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            told = json.loads(line)
            progress = told.get("progress")
        except (ValueError, AttributeError, RecursionError) as error:
            raise ChildDied(STATUS, "what it said is no answer") from error
        if progress is None:
            self._said = told
        else:
            self._progress(*progress)

    def complained(self, some: bytes) -> None:
        self._complaint = (self._complaint + some)[-COMPLAINT_BYTES:]

    def result(self, ended: dict, limits: Limits, raises: dict[str, type[Exception]]):
        said = self._said or {}
        if ended["timed_out"]:
            raise ChildDied(TIME, f"it took more than {limits.seconds:g} s")
        if "result" in said and ended["status"] == 0:
            return said["result"]
        if "kind" in said:
            _raise(said, raises, limits)
        raise self._death(ended["status"], limits)

    def _death(self, status: int, limits: Limits) -> ChildDied:
        complaint = self._complaint.decode(errors="replace")
        if any(words in complaint.lower() for words in OF_MEMORY):
            return ChildDied(MEMORY, _too_much_memory(limits))
        if status >= 0:
            return ChildDied(STATUS, f"it ended with status {status}")
        number = -status
        if number == signal.SIGXCPU:
            return ChildDied(TIME, f"it took more than {limits.seconds:g} s on each core")
        if number == signal.SIGXFSZ:
            return ChildDied(FILE_SIZE, _too_large_a_file(limits))
        return ChildDied(SIGNAL, f"it ended by {signal.Signals(number).name}")


def _raise(said: dict, raises: dict[str, type[Exception]], limits: Limits) -> None:
    kind, arguments = str(said["kind"]), said.get("arguments")
    if kind in raises and isinstance(arguments, list):
        raise raises[kind](*arguments)
    message = (str(said.get("message")).splitlines() or [""])[0]
    if said.get("reason") == MEMORY:
        raise ChildDied(MEMORY, f"{_too_much_memory(limits)} ({message})" if message else _too_much_memory(limits))
    if said.get("reason") == FILE_SIZE:
        raise ChildDied(FILE_SIZE, f"{_too_large_a_file(limits)} ({message})")
    raise ChildFailed(kind.rpartition(":")[2], str(said.get("message")))


def _too_much_memory(limits: Limits) -> str:
    return f"it asked for more memory than {limits.memory_bytes / 2**30:.2g} GiB"


def _too_large_a_file(limits: Limits) -> str:
    return f"it wrote a file of more than {limits.file_bytes:,} bytes"


_idle: list["_Helper"] = []
_lock = threading.Lock()


@contextmanager
def _a_helper() -> Iterator["_Helper"]:
    """A helper that is free: each serves one call at a time. One whose call was broken off is not used again."""
    with _lock:
        helper = _idle.pop() if _idle else None
    if helper is None or not helper.is_ready():
        helper = _Helper()
    try:
        yield helper
    finally:
        if helper.is_ready():
            with _lock:
                _idle.append(helper)
        else:
            helper.stop()


@atexit.register
def stop_helpers() -> None:
    """Ends the helper processes; the next call starts one anew."""
    with _lock:
        stopped, _idle[:] = _idle[:], []
    for helper in stopped:
        helper.stop()


class _Helper:
    """The process that forks children; it ends, and its child with it, when the other end of its socket is closed."""

    def __init__(self) -> None:
        self._owner = os.getpid()
        self._busy = False
        self._socket, theirs = socket.socketpair()
        # The current folder may be one of extracts, and hold what looks like a module.
        path = [str(Path(entry).absolute()) for entry in sys.path]
        code = f"import sys; sys.path[:] = {path!r}; from data.sandbox import serve; serve({theirs.fileno()})"
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", code],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                # An interrupt of the terminal is for this process, which then ends its child.
                start_new_session=True,
                # Threads of a library that no child needs.
                env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            )

    def is_ready(self) -> bool:
        return not self._busy and self._owner == os.getpid() and self._process.poll() is None

    def stop(self) -> None:
        self._socket.close()
        if self._owner != os.getpid():
            return
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def call(self, asked: bytes, heard: _Heard, seconds: float) -> dict:
        """How the child ended; what it says on the way goes to `heard`."""
        self._busy = True
        said, saying = os.pipe()
        complaint, complaining = os.pipe()
        try:
            socket.send_fds(self._socket, [HEADER.pack(len(asked))], [saying, complaining])
            os.close(saying), os.close(complaining)
            saying = complaining = -1
            self._socket.sendall(asked)
            ended = self._listen({said: heard.said, complaint: heard.complained}, time.monotonic() + seconds)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise ChildDied(STATUS, "its helper ended") from error
        finally:
            for descriptor in (said, complaint, saying, complaining):
                if descriptor >= 0:
                    os.close(descriptor)
        self._busy = False
        return ended

    def _listen(self, takers: dict[int, Callable[[bytes], None]], give_up: float) -> dict:
        answer = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            for descriptor in takers:
                os.set_blocking(descriptor, False)
                selector.register(descriptor, selectors.EVENT_READ)
            while not answer.endswith(b"\n"):
                for key, _ in selector.select(max(0.0, give_up - time.monotonic())):
                    if key.fileobj is self._socket:
                        some = self._socket.recv(4096)
                        if not some:
                            raise ChildDied(STATUS, "its helper ended")
                        answer += some
                    elif not _take(key.fd, takers[key.fd]):
                        selector.unregister(key.fd)
                if time.monotonic() > give_up and not answer:
                    raise ChildDied(TIME, "it did not end when its time was up")
            for descriptor, taker in takers.items():
                while _take(descriptor, taker):
                    pass
        return json.loads(answer)


def _take(descriptor: int, taker: Callable[[bytes], None]) -> bool:
    """Whether there was something to read."""
    try:
        some = os.read(descriptor, 1 << 16)
    except BlockingIOError:
        return False
    taker(some)
    return bool(some)


# -- in the helper -----------------------------------------------------------------------------------


def serve(descriptor: int) -> None:
    """Forks a child for each call that arrives, one after the other, until the other end is closed."""
    with socket.socket(fileno=descriptor) as control:
        while True:
            header, descriptors, _, _ = socket.recv_fds(control, HEADER.size, 2)
            if not header:
                return
            asked = _received(control, HEADER.unpack(header)[0])
            if asked is None:
                return
            call = json.loads(asked)
            with suppress(Exception):
                # What is imported here is there for each child; a child that cannot import it tells why.
                importlib.import_module(call["function"].partition(":")[0])
            with warnings.catch_warnings():
                # Threads of allocators, which know how to be forked.
                warnings.simplefilter("ignore", DeprecationWarning)
                pid = os.fork()
            if pid == 0:
                _be_the_child(control, call, *descriptors)
            for one in descriptors:
                os.close(one)
            if not _wait_for(pid, control, call["limits"]["seconds"]):
                return


def _received(control: socket.socket, size: int) -> bytes | None:
    parts = []
    while size:
        some = control.recv(min(size, 1 << 20))
        if not some:
            return None
        parts.append(some)
        size -= len(some)
    return b"".join(parts)


def _wait_for(pid: int, control: socket.socket, seconds: float) -> bool:
    """Waits for the child, ends it when its time is up, and tells how it ended; False when nobody listens any more."""
    handle = os.pidfd_open(pid)
    with selectors.DefaultSelector() as selector:
        selector.register(handle, selectors.EVENT_READ)
        selector.register(control, selectors.EVENT_READ)
        ready = {key.fileobj for key, _ in selector.select(seconds)}
    os.close(handle)
    ended = handle in ready
    if not ended:
        os.kill(pid, signal.SIGKILL)
    with suppress(ProcessLookupError, PermissionError):
        # Whatever it started and left behind.
        os.killpg(pid, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if control in ready and not ended:
        return False
    try:
        control.sendall(json.dumps({"status": status, "timed_out": not ended}).encode() + b"\n")
    except OSError:
        return False
    return True


# -- in the child ------------------------------------------------------------------------------------


def _be_the_child(control: socket.socket, call: dict, saying: int, complaining: int) -> None:
    status = 1
    try:
        control.close()
        os.setsid()
        os.dup2(complaining, 1)
        os.dup2(complaining, 2)
        _confine(Limits(**call["limits"]))
        said = _answer(call, saying)
        _write(saying, json.dumps(said).encode() + b"\n")
        status = 0
    finally:
        # No exit handler, no destructor of a library whose state a file may have spoilt.
        os._exit(status)


def _confine(limits: Limits) -> None:
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    helper = os.getppid()
    prctl(DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != helper:
        os._exit(1)
    prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    seconds = int(limits.seconds * (os.cpu_count() or 1)) + 1
    for limit, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_DATA, limits.memory_bytes + READY_BYTES),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
    ):
        most = resource.getrlimit(limit)[1]
        value = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(limit, (value, value))


def _answer(call: dict, saying: int) -> dict:
    lock = threading.Lock()

    def progress(*told) -> None:
        with lock:
            _write(saying, json.dumps({"progress": told}).encode() + b"\n")

    try:
        module, _, name = call["function"].partition(":")
        function = getattr(importlib.import_module(module), name)
        more = {"progress": progress} if call["progress"] else {}
        answer = {"result": function(*call["arguments"], **more)}
        json.dumps(answer)
    except BaseException as error:
        return {
            "kind": _name_of(type(error)),
            "reason": _reason(error),
            "message": str(error),
            "arguments": _plain(error.args),
        }
    return answer


def _write(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


def _reason(error: BaseException) -> str | None:
    said = str(error).lower()
    if isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__:
        return MEMORY
    if getattr(error, "errno", None) == errno.EFBIG or "file too large" in said:
        return FILE_SIZE
    return MEMORY if any(words in said for words in OF_MEMORY) else None


def _plain(arguments: tuple) -> list:
    try:
        json.dumps(arguments)
    except (TypeError, ValueError):
        return [str(argument) for argument in arguments]
    return list(arguments)
