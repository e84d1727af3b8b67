"""What a build takes in: the partials of files that are as they were, and new ones of all other files."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from queue import SimpleQueue

from data import sandbox
from data.contracts import contracts
from data.extracts import ExtractFile, InputRefused, Survey, digests, unreadable
from data.merge import InConflict
from data.partials import Partial, Store, Wanted
from data.reduction import Progress, Reader, buckets_for, rows_a_chunk
from data.sandbox import ChildDied, ChildFailed

ROWS_A_BATCH = 8_000_000
# While the last rows of a batch are put in order and written, by one thread, the next is read; of the largest estates,
# of which more rows are put in order together, one batch alone, or a build would take a gigabyte more.
BATCHES_AT_ONCE = 2
MOST_ROWS_AT_ONCE = 3_200_000
READING = "Reading the extracts"
NO_BAD_ROWS = {"rows": 0, "by_rule": [], "samples": {}, "unrecognised": []}
# The DuckDB of each batch is given 1 GB and takes half as much again; polars holds a part of the rows beside it.
LIMITS = sandbox.Limits(memory_bytes=4 << 30, file_bytes=256 << 30)


class Intake:
    """The extracts as partials, each file of them read by a child with limits.

    digests: name of each file -> the SHA-256 of its bytes. leave_out_bad: go on without files that cannot be read; the
    survey then says which.
    """

    def __init__(
        self,
        survey: Survey,
        store: Store,
        wanted: Wanted,
        work: Path,
        progress: Progress = lambda stage, done, total: None,
        leave_out_bad: bool = False,
    ):
        self.survey = survey
        self.store = store
        self.wanted = wanted
        self.work = work
        self.progress = progress
        self.leave_out_bad = leave_out_bad
        self.digests: dict[str, str] = {}
        self.conflicts: Partial | None = None
        self._known = store.partials()

    def partials(self) -> list[Partial]:
        """One or more partials an extract that has files; raises `InputRefused` naming each file that is at fault."""
        self.digests = digests(self.survey, self._digested_before(), leave_out_bad=self.leave_out_bad)
        while True:
            taken = _disjoint([partial for partial in self._of_these_files() if partial.serves(self.wanted)])
            read = {name for partial in taken for name in partial.facts["files"]}
            batches = [batch for name in contracts() for batch in self.survey.batches(name, ROWS_A_BATCH, read)]
            if not batches:
                return taken
            self._read(batches)
            self._known = self.store.partials()

    def _digested_before(self) -> dict[str, tuple]:
        """Name -> (identity, SHA-256) of files that are as they were by place, size and times."""
        identities = {file.name: list(file.identity) for file in self.survey.all_files()}
        kept = self.store.digests().items()
        read = (item for partial in self._known for item in partial.facts.get("files", {}).items())
        told = [*kept, *((name, (file["identity"], file["sha256"])) for name, file in read)]
        return {name: (of, sha256) for name, (of, sha256) in told if of and of == identities.get(name)}

    def _of_these_files(self) -> list[Partial]:
        """The partials of which every file is there, as it was."""
        names = {file.name for file in self.survey.all_files()}
        return [
            partial
            for partial in self._known
            if "files" in partial.facts
            and all(n in names and self.digests[n] == told["sha256"] for n, told in partial.facts["files"].items())
        ]

    def _read(self, batches: list[list[ExtractFile]]) -> None:
        """Makes partials of batches; of a batch that cannot be read, leaves out what is to blame or refuses."""
        files = [file for batch in batches for file in batch]
        job = {
            "store": str(self.store.folder),
            "batches": [[file.plain() for file in batch] for batch in batches],
            "digests": {file.name: self.digests[file.name] for file in files},
            "identities": {file.name: self.survey.lasting_identity(file) for file in files},
            **self._wanted(),
        }
        try:
            self._run(read_batches, job)
        except (ChildDied, ChildFailed) as error:
            bad = unreadable(files)
            if not bad:
                raise RuntimeError(f"the rows of the extracts cannot be read ({error})") from error
            if not self.leave_out_bad:
                raise InputRefused([problem.line for problem in bad]) from error
            self.survey.leave_out(bad)

    def conflicting_rows(self, partials: list[Partial], in_conflict: Callable[[InConflict], InConflict]) -> list[dict]:
        """`BadRows.facts` of the rows of Devices of which the inventory says two things.

        in_conflict: `Merged.devices_in_conflict`; given what is known of a part of the inventory, asked if that is not
        all of it.
        """
        inventory = {partial.key: partial for partial in partials if partial.extract == "devices"}
        told = [partial for partial in self._known if partial.facts.get("found_by") == finding()]
        told = [partial for partial in told if partial.facts["in_conflict"].keys() <= inventory.keys()]
        before = max(told, key=lambda partial: len(partial.facts["in_conflict"]), default=None)
        known = before.facts["in_conflict"] if before else {}
        if known.keys() == inventory.keys():
            self.conflicts = before
        else:
            found = in_conflict(known)
            rows = {key: before.facts["quarantine"][key] for key, keys in known.items() if found[key] == keys}
            rows |= self._read_conflicts([(inventory[key], keys) for key, keys in found.items() if key not in rows])
            of_inventory = {"extract": "devices", "tables": {}, "found_by": finding()}
            facts = {**of_inventory, "in_conflict": found, "quarantine": rows}
            self.conflicts = self.store.put(self.store.draft(), facts)
        return list(self.conflicts.facts["quarantine"].values())

    def _read_conflicts(self, wanted: list[tuple[Partial, list[int]]]) -> dict[str, dict]:
        """Of each partial `BadRows.facts` of its rows of the Devices with these keys."""
        by_name = {file.name: file.plain() for file in self.survey.files["devices"]}
        batches = [[by_name[name] for name in partial.facts["files"]] for partial, _ in wanted]
        keys = [keys for _, keys in wanted]
        job = {"batches": batches, "keys": keys, **self._wanted()}
        found = self._run(read_conflicting_rows, job) if any(keys) else [NO_BAD_ROWS] * len(keys)
        return {partial.key: rows for (partial, _), rows in zip(wanted, found, strict=True)}

    def keep(self, taken: list[Partial]) -> None:
        """Keeps the partials that a build of these files can use again, and no others."""
        self.store.keep([*taken, *self._of_these_files(), *filter(None, [self.conflicts])])
        lasting = {file.name: self.survey.lasting_identity(file) for file in self.survey.all_files()}
        self.store.keep_digests({name: (of, self.digests[name]) for name, of in lasting.items() if of})

    def _wanted(self) -> dict:
        as_at = self.wanted.as_at
        return {
            "work": str(self.work),
            "build_start": self.wanted.build_start.isoformat(),
            "as_at": as_at.isoformat() if as_at else None,
            "buckets": buckets_for(self.survey.rows("devices")),
            "believes_statistics": bool(self.survey.digests_verified),
        }

    def _run(self, function: Callable[[dict, Progress], list], job: dict) -> list:
        def progress(done: int, total: int) -> None:
            self.progress(READING, done, total)

        return sandbox.run(function, job, limits=LIMITS, progress=progress, raises=(InputRefused,))


@cache
def finding() -> str:
    """A digest of all that decides which Devices are in conflict, beside what decides what files reduce to."""
    sources = [(files("data") / name).read_bytes() for name in ("intake.py", "merge.py")]
    return hashlib.sha256(b"\0".join(sources)).hexdigest()


def read_batches(job: dict, progress: Callable[[int, int], None]) -> list[str]:
    """Makes a partial of each batch, and returns their keys; see `Intake._read` for what a job holds."""
    store, as_at = Store(Path(job["store"]), Path(job["work"])), _instant(job["as_at"])
    batches = [[ExtractFile.from_plain(told) for told in batch] for batch in job["batches"]]
    total, done, keys = sum(file.rows for batch in batches for file in batch), 0, []
    asked = _instant(job["build_start"]), as_at, job["buckets"], job["believes_statistics"]
    free: SimpleQueue[Reader] = SimpleQueue()
    at_once = batches_at_once(job["buckets"])

    def read(batch: list[ExtractFile]) -> str:
        reader = free.get()
        try:
            return _read_batch(store, reader, batch, job, as_at).key
        finally:
            free.put(reader)

    with ExitStack() as stack:
        for number in range(min(at_once, len(batches))):
            free.put(stack.enter_context(closing(Reader(Path(job["work"]) / f"reader-{number}", *asked))))
        pool = stack.enter_context(ThreadPoolExecutor(at_once))
        # Before the pool is waited for: once one batch cannot be read, the others need not be.
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        progress(done, total)
        for batch, key in zip(batches, pool.map(read, batches), strict=True):
            keys.append(key)
            done += sum(file.rows for file in batch)
            progress(done, total)
    return keys


def batches_at_once(buckets: int) -> int:
    return max(1, min(BATCHES_AT_ONCE, MOST_ROWS_AT_ONCE // rows_a_chunk(buckets)))


def _read_batch(store: Store, reader: Reader, batch: list[ExtractFile], job: dict, as_at: datetime | None) -> Partial:
    extract = batch[0].extract
    draft = store.draft()
    facts = reader.reduce(contracts()[extract], batch, draft)
    leaves_out = as_at and any(datetime.fromisoformat(latest) > as_at for latest in facts["latest"].values())
    files = {
        file.name: {
            "identity": job["identities"][file.name],
            "sha256": job["digests"][file.name],
        }
        for file in batch
    }
    return store.put(
        draft, {"extract": extract, "files": files, "as_at": as_at.isoformat() if leaves_out else None, **facts}
    )


def read_conflicting_rows(job: dict, progress: Callable[[int, int], None]) -> list[dict]:
    """Of each batch of the inventory's files `BadRows.facts` of its rows of the Devices with its `keys`."""
    batches = [[ExtractFile.from_plain(told) for told in batch] for batch in job["batches"]]
    contract = contracts()["devices"]
    with closing(Reader(Path(job["work"]), _instant(job["build_start"]))) as reader:
        return [
            reader.rows_of_conflicting_devices(contract, batch, keys) if keys else NO_BAD_ROWS
            for batch, keys in zip(batches, job["keys"], strict=True)
        ]


def _disjoint(partials: list[Partial]) -> list[Partial]:
    """Each file is taken from one partial only."""
    taken: set[str] = set()
    found = []
    for partial in partials:
        names = set(partial.facts["files"])
        if not names & taken:
            found.append(partial)
            taken |= names
    return found


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
