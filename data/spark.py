"""Runs parts of a build on Apache Spark: tasks that other modules name, on executors that see the same folders.

No rule is here, and no SQL. An executor reads a batch of files as the embedded engine does, in a child with limits and
by the same SELECTs, and writes the same partials. Spark decides where a task runs, and runs it again when its executor
dies; a task therefore writes under names of its own, and only what the driver was told of is taken.

Tasks and answers are files and JSON of plain values: the functions that run are those installed on the executor, by
name. An executor with another version of them is refused.
"""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from data import partials as kept
from data import sandbox
from data.extracts import InputRefused
from data.intake import LIMITS, READING, Intake, read_batches
from data.sandbox import ChildDied, ChildFailed

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

JAVA = 17
HOW_TO_GET_IT = f"pip install 'post-commissioning-outcomes[spark]', and Java {JAVA} or later"
OF_THIS_MACHINE = re.compile(r"local(\[.*\]|-cluster\[.*\])?|spark://(127\.0\.0\.1|localhost)(:\d+)?")
SECONDS_BETWEEN_LOOKS = 0.5


class SparkFailed(RuntimeError):
    """Spark is not there, or gave up."""


class Cluster:
    """A Spark application. Its executors must see the marts and the extracts at the paths at which the driver does."""

    def __init__(self, session: "SparkSession"):
        self.session = session

    def each(self, function: str, jobs: list[dict], work: Path, progress: Callable[[int, int], None]) -> list:
        """The answers of `function` (`module:name`) to each job, in their order; one task a job.

        Jobs and answers are plain values. work: a folder that executors see. Raises what the function raised, if
        that is InputRefused, ChildDied, ChildFailed or RuntimeError; any other failure is tried again by Spark, and in
        the end `SparkFailed`.
        """
        if not jobs:
            return []
        folder, reading = Path(mkdtemp(dir=work, prefix="jobs-")), kept.reading()
        for number, job in enumerate(jobs):
            (folder / f"{number}.json").write_text(json.dumps(job), encoding="utf-8")

        def task(numbers: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            return answered(function, str(folder), reading, numbers)

        with _pandas_3():
            asked = self.session.range(0, len(jobs), 1, len(jobs)).mapInArrow(task, "id long, answer string")
        rows = self._collected(asked.collect, folder.name, len(jobs), progress)
        shutil.rmtree(folder, ignore_errors=True)
        answers = {row.id: json.loads(row.answer) for row in rows}
        return [_result(answers[number]) for number in range(len(jobs))]

    def _collected(self, collect: Callable[[], list], group: str, tasks: int, progress: Callable) -> list:
        """Waits for Spark, and tells how many tasks are done."""
        context = self.session.sparkContext

        def run() -> list:
            context.setJobGroup(group, group)
            return collect()

        with ThreadPoolExecutor(max_workers=1) as pool:
            running = pool.submit(run)
            try:
                while not wait([running], SECONDS_BETWEEN_LOOKS).done:
                    progress(self._done(group), tasks)
            except BaseException:
                context.cancelJobGroup(group)
                raise
            try:
                rows = running.result()
            except Exception as error:
                raise SparkFailed(f"Spark gave up: {_in_a_line(error)}") from error
        progress(tasks, tasks)
        return rows

    def _done(self, group: str) -> int:
        tracker = self.session.sparkContext.statusTracker()
        jobs = filter(None, map(tracker.getJobInfo, tracker.getJobIdsForGroup(group)))
        stages = filter(None, (tracker.getStageInfo(stage) for job in jobs for stage in job.stageIds))
        return sum(stage.numCompletedTasks for stage in stages)


class SparkIntake(Intake):
    """The extracts as partials, each batch of files read by an executor, there in a child with limits."""

    def __init__(self, cluster: Cluster, *given, **named):
        super().__init__(*given, **named)
        self.cluster = cluster

    def _run(self, function: Callable[[dict, Callable], list], job: dict) -> list:
        def progress(done: int, total: int) -> None:
            self.progress(READING, done, total)

        name = f"{function.__module__}:{function.__qualname__}"
        jobs = [{"function": name, "job": _of_batch(job, number)} for number in range(len(job["batches"]))]
        answers = self.cluster.each(f"{__name__}:in_a_child", jobs, self.work, progress)
        found = [answer for answers_of_batch in answers for answer in answers_of_batch]
        if function is read_batches:
            self._drop_all_but(found)
        return found

    def _drop_all_but(self, keys: list[str]) -> None:
        """Removes the partials of tasks that Spark ran once more, and those of an executor that it gave up."""
        keys = {*keys, *(partial.key for partial in self._known)}
        for folder in self.store.new.iterdir():
            if folder.name not in keys:
                shutil.rmtree(folder, ignore_errors=True)


def _of_batch(job: dict, number: int) -> dict:
    """The job of one batch: a whole job tells of every file, and of what is asked of each batch."""
    names = [file["name"] for file in job["batches"][number]]
    told = {key: {name: job[key][name] for name in names} for key in ("digests", "identities") if key in job}
    asked = {key: [job[key][number]] for key in ("batches", "keys") if key in job}
    return {**job, **told, **asked}


# -- on an executor ----------------------------------------------------------------------------------


def answered(function: str, folder: str, reading: str, numbers: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """A batch of one row (id, answer) a job: a result, or what was raised."""
    for batch in numbers:
        for number in batch["id"].to_pylist():
            job = json.loads((Path(folder) / f"{number}.json").read_text(encoding="utf-8"))
            answer = json.dumps(_answer(function, job, reading))
            yield pa.RecordBatch.from_pydict({"id": pa.array([number], pa.int64()), "answer": pa.array([answer])})


def _answer(function: str, job: dict, reading: str) -> dict:
    if kept.reading() != reading:
        return {"raised": "RuntimeError", "with": ["an executor has another version of pco, DuckDB or polars"]}
    module, _, name = function.partition(":")
    try:
        return {"result": getattr(importlib.import_module(module), name)(job)}
    except InputRefused as error:
        return {"raised": "InputRefused", "with": [error.problems]}
    except ChildDied as error:
        return {"raised": "ChildDied", "with": [error.reason, str(error)]}
    except ChildFailed as error:
        return {"raised": "ChildFailed", "with": [error.kind, error.message]}
    except RuntimeError as error:
        return {"raised": "RuntimeError", "with": [str(error)]}


def _result(answer: dict) -> Any:
    raised = {kind.__name__: kind for kind in (InputRefused, ChildDied, ChildFailed, RuntimeError)}
    if "raised" in answer:
        raise raised[answer["raised"]](*answer["with"])
    return answer["result"]


def in_a_child(job: dict) -> list:
    """A job of `data.intake` done as the embedded engine does it: extracts are opened in a child with limits only."""
    return sandbox.run(job["function"], job["job"], limits=LIMITS, progress=lambda *told: None, raises=(InputRefused,))


# -- the application ---------------------------------------------------------------------------------


@contextmanager
def cluster(master: str) -> Iterator[Cluster]:
    """A Spark application on a master, ended afterwards; raises `SparkFailed` if pyspark or Java is missing.

    What Spark itself is to be told stands in its own files (spark-defaults.conf in SPARK_CONF_DIR). On a master of
    this machine nothing listens on anything but loopback.
    """
    sessions = _sessions()
    scratch = Path(mkdtemp(prefix="pco-spark-"))
    try:
        options = {
            "spark.app.name": "pco build",
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.sql.warehouse.dir": str(scratch / "warehouse"),
            "spark.log.level": "ERROR",
        }
        if OF_THIS_MACHINE.fullmatch(master):
            os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
            options |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
        # Executors have this very Python, at the same path, unless told otherwise.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        try:
            with _pandas_3():
                session = sessions.builder.master(master).config(map=options).getOrCreate()
        except Exception as error:
            raise SparkFailed(f"Spark does not start with the master {master}: {_in_a_line(error)}") from error
        try:
            yield Cluster(session)
        finally:
            session.stop()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def why_not() -> str | None:
    """Why Spark cannot be used here; None if it can."""
    try:
        with _pandas_3():
            importlib.import_module("pyspark.sql")
    except ImportError:
        return f"--engine spark needs pyspark, which is not installed: {HOW_TO_GET_IT}"
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    version = _java_version(java) if java else None
    if version is None:
        return f"--engine spark needs Java {JAVA} or later, and no java was found: {HOW_TO_GET_IT}"
    if version < JAVA:
        return f"--engine spark needs Java {JAVA} or later, and {java} is Java {version}: {HOW_TO_GET_IT}"
    return None


@contextmanager
def _pandas_3() -> Iterator[None]:
    """Spark asks for pandas whatever it is to do, and warns of 3.0; nothing here makes use of pandas."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
        yield


def _java_version(java: str) -> int | None:
    try:
        told = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=False).stderr
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', told)
    return int(found[1]) if found else None


def _sessions() -> type["SparkSession"]:
    if reason := why_not():
        raise SparkFailed(reason)
    from pyspark.sql import SparkSession

    return SparkSession


def _in_a_line(error: Exception) -> str:
    """The last line that says what went wrong: Spark's own messages hold the traces of all its processes."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and not line.startswith("\t")]
    told = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Refused)\b", line)]
    return (told or lines or [type(error).__name__])[-1]
