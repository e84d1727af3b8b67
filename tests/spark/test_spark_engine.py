"""Builds by Spark on a cluster of several processes, against builds of the same extracts by the embedded engine."""

import os
import signal
import sys
from contextlib import contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from random import Random
from types import ModuleType
from unittest.mock import patch

import builds
import estates
import oracle
import polars as pl
import pytest
from builds import folders, pco, response, secure_devices
from test_build import ANY_SHARE, by_device, outcomes_of
from thorough import times

from analysis import on_spark
from analysis.pipeline import Parameters, build
from data import digests, intake, marts, reduction, spark
from data.estate import generate
from data.extracts import InputRefused
from data.intake import READING
from data.partials import Store

MASTER = "local-cluster[2,1,1024]"
# Java starts in half the time, and a test's work is small.
LIGHT = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
DEVICES_A_BUCKET, ROWS_A_BATCH = 3, 40


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two workers with an executor of one core each, processes of their own."""
    if reason := spark.why_not():
        pytest.skip(f"Spark tests need pyspark and Java {spark.JAVA}: {reason}")
    settings = tmp_path_factory.mktemp("spark")
    lines = [f"spark.{process}.extraJavaOptions {LIGHT}" for process in ("driver", "executor")]
    (settings / "spark-defaults.conf").write_text("\n".join(lines), encoding="utf-8")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SPARK_CONF_DIR", str(settings))
        # Tests import from the project's folder and from tests/, executors from the project's folder.
        environment.setenv("PYTHONPATH", str(builds.PROJECT))
        with spark.cluster(MASTER) as started:
            yield started


@pytest.fixture(autouse=True)
def at_rest():
    with patch.object(digests, "SETTLED_NANOSECONDS", 0):
        yield


@contextmanager
def small(devices_a_bucket=DEVICES_A_BUCKET, rows_a_batch=ROWS_A_BATCH):
    """Several batches and buckets of few rows; only the driver knows of it."""
    buckets, batches = {"DEVICES_A_BUCKET": devices_a_bucket}, {"ROWS_A_BATCH": rows_a_batch}
    with patch.multiple(reduction, **buckets), patch.multiple(intake, **batches):
        yield


def tables_of(snapshot):
    """Every table whole, in one order; the samples of bad rows are any few of many."""
    names = {file["table"] for file in snapshot.manifest["files"]}
    found = {name: pl.concat([pl.read_parquet(file) for file in snapshot.files(name)]) for name in names}
    return {name: table.drop("samples", strict=False).sort(pl.all()) for name, table in found.items()}


def assert_same(snapshot, expected):
    found, wanted = tables_of(snapshot), tables_of(expected)
    assert found.keys() == wanted.keys()
    assert [name for name in wanted if not found[name].equals(wanted[name])] == []
    # Row for row: in one order too.
    assert snapshot.frame("outcomes").equals(expected.frame("outcomes"))
    assert snapshot.manifest["buckets"] == expected.manifest["buckets"]


def executors():
    """The processes of executors below this one."""
    parents, found = {}, []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if b"CoarseGrainedExecutorBackend" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue

    def is_below(pid):
        while pid and pid != os.getpid():
            pid = parents.get(pid)
        return bool(pid)

    # Java's launcher hands its own process over to the executor: one process each.
    return sorted(pid for pid in found if is_below(pid))


@pytest.mark.parametrize("seed", range(times(quick=2, thorough=25)))
def test_random_estates_are_judged_as_by_the_embedded_engine(cluster, tmp_path, seed):
    random = Random(seed)
    estate = estates.make_estate(seed, 6 + seed % 7, random.randint(1, 6), random.randint(1, 4), bad_rows=seed % 2 * 5)
    as_at, grace_days = random.choice([None, *estates.INSTANTS[-4:]]), random.choice([0, 7])
    estates.write_estate(estate, tmp_path / "extracts", files=2)
    parameters = Parameters(as_at, grace_days, ANY_SHARE)
    with small():
        snapshot = build(tmp_path / "extracts", tmp_path / "spark", parameters, engine=on_spark.engine_on(cluster))
        expected = build(tmp_path / "extracts", tmp_path / "duckdb", parameters)
    assert snapshot.manifest["buckets"] > 1
    assert_same(snapshot, expected)
    clean, _ = oracle.check(estate, estates.BUILD_START)
    assert outcomes_of(snapshot) == by_device(oracle.outcomes(clean, as_at, grace_days))


def test_what_several_files_say_of_a_device_is_found_by_spark_too(cluster, tmp_path):
    """Each file is a batch of its own, and other Devices are in conflict in each."""
    found = folders(tmp_path, secure_devices(range(1, 7)))
    usual = secure_devices(range(1, 7))["devices"]
    for number, places in (("b", (0, 1)), ("c", (1, 2))):
        rows = [usual[place] | {"model": f"model {number}"} for place in places]
        estates.write_rows("devices", rows, found.extracts / "devices" / f"{number}.parquet")
    parameters = Parameters(None, 7, ANY_SHARE)
    with small(rows_a_batch=1):
        snapshot = build(*found, parameters, engine=on_spark.engine_on(cluster))
        expected = build(found.extracts, tmp_path / "duckdb", parameters)
    assert_same(snapshot, expected)
    assert snapshot.frame("quarantine")["rows"].sort().to_list() == [2, 2, 3]


def test_a_build_outlives_executors_that_are_killed(cluster, tmp_path):
    generate(tmp_path / "extracts", 800, seed=5, months=3)
    killed = {}

    def kill_one(stage, done, total):
        if stage not in killed and 0 < done < total:
            killed[stage] = executors()[0]
            os.kill(killed[stage], signal.SIGKILL)

    with small(devices_a_bucket=50, rows_a_batch=2_000), patch.object(spark, "SECONDS_BETWEEN_LOOKS", 0.05):
        snapshot = build(
            tmp_path / "extracts", tmp_path / "spark", progress=kill_one, engine=on_spark.engine_on(cluster)
        )
        assert killed.keys() == {READING, on_spark.JUDGING}
        expected = build(tmp_path / "extracts", tmp_path / "duckdb")
    assert_same(snapshot, expected)
    # Nothing is left of tasks that ran twice.
    kept = [{folder.name for folder in (tmp_path / name / "partials").iterdir()} for name in ("spark", "duckdb")]
    assert len(kept[0]) == len(kept[1])
    assert not [entry for entry in (tmp_path / "spark").iterdir() if entry.name.startswith(".")]


def test_spark_goes_on_from_where_the_embedded_engine_left_off(cluster, tmp_path):
    numbers = range(1, 25)
    extracts, snapshots = folders(tmp_path, secure_devices(numbers))
    total, later = {}, datetime(2021, 4, 2)

    def note(stage, done, of):
        total[stage] = of

    with small(rows_a_batch=1_000):
        first = build(extracts, snapshots, Parameters(later))
        denied = [response(1, execution_status="failure", response_code="E20", sent_at=datetime(2021, 3, 1, 12))]
        estates.write_rows("service_responses", denied, extracts / "service_responses" / "late.parquet")
        second = build(extracts, snapshots, Parameters(later), note, on_spark.engine_on(cluster))
        expected = build(extracts, tmp_path / "anew", Parameters(later))
    assert total[READING] == 1
    assert_same(second, expected)
    inodes = [{file.name: file.stat().st_ino for file in snapshot.files("outcomes")} for snapshot in (first, second)]
    same = [name for name in inodes[0] if inodes[0][name] == inodes[1][name]]
    assert len(same) == len(inodes[0]) - 1


def rows_gone(file):
    """The footer stays; what it speaks of is no longer there: only who reads the rows can tell."""
    whole = file.read_bytes()
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    file.write_bytes(whole[:4] + b"\xff" * (footer - 4) + whole[footer:])


def end_gone(file):
    file.write_bytes(file.read_bytes()[:-20])


@pytest.mark.parametrize(("harm", "asks_executors"), [(rows_gone, True), (end_gone, False)])
def test_what_cannot_be_read_is_refused_in_the_same_words(cluster, tmp_path, harm, asks_executors):
    extracts, snapshots = folders(tmp_path)
    harm(extracts / "service_responses" / "part-0.parquet")
    with patch.object(cluster, "each", wraps=cluster.each) as asked, pytest.raises(InputRefused) as refused:
        build(extracts, snapshots, engine=on_spark.engine_on(cluster))
    assert asked.called == asks_executors
    with pytest.raises(InputRefused) as expected:
        build(extracts, snapshots)
    assert refused.value.problems == expected.value.problems
    assert any("service_responses/part-0.parquet" in problem for problem in refused.value.problems)
    with pytest.raises(marts.NoSnapshot):
        marts.current(snapshots)


def test_the_command_builds_by_spark_from_a_file_url(cluster, tmp_path):
    extracts, snapshots = folders(tmp_path / "a b")
    with patch.object(spark, "cluster", lambda master: nullcontext(cluster)):
        options = ("--marts", snapshots, "--engine", "spark", "--master", MASTER)
        ran = pco("build", "--extracts", extracts.as_uri(), *options)
    assert ran.status == 0, ran.err
    assert "Snapshot 1 of 3 Devices is in use" in ran.out


# --- without a cluster --------------------------------------------------------------------------------------


def test_a_partial_that_two_runs_of_a_task_made_is_one(tmp_path):
    store = Store(tmp_path / "kept", tmp_path / "work")
    rows = pl.DataFrame({"device_id": ["00-00-00-00-00-00-00-01"]})

    def put():
        draft = store.draft()
        rows.write_parquet(draft / "rows.parquet")
        return store.put(draft, {"extract": "devices", "tables": {"rows": ["rows.parquet"]}, "files": {}})

    first, second = put(), put()
    assert first.key == second.key
    assert [folder.name for folder in store.new.iterdir()] == [first.key]
    assert pl.read_parquet(second.files("rows")).equals(rows)
    assert list(store.work.iterdir()) == [store.new]


@pytest.mark.parametrize("options", [("--engine", "spark"), ("--master", "local"), ("--engine", "flink")])
def test_options_that_do_not_go_together_are_wrong_usage(tmp_path, options):
    extracts, snapshots = folders(tmp_path)
    ran = pco("build", "--extracts", extracts, "--marts", snapshots, *options)
    assert (ran.status, len(ran.problems)) == (2, 1)
    assert not snapshots.exists()


def test_without_pyspark_one_line_says_how_to_get_it(tmp_path):
    extracts, snapshots = folders(tmp_path)
    with patch.dict(sys.modules, {"pyspark": None, "pyspark.sql": None}):
        ran = pco("build", "--extracts", extracts, "--marts", snapshots, "--engine", "spark", "--master", "local")
    [problem] = ran.problems
    assert ran.status == 1
    assert "pip install 'post-commissioning-outcomes[spark]'" in problem
    assert "Java 17" in problem


@pytest.mark.parametrize(("says", "told"), [(None, "no java was found"), ("11.0.2", "Java 11"), ("1.8.0_1", "Java 8")])
def test_without_java_17_one_line_says_so(tmp_path, monkeypatch, says, told):
    if says:
        java = tmp_path / "java"
        java.write_text(f"#!/bin/sh\necho 'openjdk version \"{says}\" 2018-10-16' >&2\n", encoding="utf-8")
        java.chmod(0o755)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with patch.dict(sys.modules, {"pyspark": ModuleType("pyspark"), "pyspark.sql": ModuleType("pyspark.sql")}):
        assert told in spark.why_not()


def test_an_executor_with_another_version_is_refused():
    answer = spark._answer("data.places:place", {}, reading="another")
    with pytest.raises(RuntimeError, match="another version"):
        spark._result(answer)


def test_only_masters_of_this_machine_are_bound_to_loopback():
    here = ["local", "local[2]", "local[*]", MASTER, "spark://127.0.0.1:7077", "spark://localhost:7077"]
    there = ["spark://10.0.0.1:7077", "spark://localhost.example:7077", "yarn", "k8s://https://127.0.0.1:6443"]
    assert [master for master in here + there if spark.OF_THIS_MACHINE.fullmatch(master)] == here
