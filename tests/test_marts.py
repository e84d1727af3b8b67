"""A snapshot is published whole or not at all, and earlier ones are kept."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import builds
import duckdb
import estates
import polars as pl
import pyarrow.parquet as pq
import pytest
from builds import pco, pco_build

from analysis import pipeline
from analysis.counts import Counts
from data import marts
from data.marts import BuildUnderWay, Draft, NoSnapshot, current, snapshots


@pytest.fixture
def folders(tmp_path):
    return builds.folders(tmp_path)


def numbers(folders):
    return [snapshot.number for snapshot in snapshots(folders.marts)]


def publish(folder, *values):
    """Publishes a snapshot of one table by hand."""
    with Draft(folder) as draft:
        draft.write("amendments", pl.DataFrame({"value": values}))
        return draft.publish({})


def bytes_below(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def leftovers(folder):
    """What lies in a marts folder beside the snapshots."""
    return sorted(
        path.name for path in folder.iterdir() if path.name not in {"CURRENT", "LOCK", "partials", "snapshots"}
    )


class Stopped(Exception):
    """What a test throws to stop a build half way."""


def stop(*_, **__):
    raise Stopped


# --- what a snapshot is -------------------------------------------------------------------------------------


def test_the_manifest_names_every_file_with_its_rows_and_digest(folders):
    pco_build(folders)
    snapshot = current(folders.marts)
    named = {file["name"]: file for file in snapshot.manifest["files"]}
    found = {path.relative_to(snapshot.folder).as_posix() for path in snapshot.folder.rglob("*") if path.is_file()}
    assert found == {*named, "manifest.json", "manifest.sha256"}
    for name, file in named.items():
        assert file["bytes"] == (snapshot.folder / name).stat().st_size
        assert file["sha256"] == hashlib.sha256((snapshot.folder / name).read_bytes()).hexdigest()
        assert file["rows"] == pq.ParquetFile(snapshot.folder / name).metadata.num_rows


def test_current_holds_the_number_of_the_newest_snapshot(folders):
    for number in ("000001", "000002", "000003"):
        pco_build(folders)
        assert (folders.marts / "CURRENT").read_text().splitlines()[0] == number
        assert current(folders.marts).folder == folders.marts / "snapshots" / number


def test_earlier_snapshots_are_kept_as_they_were_and_listed(folders):
    pco_build(folders)
    first = current(folders.marts)
    before = bytes_below(first.folder)
    pco_build(folders, "--grace-days", 30)
    assert bytes_below(first.folder) == before
    assert numbers(folders) == [1, 2]
    assert json.loads(pco("status", "--json", "--marts", folders.marts).out)["snapshots"] == [1, 2]
    assert [snapshot.manifest["grace_days"] for snapshot in snapshots(folders.marts)] == [7, 30]


def test_a_damaged_manifest_hides_its_own_snapshot_only(tmp_path):
    for _ in range(3):
        publish(tmp_path, 1)
    (tmp_path / "snapshots" / "000002" / "manifest.json").write_text("{")
    assert [snapshot.number for snapshot in snapshots(tmp_path)] == [1, 3]


def test_a_reader_of_an_earlier_snapshot_goes_on_reading_it(tmp_path):
    first = publish(tmp_path, "first")
    publish(tmp_path, "second")
    assert first.frame("amendments")["value"].to_list() == ["first"]
    assert current(tmp_path).frame("amendments")["value"].to_list() == ["second"]


def test_a_snapshot_names_its_parent(tmp_path):
    assert [publish(tmp_path, 1).manifest["parent"] for _ in range(3)] == [None, "000001", "000002"]


def test_a_number_is_never_used_again(tmp_path):
    """Of a snapshot that was removed a reader may still hold the path."""
    for _ in range(2):
        publish(tmp_path, 1)
    (tmp_path / "CURRENT").write_text("000001\n")
    assert publish(tmp_path, 1).number == 3


def test_a_build_leaves_nothing_else_behind(folders):
    pco_build(folders)
    assert leftovers(folders.marts) == []


# --- a build that fails half way ----------------------------------------------------------------------------

HALF_WAY = {
    "reading": (pipeline.Intake, "partials"),
    "weighing the evidence": (pipeline, "evidence"),
    "writing": (Draft, "write"),
    "counting": (Counts, "write"),
    "describing": (Draft, "_describe"),
    "writing the manifest": (marts, "write_durably"),
    "publishing": (Draft, "publish"),
    "renaming": (Path, "rename"),
    "replacing CURRENT": (Path, "replace"),
}


@pytest.mark.parametrize("where", HALF_WAY)
def test_a_failure_half_way_leaves_the_snapshot_in_use(folders, where):
    pco_build(folders)
    before = current(folders.marts)
    # Of a build that nothing new came to, nothing is weighed or counted.
    estates.write_rows("dsp_checks", [builds.dsp_check(1)], folders.extracts / "dsp_checks" / "more.parquet")
    with patch.object(*HALF_WAY[where], stop), pytest.raises(Stopped):
        pipeline.build(*folders)
    assert current(folders.marts) == before
    assert leftovers(folders.marts) == []
    assert pco_build(folders).status == 0
    assert current(folders.marts).number > before.number


@pytest.mark.parametrize("where", HALF_WAY)
def test_a_first_build_that_fails_leaves_no_snapshot_in_use(folders, where):
    with patch.object(*HALF_WAY[where], stop), pytest.raises(Stopped):
        pipeline.build(*folders)
    with pytest.raises(NoSnapshot):
        current(folders.marts)


def test_a_failure_is_told_in_one_line(folders):
    with patch.object(pipeline, "classify", stop):
        done = pco_build(folders)
    assert (done.status, done.problems) == (1, ["pco: Stopped:"])


def test_a_full_disk_leaves_the_snapshot_in_use(folders):
    pco_build(folders)

    def no_space(*_):
        raise OSError(28, "No space left on device")

    with patch.object(os, "fsync", no_space):
        done = pco_build(folders)
    assert (done.status, len(done.problems)) == (1, 1)
    assert numbers(folders) == [1]


# --- two builds, and a build that died ----------------------------------------------------------------------


def test_a_second_build_at_once_is_refused(folders):
    with Draft(folders.marts) as first:
        done = pco_build(folders)
        assert done.status == 1
        assert [line.endswith("another build is under way") for line in done.problems] == [True]
        assert first.work.is_dir()
    assert pco_build(folders).status == 0


def test_a_refused_build_does_not_free_the_lock(tmp_path):
    with Draft(tmp_path):
        for _ in range(2):
            with pytest.raises(BuildUnderWay), Draft(tmp_path):
                pass


def test_drafts_of_builds_that_died_are_removed(folders):
    orphan = folders.marts / ".draft-1" / "tables"
    orphan.mkdir(parents=True)
    (orphan / "outcomes-00000.parquet").write_bytes(b"a torso")
    pco_build(folders)
    assert leftovers(folders.marts) == []


BUILD_THAT_HANGS = """
import signal, sys
from pathlib import Path
from analysis import pipeline

def hang(*_):
    print("half way", flush=True)
    signal.pause()

pipeline._manifest = hang
pipeline.build(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_the_next_build_works_after_one_was_killed(folders):
    pco_build(folders)
    command = [sys.executable, "-c", BUILD_THAT_HANGS, *map(str, folders)]
    with subprocess.Popen(command, cwd=builds.PROJECT, stdout=subprocess.PIPE, text=True) as build:
        assert build.stdout.readline() == "half way\n"
        assert pco_build(folders).status == 1
        build.send_signal(signal.SIGKILL)
    assert len(leftovers(folders.marts)) == 1
    assert current(folders.marts).number == 1
    assert pco_build(folders).status == 0
    assert leftovers(folders.marts) == []
    assert current(folders.marts).number == 2


# --- folders that are not as they should be -----------------------------------------------------------------


def test_a_folder_without_snapshots_is_told(tmp_path):
    for arguments in (["status"], ["status", "--json"], ["export", "rates", "--to", tmp_path / "x.csv"]):
        done = pco(*arguments, "--marts", tmp_path / "none")
        assert (done.status, len(done.problems)) == (1, 1)
        assert "no snapshot" in done.err
    assert not (tmp_path / "none").exists()


def test_a_snapshot_without_its_manifest_is_told(tmp_path):
    snapshot = publish(tmp_path, 1)
    (snapshot.folder / "manifest.json").unlink()
    done = pco("status", "--marts", tmp_path)
    assert (done.status, len(done.problems)) == (1, 1)
    assert "damaged" in done.err


def test_an_earlier_snapshot_without_its_manifest_stops_neither_status_nor_build(folders):
    pco_build(folders)
    pco_build(folders)
    (folders.marts / "snapshots" / "000001" / "manifest.json").unlink()
    assert pco("status", "--marts", folders.marts).status == 0
    assert pco_build(folders).status == 0


# --- which snapshots are kept, and which one is in use ------------------------------------------------------


@pytest.fixture
def three(tmp_path):
    for value in (1, 2, 3):
        publish(tmp_path, value)
    return tmp_path


def listed(folder):
    return json.loads(pco("snapshots", "list", "--json", "--marts", folder).out)


def kept(folder):
    return sorted(int(path.name) for path in (folder / "snapshots").iterdir())


def test_snapshots_are_listed_with_what_they_are(folders):
    pco_build(folders)
    pco_build(folders, "--grace-days", 30)
    first, second = listed(folders.marts)
    size = sum(path.stat().st_size for path in (folders.marts / "snapshots" / "000002").rglob("*") if path.is_file())
    manifest = current(folders.marts).manifest
    assert second == {
        "number": 2,
        "as_at": manifest["as_at"],
        "built_at": manifest["build_finished_at"],
        "parent": 1,
        "devices": 3,
        "bytes": size,
        "in_use": True,
        "held": False,
        "damage": None,
    }
    assert (first["number"], first["parent"], first["in_use"]) == (1, None, False)
    lines = pco("snapshots", "list", "--marts", folders.marts).out.splitlines()
    assert [line.endswith(", in use") for line in lines] == [False, True]
    assert lines[1].startswith(f"snapshot 2: as at {manifest['as_at'][:19]}, built ")
    assert ", after 1, 3 Devices, " in lines[1]


def test_prune_keeps_the_newest(three):
    done = pco("snapshots", "prune", "--keep", 2, "--marts", three)
    assert done.out.splitlines() == ["snapshot 1: removed", "snapshot 2: kept", "snapshot 3: in use"]
    assert (kept(three), leftovers(three)) == ([2, 3], [])
    assert current(three).number == 3


def test_a_dry_run_removes_nothing_and_tells_the_same(three):
    before = bytes_below(three)
    done = pco("snapshots", "prune", "--keep", 1, "--dry-run", "--marts", three)
    assert done.out.splitlines() == [
        "snapshot 1: would be removed",
        "snapshot 2: would be removed",
        "snapshot 3: in use",
    ]
    assert bytes_below(three) == before


def test_prune_never_removes_the_one_in_use(three):
    assert pco("snapshots", "use", 1, "--marts", three).status == 0
    assert pco("snapshots", "prune", "--keep", 1, "--marts", three).status == 0
    assert kept(three) == [1, 3]
    assert current(three).frame("amendments")["value"].to_list() == [1]


def test_prune_never_removes_what_serves_in_place_of_a_damaged_one(three):
    publish(three, 4)
    (three / "snapshots" / "000004" / "manifest.json").write_text("{")
    pco("snapshots", "prune", "--keep", 1, "--marts", three)
    assert kept(three) == [3, 4]
    assert current(three).number == 3


def test_prune_never_removes_what_a_reader_has_open(three):
    reader = snapshots(three)[0]
    assert [row["held"] for row in listed(three)] == [True, False, False]
    pco("snapshots", "prune", "--keep", 1, "--marts", three)
    assert kept(three) == [1, 3]
    assert reader.frame("amendments")["value"].to_list() == [1]
    del reader
    pco("snapshots", "prune", "--keep", 1, "--marts", three)
    assert kept(three) == [3]


def test_keeping_none_is_wrong_usage(three):
    assert pco("snapshots", "prune", "--keep", 0, "--marts", three).status == 2
    assert kept(three) == [1, 2, 3]


def test_use_puts_an_earlier_snapshot_back_and_the_next_build_goes_on_from_it(three):
    done = pco("snapshots", "use", 1, "--marts", three)
    assert (done.status, done.out) == (0, f"Snapshot 1 is in use in {three}\n")
    assert current(three).number == 1
    assert [snapshot.number for snapshot in snapshots(three)] == [1, 2, 3]
    fourth = publish(three, 4)
    assert (fourth.number, fourth.manifest["parent"], current(three)) == (4, "000001", fourth)


def test_use_goes_forward_again(three):
    for number in (1, 2, 3):
        pco("snapshots", "use", number, "--marts", three)
        assert current(three).number == number
    assert (three / "CURRENT").read_text().split()[:2] == ["000003", "000003"]


def test_an_operator_may_write_the_number_alone(three):
    (three / "CURRENT").write_text("000001")
    assert current(three).number == 1
    assert [snapshot.number for snapshot in snapshots(three)] == [1, 2, 3]
    assert publish(three, 4).number == 4
    assert kept(three) == [1, 2, 3, 4]


def test_a_number_that_is_not_kept_is_wrong_usage(three):
    for command in ("use", "verify"):
        done = pco("snapshots", command, 9, "--marts", three)
        assert (done.status, len(done.problems)) == (2, 1)
        assert "there is no snapshot 9" in done.err
    assert current(three).number == 3


def test_verify_tells_that_all_is_well(three):
    done = pco("snapshots", "verify", "--marts", three)
    assert (done.status, done.out.splitlines()) == (0, [f"snapshot {number}: whole" for number in (1, 2, 3)])
    assert pco("snapshots", "verify", 2, "--marts", three).out == "snapshot 2: whole\n"


def test_a_folder_without_snapshots_is_told_by_each_command(tmp_path):
    for command in (["list"], ["verify"], ["prune", "--keep", 1], ["prune", "--keep", 1, "--dry-run"]):
        done = pco("snapshots", *command, "--marts", tmp_path)
        assert (done.status, len(done.problems)) == (1, 1)
        assert "no snapshot" in done.err


def test_the_manifest_is_verified_by_its_own_digest_as_by_a_tool(three):
    folder = three / "snapshots" / "000002"
    digest, name = (folder / "manifest.sha256").read_text().split()
    assert (name, digest) == ("manifest.json", hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest())


def test_files_are_digested_once_a_process(three, monkeypatch):
    snapshot = current(three)
    monkeypatch.setattr(marts, "digest_of", None)
    assert current(three) is snapshot
    assert snapshot.frame("amendments")["value"].to_list() == [3]


def test_texts_that_are_kept_as_codes_are_read_as_texts_by_every_reader(demonstration):
    """Of what every Device may have another value no code is made: codes stay in memory."""
    file = demonstration.files("outcomes")[0]
    coded = {name for name, kind in pl.read_parquet_schema(file).items() if kind == pl.Categorical}
    assert {"reported", "actual", "finding", "supplier", "model"} <= coded
    assert "firmware_version" not in coded
    read = [demonstration.scan("outcomes").collect(), demonstration.frame("outcomes"), pq.read_table(file)]
    read[2] = pl.DataFrame({name: read[2][name].to_pylist() for name in coded}, dict.fromkeys(coded, pl.String))
    in_duckdb = duckdb.sql(f"select {', '.join(sorted(coded))} from read_parquet('{file}')")
    assert {str(kind) for kind in in_duckdb.types} == {"VARCHAR"}
    for frame in (*read, in_duckdb.pl()):
        assert frame.select(pl.col(coded)).schema == dict.fromkeys(frame.select(pl.col(coded)).columns, pl.String)
        assert set(frame["finding"].unique()) <= {*pipeline.FINDINGS.values(), "not_due"}
