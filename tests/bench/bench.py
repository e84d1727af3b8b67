"""Times the floor, `pco build`, a build after a month came, one after nothing came, `pco export` and the same
evidence by other means, on the same extracts, each as a process of its own; then looking a Device up, and the pages.

    python tests/bench/bench.py [--devices N] [--runs R] [--peers [PEER ...]] [--no-pages]

Prints a table and writes bench.json. The extracts are made once and kept in build/bench/.
"""

import argparse
import hashlib
import json
import math
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

BENCH = Path(__file__).resolve().parent
PROJECT = BENCH.parent.parent
PCO = [sys.executable, "-c", "from dashboard.cli import main; main()"]
LIBRARIES = ("duckdb", "numpy", "pandas", "polars", "pyarrow")
SEED = 1
# Each is `<name>_peer.py EXTRACTS TO`: the same outcomes, without quarantine, evidence and snapshot. The last is the
# product's own other engine, on as many cores, and does all that `pco build` does.
SPARK = "spark"
PEERS = ("pandas", "polars", "datafusion", SPARK)
SPARK_MASTER = "local-cluster[2,1,1024]"
MIB = 1 << 20
# What the product promises; both are of medians of whole processes.
MOST_FLOORS = 6
MOST_FLOORS_AT_TEN_MILLION = 4
LEAST_TIMES_PANDAS = 10
# Of each page: the 95th percentile of filter changes, and the first chart after navigation.
MOST_REPAINT_MS = 500
MOST_FIRST_CHART_MS = 3_000
# Of a full build: a build after a month came. In seconds: one after nothing came, and a Device by its EUI-64.
MOST_OF_A_BUILD = 0.15
MOST_UNCHANGED_S = 2
MOST_LOOKUP_MS = 300
MOST_MIB = 2_048
LAST_MONTH = "2021-08"
SETTLING_SECONDS = 3
# One is enough of what takes ten times as long and spreads by a few per cent.
PEER_RUNS = 1
# To look at the memory of a large process takes long, and what is looked at waits meanwhile: 20 looks a second at a
# gigabyte took a third of a core.
SHORTEST_PAUSE_SECONDS = 0.05
LEAST_PAUSE_TO_LOOK = 50


@dataclass(frozen=True)
class Run:
    """One process from start to exit. peak_mib: memory of the process and its children at its highest, what they
    share counted once, as seen every so often; at least the resident memory of the largest at its own highest."""

    seconds: float
    cpu_seconds: float
    peak_mib: float


@dataclass
class Program:
    name: str
    command: list[str]
    runs: int
    prepare: Callable[[], None] = lambda: None
    measured: list[Run] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return median(run.seconds for run in self.measured)

    @property
    def peak_mib(self) -> float:
        return max(run.peak_mib for run in self.measured)

    def measure(self) -> None:
        self.prepare()
        self.measured.append(timed(self.command))

    def result(self) -> dict:
        seconds = [run.seconds for run in self.measured]
        return {
            "seconds": [round(second, 3) for second in seconds],
            "median_seconds": round(self.seconds, 3),
            "min_seconds": round(min(seconds), 3),
            "max_seconds": round(max(seconds), 3),
            "median_cpu_seconds": round(median(run.cpu_seconds for run in self.measured), 3),
            "peak_mib": round(self.peak_mib, 1),
        }


def timed(command: list[str]) -> Run:
    """Runs a command to its end; raises with what it said when it fails.

    wait4 gives the processor time of the process and of all children that it waited for.
    """
    # What the last one wrote goes to disk on its own account.
    os.sync()
    with tempfile.TemporaryFile("w+") as said:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=PROJECT, stdout=said, stderr=subprocess.STDOUT)
        watch = MemoryWatch(process.pid)
        watch.start()
        _, status, usage = os.wait4(process.pid, 0)
        watch.over.set()
        watch.join()
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            sys.exit(f"{' '.join(command)}: exit status {process.returncode}\n{said.read()}")
    # Linux counts ru_maxrss in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    # The system knows the peak of the largest process, between any two looks too.
    peak = max(watch.peak, usage.ru_maxrss * unit)
    return Run(seconds, usage.ru_utime + usage.ru_stime, peak / MIB)


class MemoryWatch(threading.Thread):
    """The memory of a process and its descendants, looked at every so often; peak in bytes."""

    def __init__(self, pid: int):
        super().__init__(daemon=True)
        self.pid, self.peak, self.over = pid, 0, threading.Event()

    def run(self) -> None:
        pause = SHORTEST_PAUSE_SECONDS
        while not self.over.wait(pause):
            began = time.perf_counter()
            self.peak = max(self.peak, sum(map(proportional_set_size, descendants(self.pid))))
            pause = max(SHORTEST_PAUSE_SECONDS, LEAST_PAUSE_TO_LOOK * (time.perf_counter() - began))


def descendants(pid: int) -> list[int]:
    found = [pid]
    for process in found:
        for children in Path(f"/proc/{process}/task").glob("*/children"):
            with suppress(OSError):
                found += map(int, children.read_text().split())
    return found


def proportional_set_size(pid: int) -> int:
    with suppress(OSError, ValueError, IndexError):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024
    return 0


# -- extracts -------------------------------------------------------------------------------------------


def estate(home: Path, devices: int) -> tuple[Path, dict]:
    """The extracts, and how long they took to make; made anew when the generator has changed."""
    extracts, note = home / f"estate-{devices}", home / f"estate-{devices}.json"
    generator = generator_digest()
    made = json.loads(note.read_text()) if note.is_file() else {}
    if made.get("generator") == generator and extracts.is_dir():
        return extracts, made
    note.unlink(missing_ok=True)
    arguments = ["generate", "--devices", str(devices), "--seed", str(SEED), "--out", str(extracts)]
    run = timed([*PCO, *arguments])
    made = {"generator": generator, "made_at": now(), **generation(devices, run)}
    note.write_text(json.dumps(made, indent=1))
    return extracts, made


def generation(devices: int, run: Run) -> dict:
    """A core's rate is by the CPU time used, so that it does not depend on how many cores there are."""
    return {
        "seconds": round(run.seconds, 3),
        "cpu_seconds": round(run.cpu_seconds, 3),
        "peak_mib": round(run.peak_mib, 1),
        "devices_per_second": round(devices / run.seconds),
        "devices_per_second_per_core": round(devices / run.cpu_seconds),
    }


def generator_digest() -> str:
    digest = hashlib.sha256()
    for file in sorted((PROJECT / "data" / "estate").glob("*.*")):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()


def rules() -> str:
    """Of the version that builds; asked of a process of its own, as what is imported here counts as a child's."""
    asked = [sys.executable, "-c", "from analysis.pipeline import rules; print(rules())"]
    return subprocess.run(asked, cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def size_of(extracts: Path) -> dict:
    # Imported late: Linux counts a child's memory from what its parent held when it started the child.
    import pyarrow.parquet as pq

    files = sorted(extracts.rglob("*.parquet"))
    return {
        "files": len(files),
        "rows": sum(pq.read_metadata(file).num_rows for file in files),
        "mib": round(sum(file.stat().st_size for file in files) / MIB, 1),
    }


# -- measuring ------------------------------------------------------------------------------------------


def programs(home: Path, extracts: Path, runs: int, peers: list[str]) -> list[Program]:
    marts, exported = home / f"marts-{extracts.name}", home / "outcomes.parquet"
    growing = Growing(home, extracts)
    return [
        Program("floor", floor(extracts), runs),
        Program("build", built(extracts, marts), runs, lambda: shutil.rmtree(marts, ignore_errors=True)),
        Program("a month more", built(growing.extracts, growing.marts), runs, growing.month_comes),
        Program("nothing new", built(growing.extracts, growing.marts), runs),
        Program("export", [*PCO, "export", "outcomes", "--marts", str(marts), "--to", str(exported)], 1),
        *(peer_of(peer, home, extracts) for peer in peers),
    ]


def peer_of(peer: str, home: Path, extracts: Path) -> Program:
    if peer == SPARK:
        marts = home / f"marts-{SPARK}"
        command = [*built(extracts, marts), "--engine", SPARK, "--master", SPARK_MASTER]
        return Program(peer, command, PEER_RUNS, lambda: shutil.rmtree(marts, ignore_errors=True))
    to = home / f"{peer}.parquet"
    return Program(peer, [sys.executable, str(BENCH / f"{peer}_peer.py"), str(extracts), str(to)], PEER_RUNS)


def why_no_spark() -> str:
    """Of a process of its own, as what is imported here counts as a child's."""
    asked = [sys.executable, "-c", "from data.spark import why_not; print(why_not() or '')"]
    return subprocess.run(asked, cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def floor(extracts: Path) -> list[str]:
    return [sys.executable, str(BENCH / "floor.py"), str(extracts)]


def built(extracts: Path, marts: Path) -> list[str]:
    return [*PCO, "build", "--extracts", str(extracts), "--marts", str(marts)]


class Growing:
    """The extracts without their last month, built; then the month comes. Files are second names of the same bytes."""

    def __init__(self, home: Path, whole: Path):
        # What another version has built would be built anew with the month.
        self.home, self.whole = home / f"growing-{whole.name}-{rules()[:8]}", whole
        self.extracts, self.marts = self.home / "extracts", self.home / "marts"
        self.before = self.home / "marts-before"

    def begin(self) -> Run:
        """Builds what there is before the last month."""
        shutil.rmtree(self.home, ignore_errors=True)
        self._link([file for file in self._files() if LAST_MONTH not in str(file)])
        # Of a file changed a moment ago nothing is remembered; a month's files have lain there for longer.
        time.sleep(SETTLING_SECONDS)
        run = timed(built(self.extracts, self.before))
        self._link([file for file in self._files() if LAST_MONTH in str(file)])
        return run

    def month_comes(self) -> None:
        if not self.before.exists():
            self.begin()
        shutil.rmtree(self.marts, ignore_errors=True)
        # Nothing that is published is ever written to, so second names will do.
        shutil.copytree(self.before, self.marts, copy_function=os.link)

    def _files(self) -> list[Path]:
        return [file.relative_to(self.whole) for file in self.whole.rglob("*") if file.is_file()]

    def _link(self, files: list[Path]) -> None:
        for file in files:
            (self.extracts / file).parent.mkdir(parents=True, exist_ok=True)
            os.link(self.whole / file, self.extracts / file)


def in_turns(programs: list[Program]) -> Iterator[Program]:
    """Every other round backwards, so that none always runs after the same one."""
    for number in range(max(program.runs for program in programs)):
        for program in programs[:: -1 if number % 2 else 1]:
            if number < program.runs:
                yield program


def measure(programs: list[Program], console: Console) -> None:
    # Once unmeasured, so that the first does not read from the disk what the others find in memory.
    timed(programs[0].command)
    for program in in_turns(programs):
        program.measure()
        run = program.measured[-1]
        console.print(f"{program.name}: {run.seconds:.2f} s, {run.peak_mib:.0f} MiB")


def ratios(programs: list[Program]) -> dict[str, float]:
    seconds = {program.name: program.seconds for program in programs}
    found = {"build_to_floor": seconds["build"] / seconds["floor"]}
    found["a_month_more_to_build"] = seconds["a month more"] / seconds["build"]
    for peer in seconds.keys() & set(PEERS):
        found[f"{peer}_to_build"] = seconds[peer] / seconds["build"]
    return {name: round(ratio, 3) for name, ratio in found.items()}


# -- reporting ------------------------------------------------------------------------------------------


def machine() -> dict:
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // MIB,
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
    }


def table(programs: list[Program], devices: int, rows: int) -> Table:
    runs = ", ".join(f"{program.name} {len(program.measured)}" for program in programs)
    title = f"{devices:,} Devices, {rows:,} rows; runs: {runs}"
    # Narrow enough for the 80 columns that a log has.
    shown = Table(box=SIMPLE, padding=(0, 1, 0, 0), title=title, title_justify="left")
    shown.add_column("", no_wrap=True)
    for heading in ("median s", "min", "max", "CPU s", "x floor", "MiB", "rows/s", "Devices/s"):
        shown.add_column(heading, justify="right", no_wrap=True)
    for program in programs:
        result = program.result()
        shown.add_row(
            program.name,
            *(f"{result[f'{which}_seconds']:.2f}" for which in ("median", "min", "max", "median_cpu")),
            f"{program.seconds / programs[0].seconds:.1f}",
            f"{program.peak_mib:.0f}",
            f"{rows / program.seconds:,.0f}",
            f"{devices / program.seconds:,.0f}",
        )
    return shown


def promises(result: dict) -> Iterator[str]:
    found, programs = result["ratios"], result["programs"]
    floors = MOST_FLOORS_AT_TEN_MILLION if result["devices"] >= 10_000_000 else MOST_FLOORS
    yield promise(f"Build at most {floors} times the floor", found["build_to_floor"], most=floors)
    yield promise(f"Build in at most {MOST_MIB} MiB", programs["build"]["peak_mib"], most=MOST_MIB)
    said = f"A month more in at most {MOST_OF_A_BUILD} of a full build"
    yield promise(said, found["a_month_more_to_build"], most=MOST_OF_A_BUILD)
    unchanged = programs["nothing new"]["median_seconds"]
    yield promise(f"Nothing new in at most {MOST_UNCHANGED_S} s", unchanged, most=MOST_UNCHANGED_S)
    if "pandas_to_build" in found:
        said = f"Build at least {LEAST_TIMES_PANDAS} times faster than pandas"
        yield promise(said, found["pandas_to_build"], least=LEAST_TIMES_PANDAS)
    said = f"A Device by its EUI-64 in at most {MOST_LOOKUP_MS} ms, 95th percentile"
    yield promise(said, result["lookup"]["p95_ms"], most=MOST_LOOKUP_MS)


def promises_of_pages(pages: dict[str, dict]) -> Iterator[str]:
    for name, found in pages.items():
        said = f"{name}: ms until a filter change is repainted, 95th percentile, at most {MOST_REPAINT_MS}"
        yield promise(said, found["repaint_p95_ms"], most=MOST_REPAINT_MS)
        said = f"{name}: ms until the first chart, at most {MOST_FIRST_CHART_MS}"
        yield promise(said, found["first_chart_ms"], most=MOST_FIRST_CHART_MS)


def promise(said: str, ratio: float, most: float = math.inf, least: float = 0) -> str:
    return f"{said}: {ratio:.3g} ({'kept' if least <= ratio <= most else 'NOT kept'})"


def report(console: Console, result: dict, programs: list[Program]) -> None:
    console.print(table(programs, result["devices"], result["extracts"]["rows"]))
    made = result["generate"]
    console.print(
        f"pco generate: {made['seconds']:.1f} s, {made['devices_per_second']:,} Devices/s, "
        f"{made['devices_per_second_per_core']:,} Devices/s a core, {made['peak_mib']:.0f} MiB "
        f"(made {made['made_at']})"
    )
    for line in [*promises(result), *promises_of_pages(result.get("pages", {}))]:
        console.print(line)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def lookup_of(marts: Path) -> dict:
    """What lookup.py measures, in a process of its own."""
    ran = subprocess.run(
        [sys.executable, str(BENCH / "lookup.py"), str(marts)], cwd=PROJECT, stdout=subprocess.PIPE, check=True
    )
    return json.loads(ran.stdout)


def pages_of(marts: Path) -> dict[str, dict]:
    """What repaint.py measures, in a process of its own."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.bench.repaint", str(marts)], cwd=PROJECT, stdout=subprocess.PIPE, check=True
    )
    return json.loads(ran.stdout)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3, help="of the floor and of builds; peers run once")
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=PEERS)
    parser.add_argument("--no-pages", action="store_true", help="do not open the pages in a browser")
    parser.add_argument("--home", type=Path, default=PROJECT / "build" / "bench", help="where extracts are kept")
    parser.add_argument("--json", type=Path, default=PROJECT / "bench.json")
    return parser.parse_args()


def main() -> None:
    given, console = arguments(), Console()
    home = given.home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    result = {"date": now(), "machine": machine(), "devices": given.devices}
    console.print(f"Extracts of {given.devices:,} Devices in {home}")
    extracts, made = estate(home, given.devices)
    peers = list(given.peers)
    if SPARK in peers and (reason := why_no_spark()):
        console.print(f"Spark is left out: {reason}")
        peers.remove(SPARK)
    measured = programs(home, extracts, given.runs, peers)
    measure(measured, console)
    result |= {
        "extracts": size_of(extracts),
        "generate": made,
        "programs": {program.name: program.result() for program in measured},
        "ratios": ratios(measured),
        "lookup": lookup_of(home / f"marts-{extracts.name}"),
    }
    if not given.no_pages:
        result["pages"] = pages_of(home / f"marts-{extracts.name}")
    given.json.write_text(json.dumps(result, indent=1) + "\n")
    report(console, result, measured)
    console.print(f"Written to {given.json}")


if __name__ == "__main__":
    main()
