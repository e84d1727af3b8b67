"""`pco ingest`: message logs to the extracts `service_responses` and `credential_reads`, and the messages themselves.

Each log is decoded once, to `OUT/ingested/decoded/`, where its digest stands for it; the extracts are then put
together from all that were ever decoded there, so a log that comes later gives what one run over all would. A log that
another decoder than today's has read is read anew; if it is gone, nothing is made.
`OUT/ingested/quarantine.jsonl` has a line for each line of a log that breaks a rule: file, line, rule. `pco build`
ignores the folder, and says so.
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from multiprocessing import get_context
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from data.extracts import InputRefused, printable
from data.messages import join, lines, logs
from data.messages.logs import Block

Progress = Callable[[str, int, int], None]

EXTRACTS = tuple(join.SCHEMAS)
# What decides what a log is decoded to, below `data/`.
DECODER = (*(f"messages/{name}.py" for name in ("duis", "gbcs", "lines", "logs", "status")), "reference/cells.csv")
# Beside the extracts: what is decoded, and which lines are quarantined.
KEPT = "ingested"
# Blocks on the way to each worker process: enough that none waits, few enough to hold.
BLOCKS_A_WORKER = 3
# Starting processes takes longer than reading this many octets.
WORTH_PROCESSES = 8 << 20
MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Ingested:
    files: int  # logs of which the extracts are made
    decoded: int  # of them, those decoded this time
    lines: int
    service_responses: int
    credential_reads: int
    messages: int  # kept as they came, each by its Device
    quarantined: dict[str, int] = field(default_factory=dict)  # lines by rule


@dataclass(frozen=True)
class Log:
    path: Path
    name: str
    size: int
    digest: str


def ingest(
    messages: Path,
    out: Path,
    progress: Progress = lambda stage, done, total: None,
    workers: int | None = None,
) -> Ingested:
    """Reads every log below `messages` not read before, writes the extracts of all of them to `out`.

    workers: how many processes decode; as many as there are processors unless told. Raises `InputRefused` when there is
    no log, or `out` has extracts of another origin, which would be lost, or a log that is to be read anew is gone.
    """
    if not messages.is_dir():
        raise InputRefused([f"{messages}: no such folder"])
    state = _State(out.absolute() / KEPT)
    found = logs.logs_below(messages)
    if not found and not state.logs():
        raise InputRefused([f"{messages}: no message log ({', '.join(logs.ENDINGS)})"])
    with state.locked():
        state.refuse_others_extracts(out)
        state.clean()
        known, grown = state.identify(found, messages, progress)
        todo = [log for log in known if not state.is_done(log.digest)]
        state.refuse_lost({log.digest for log in known} | grown, messages)
        _decode(todo, state, progress, workers or os.cpu_count() or 1)
        state.forget(grown)
        return _publish(state, out, len(todo), progress)


def _decode(todo: list[Log], state: "_State", progress: Progress, workers: int) -> None:
    total = sum(log.size for log in todo)
    done = 0
    with _readers(workers if total > WORTH_PROCESSES else 0) as submit, join.connect(state.work) as connection:
        under_way: deque[tuple[_Decoded, Future | None, int]] = deque()

        def finish_one() -> None:
            decoded, result, at = under_way.popleft()
            if result is None:
                decoded.finish()
            else:
                decoded.add(*result.result())
            progress("Reading logs (MB)", (done_before[decoded] + at) // MEGABYTE, max(1, total // MEGABYTE))

        done_before: dict[_Decoded, int] = {}
        for log in todo:
            decoded = _Decoded(log, state, connection)
            done_before[decoded] = done
            for block, at in logs.blocks(log.path, log.size):
                while len(under_way) >= BLOCKS_A_WORKER * max(1, workers):
                    finish_one()
                under_way.append((decoded, submit(block), at))
            under_way.append((decoded, None, log.size))
            done += log.size
        while under_way:
            finish_one()


@contextmanager
def _readers(workers: int) -> Iterator[Callable[[Block], Future]]:
    """Gives what has a block read: by processes, or here when there are none."""
    if not workers:

        def here(block: Block) -> Future:
            result: Future = Future()
            result.set_result(lines.read(block))
            return result

        yield here
        return
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    try:
        yield lambda block: pool.submit(lines.read, block)
    finally:
        pool.shutdown(cancel_futures=True)


class _Decoded:
    """The rows of one log on their way to its file; the note beside it says that it is whole."""

    def __init__(self, log: Log, state: "_State", connection):
        self._log = log
        self._state = state
        self._connection = connection
        self._unsorted = state.work / f"{log.digest}.parquet"
        self._bad = state.work / f"{log.digest}.bad.parquet"
        self._rows: pq.ParquetWriter | None = None
        self._bad_rows: pq.ParquetWriter | None = None
        self._lines = 0

    def add(self, rows: pa.RecordBatch, bad: pa.RecordBatch, count: int) -> None:
        self._open()
        self._rows.write_batch(rows)
        self._bad_rows.write_batch(bad)
        self._lines += count

    def finish(self) -> None:
        self._open()
        self._rows.close()
        self._bad_rows.close()
        rows, bad, note = self._state.files(self._log.digest)
        join.sort_by_place(self._connection, self._unsorted, self._state.work / "sorted.parquet")
        self._unsorted.unlink()
        self._bad.replace(bad)
        (self._state.work / "sorted.parquet").replace(rows)
        told = {"path": str(self._log.path), "name": self._log.name, "size": self._log.size, "lines": self._lines}
        told["decoder"] = decoder()
        _write_whole(note, json.dumps(told))

    def _open(self) -> None:
        if self._rows is None:
            self._rows = pq.ParquetWriter(self._unsorted, lines.ROWS)
            self._bad_rows = pq.ParquetWriter(self._bad, lines.BAD)


class _State:
    """What is kept between runs: `decoded/` by digest, `work/` for what is not whole yet."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.decoded = folder / "decoded"
        self.work = folder / "work"
        self._made = folder / "made.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise RuntimeError(f"another ingest is at work in {self.folder}") from error
            yield

    def refuse_others_extracts(self, out: Path) -> None:
        if not self._made.exists():
            others = [
                f"{out / name}: is there already, and not of ingest" for name in EXTRACTS if (out / name).exists()
            ]
            if others:
                raise InputRefused(others)

    def clean(self) -> None:
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        self.decoded.mkdir(exist_ok=True)

    def files(self, digest: str) -> tuple[Path, Path, Path]:
        """A log's rows, its bad lines, and the note that both are whole."""
        return tuple(self.decoded / f"{digest}{ending}" for ending in (".parquet", ".bad.parquet", ".json"))

    def is_done(self, digest: str) -> bool:
        """Whether the log was read, by today's decoder."""
        note = self.files(digest)[2]
        return note.exists() and json.loads(note.read_text()).get("decoder") == decoder()

    def logs(self) -> dict[str, dict]:
        """Digest -> path, name, size and lines of each log that is done."""
        return {note.stem: json.loads(note.read_text()) for note in sorted(self.decoded.glob("*.json"))}

    def refuse_lost(self, there: set[str], below: Path) -> None:
        """A log that another decoder has read must be there to be read anew."""
        lost = [
            f"{told['name']}: was read by another version of the decoder and is no longer below {below}: put it back, "
            "or choose another folder for --out"
            for digest, told in self.logs().items()
            if digest not in there and told.get("decoder") != decoder()
        ]
        if lost:
            raise InputRefused(lost)

    def identify(self, found: list[Path], below: Path, progress: Progress) -> tuple[list[Log], set[str]]:
        """The logs found, one of a digest, and the digests of done ones that have since grown at their end."""
        before: dict[str, dict[str, int]] = {}
        for digest, told in self.logs().items():
            before.setdefault(told["path"], {})[digest] = told["size"]
        known: dict[str, Log] = {}
        grown: set[str] = set()
        for number, path in enumerate(found, 1):
            size, whole = path.stat().st_size, str(path.resolve())
            earlier = before.get(whole, {})
            now, parts = logs.digest(path, size, set(earlier.values()))
            grown |= parts & earlier.keys()
            name = printable(path.relative_to(below).as_posix())
            known.setdefault(now, Log(Path(whole), name, size, now))
            progress("Looking for new logs", number, len(found))
        return list(known.values()), grown - known.keys()

    def forget(self, digests: set[str]) -> None:
        for digest in digests:
            for file in reversed(self.files(digest)):
                file.unlink(missing_ok=True)

    def made_of(self) -> dict | None:
        """What the extracts in use were made of and told; None when they are not whole."""
        try:
            return json.loads(self._made.read_text()) or None
        except (FileNotFoundError, ValueError):
            return None

    def mark(self, made: dict) -> None:
        _write_whole(self._made, json.dumps(made))


def _publish(state: _State, out: Path, decoded: int, progress: Progress) -> Ingested:
    """Makes the extracts of every log that is done, unless they are made of just those."""
    done = state.logs()
    made = state.made_of()
    if made is None or made["of"] != _made_of(done) or not all((out / name).is_dir() for name in EXTRACTS):
        made = _make(state, out, done, progress)
    shutil.rmtree(state.work, ignore_errors=True)
    return Ingested(
        files=len(done),
        decoded=decoded,
        lines=sum(told["lines"] for told in done.values()),
        quarantined=made["quarantined"],
        **made["rows"],
    )


def _make(state: _State, out: Path, done: dict[str, dict], progress: Progress) -> dict:
    fresh = state.work / "extracts"
    rows_files = [state.files(digest)[0] for digest in done]
    rows, bad = join.put_together(
        rows_files, fresh, state.work, lambda part, parts: progress("Putting together", part, parts)
    )
    quarantined = _write_quarantine(state, done, bad)
    # From here until the end the extracts are of two makes: nothing says that they are whole.
    state.mark({})
    for extract in EXTRACTS:
        shutil.rmtree(out / extract, ignore_errors=True)
        (fresh / extract).replace(out / extract)
    (state.work / "quarantine.jsonl").replace(state.folder / "quarantine.jsonl")
    made = {"of": _made_of(done), "rows": rows, "quarantined": quarantined}
    state.mark(made)
    return made


def _made_of(done: dict[str, dict]) -> list[str]:
    """What the extracts hang on: the logs, the decoder, and how they are put together."""
    return [decoder(), _digest_of("messages/join.py", *_queries()), *sorted(done)]


@cache
def decoder() -> str:
    """A digest of all of this project that decides what a log is decoded to."""
    return _digest_of(*DECODER)


def _queries() -> list[str]:
    names = sorted(source.name for source in (files("data") / "messages").iterdir())
    return [f"messages/{name}" for name in names if name.endswith(".sql")]


@cache
def _digest_of(*names: str) -> str:
    found = hashlib.sha256()
    for name in names:
        found.update(name.encode() + b"\0" + (files("data") / name).read_bytes() + b"\0")
    return found.hexdigest()


def _write_quarantine(state: _State, done: dict[str, dict], together: Path) -> dict[str, int]:
    """A line of JSON a quarantined line, by log and line; lines by rule."""
    names = {digest: told["name"] for digest, told in done.items()}
    alone = {digest: state.files(digest)[1] for digest in done}
    counts: Counter[str] = Counter()
    with join.connect(state.work) as connection, (state.work / "quarantine.jsonl").open("w") as file:
        for digest in sorted(done, key=lambda d: (names[d], d)):
            for line, rule in join.bad_lines(connection, alone[digest], together, digest):
                counts[rule] += 1
                file.write(json.dumps({"file": names[digest], "line": line, "rule": rule}) + "\n")
    return dict(sorted(counts.items()))


def _write_whole(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text)
    partial.replace(path)
