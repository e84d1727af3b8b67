"""What the tests of faults share: builds as processes, readers with plain means, and forks that die at a step.

A build's own mark is its grace period: of every Device `due_at` minus `commissioned_at` says it again, so that tables
of two builds that came together would be seen.
"""

import hashlib
import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import polars as pl
from builds import PROJECT

from data.estate import generate

PCO = [sys.executable, "-c", "from dashboard.cli import main; main()"]


def small_estate(folder, devices=300):
    generate(folder, devices, 1, 6)
    return folder


def build_process(extracts, marts, grace_days, **options):
    """`pco build` in a process of its own, under way."""
    command = [*PCO, "build", "--extracts", extracts, "--marts", marts, "--grace-days", grace_days]
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([str(part) for part in command], cwd=PROJECT, **streams | options)


def built(extracts, marts, grace_days, **options):
    """(exit status, lines on stderr) of a build run to its end."""
    with build_process(extracts, marts, grace_days, **options) as build:
        problems = build.communicate(timeout=120)[1].splitlines()
    return build.returncode, problems


class Bad(Exception):
    """What is published is not as it should be."""


def whole(marts):
    """(number, its manifest) of what CURRENT names, every file read and held against its digest, by plain means."""
    name = (marts / "CURRENT").read_text(encoding="ascii").split()[0]
    return int(name), whole_folder(marts / "snapshots" / name)


def whole_folder(folder):
    text = (folder / "manifest.json").read_bytes()
    if (folder / "manifest.sha256").read_text().split()[0] != hashlib.sha256(text).hexdigest():
        raise Bad("the manifest's digest differs")
    manifest = json.loads(text)
    if manifest["snapshot"] != folder.name:
        raise Bad("another snapshot's manifest")
    for file in manifest["files"]:
        if hashlib.sha256((folder / file["name"]).read_bytes()).hexdigest() != file["sha256"]:
            raise Bad(file["name"])
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    if found != {"manifest.json", "manifest.sha256", *(file["name"] for file in manifest["files"])}:
        raise Bad("other files than the manifest names")
    return manifest


def leftovers(marts):
    return sorted(
        path.name for path in marts.iterdir() if path.name not in {"CURRENT", "LOCK", "partials", "snapshots"}
    )


def unpublished(marts):
    """Numbers of folders greater than any that was published."""
    greatest = (marts / "CURRENT").read_text(encoding="ascii").split()[1]
    return sorted(folder.name for folder in (marts / "snapshots").iterdir() if folder.name > greatest)


def read_all(snapshot):
    """What one reader sees of a snapshot: its number, grace period as told and as kept, Devices as counted twice."""
    outcomes = pl.read_parquet(snapshot.files("outcomes"), glob=False)
    in_rows = outcomes.select((pl.col("due_at") - pl.col("commissioned_at")).dt.total_days().unique())
    evidence = pl.read_parquet(snapshot.evidence_files("attempts"), glob=False, hive_partitioning=False).height
    return {
        "number": snapshot.number,
        "told": snapshot.manifest["grace_days"],
        "in_rows": in_rows.to_series().to_list(),
        "outcomes": outcomes.height,
        "counted": int(snapshot.frame("counts")["devices"].sum()),
        "attempts": evidence,
        "instead_of": snapshot.instead_of,
    }


READER = """
import json, sys, time
from pathlib import Path
from faulty import read_all
from data.marts import current

marts, stop = Path(sys.argv[1]), Path(sys.argv[2])
while not stop.exists():
    try:
        print(json.dumps(read_all(current(marts))), flush=True)
    except Exception as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)
    time.sleep(float(sys.argv[3]))
"""


@contextmanager
def readers(marts, folder, count, pause):
    """Runs readers beside what the test does; yields a function that ends them and returns what each of them read."""
    stop, logs, processes = folder / "stop", [], []
    path = os.pathsep.join([str(PROJECT), str(Path(__file__).parent), str(PROJECT / "tests")])
    for number in range(count):
        log = folder / f"reader-{number}.jsonl"
        with log.open("w") as sink:
            command = [sys.executable, "-c", READER, str(marts), str(stop), str(pause)]
            processes.append(subprocess.Popen(command, cwd=PROJECT, stdout=sink, env=os.environ | {"PYTHONPATH": path}))
        logs.append(log)

    def read():
        stop.touch()
        for process in processes:
            process.wait(timeout=60)
        return [[json.loads(line) for line in log.read_text().splitlines()] for log in logs]

    try:
        yield read
    finally:
        stop.touch()
        for process in processes:
            process.wait(timeout=60)


def await_(condition, process, seconds=60, pause=0.001):
    """Waits until the condition holds, or the process ended; raises TimeoutError when neither comes."""
    give_up = time.monotonic() + seconds
    while not condition() and process.poll() is None:
        if time.monotonic() > give_up:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(pause)


# Forks a child for each step: it does what the test asks and dies by SIGKILL at its n-th touch of the marts folder
# (open, make, rename, remove, fsync), or is told at its n-th write that the disk is full. The parent tells the end:
# 0 done, before the step; 3 done all the same; 28 with that error.
STEPS = """
import json, os, signal, sys
from pathlib import Path
import polars as pl
from data import keeping
from data.marts import Draft, Hold, digest_of

marts, how, what = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
first, last = int(sys.argv[4]), int(sys.argv[5])
given, each = marts, len(sys.argv) > 6
WRITES = {"open", "os.mkdir", "os.rename", "fsync"}
EVENTS = WRITES if how == "full" else WRITES | {"os.remove", "os.rmdir"}

def publish():
    with Draft(marts) as draft:
        for table in ("outcomes", "counts"):
            draft.write(table, pl.DataFrame({"value": [os.getpid()] * 100}))
        file = draft.work / "attempts.parquet"
        pl.DataFrame({"value": [os.getpid()] * 100}).write_parquet(file)
        draft.take("evidence/attempts", file, "evidence/attempts/0/attempts.parquet", 100, digest_of(file))
        draft.publish({"pid": os.getpid(), "buckets": 1})

def prune():
    keeping.prune(marts, 1)

def use():
    keeping.use(marts, json.loads(os.environ["NUMBER"]))

def child(step):
    seen = 0
    fsync = os.fsync

    def touched(event, arguments):
        nonlocal seen
        if event not in EVENTS or not any(str(marts) in str(part) for part in arguments):
            return
        if event == "open" and how == "full" and not arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return
        seen += 1
        if seen != step:
            return
        if how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise OSError(28, "No space left on device")

    def counted_fsync(descriptor):
        touched("fsync", [os.readlink(f"/proc/self/fd/{descriptor}")])
        fsync(descriptor)

    os.fsync = counted_fsync
    sys.addaudithook(touched)
    try:
        globals()[what]()
    except OSError as error:
        return 28 if error.errno == 28 else 1
    return 0 if seen < step else 3

for step in range(first, last):
    # A marts folder of its own for each step, or one for all.
    marts = given / str(step) if each else given
    pid = os.fork()
    if pid == 0:
        try:
            code = child(step)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            code = 1
        os._exit(code)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    print(json.dumps([step, status]), flush=True)
    if sys.stdin.readline() == "":
        break
"""


@contextmanager
def steps(marts, how, what, first=1, last=10_000, number=0, each=False):
    """Yields an iterator of (step, how the child ended); the next child starts when the next is asked for."""
    command = [sys.executable, "-c", STEPS, str(marts), how, what, str(first), str(last), *["each"] * each]
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "NUMBER": str(number), "POLARS_MAX_THREADS": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=PROJECT, env=environment, **pipes) as forks:

        def ended():
            for line in forks.stdout:
                yield tuple(json.loads(line))
                forks.stdin.write("\n")
                forks.stdin.flush()

        try:
            yield ended()
        finally:
            forks.stdin.close()
