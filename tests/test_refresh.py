"""Builds that follow one another: what did not change is neither read nor judged again, and the answer is the same."""

import json
import os
import tempfile
from collections import Counter
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from unittest.mock import patch

import builds
import estates
import oracle
import polars as pl
import pytest
from builds import folders, march, response, secure_devices
from hypothesis import given
from hypothesis import strategies as st
from test_build import ANY_SHARE, BAD, GOOD, GROUPINGS, by_device, few, in_any_order, outcomes_of, planned, quarantined

from analysis import pipeline, tables
from analysis.counts import Counts
from analysis.pipeline import Parameters, build
from data import digests, evidence, extracts, intake, partials, reduction
from data.extracts import InputRefused
from data.marts import current
from data.merge import Merged
from data.reduction import Reader

FILES = 3


@pytest.fixture(autouse=True)
def at_rest():
    """A file that was written a moment ago is known again all the same."""
    with patch.object(digests, "SETTLED_NANOSECONDS", 0):
        yield


# --- any way from one estate to another ---------------------------------------------------------------------


def changed(random, extract, row):
    """The row with something else said in it, in a way that may change a verdict."""
    ways = {
        "devices": lambda: {"network_operator_id": random.choice(["N-USER", "N-QUIET", None])},
        "service_responses": lambda: {"execution_status": random.choice(["", "success", "partial"])},
        "dsp_checks": lambda: {"passed": not row["passed"]},
        "registrations": lambda: {"supplier_id": random.choice(["S-ONE", "S-TWO"])},
        "credential_reads": lambda: {"status_code": random.choice(["success", "trustAnchorNotFound"])},
        "certificates": lambda: {"status": random.choice(["InUse", "Revoked"])},
        "parties": lambda: {"is_dcc_user": not row["is_dcc_user"]},
        "incidents": lambda: {"resolution": "closed"},
    }
    return row | ways[extract]()


def state(extracts, seed):
    """The extracts at another time: some files are not there yet, some rows of some files are others."""
    random = Random(seed)
    found = {}
    for extract, rows in extracts.items():
        files = [[row for place, row in enumerate(rows) if place % FILES == part] for part in range(FILES)]
        for part in range(1, FILES):
            if random.random() < 0.3:
                files[part] = []
            elif random.random() < 0.3:
                files[part] = [changed(random, extract, row) if random.random() < 0.5 else row for row in files[part]]
        found[extract] = files
    return found


def write(state, folder):
    """Writes the files that are not there as they are to be, and removes the others."""
    for extract, files in state.items():
        for part, rows in enumerate(files):
            file = folder / extract / f"part-{part}.parquet"
            estates.write_rows(extract, rows, file.with_suffix(".new"))
            if file.is_file() and file.read_bytes() == file.with_suffix(".new").read_bytes():
                file.with_suffix(".new").unlink()
            else:
                file.with_suffix(".new").replace(file)


def rows_of(state):
    return {extract: [row for rows in files for row in rows] for extract, files in state.items()}


@contextmanager
def home():
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "extracts", Path(folder) / "marts"


@contextmanager
def in_sizes(devices_a_bucket, rows_a_batch, buckets_a_file):
    # Of how many files a table has, the child that writes them decides.
    with (
        patch.object(reduction, "DEVICES_A_BUCKET", devices_a_bucket),
        patch.object(intake, "ROWS_A_BATCH", rows_a_batch),
        patch.object(reduction, "BUCKETS_A_FILE", buckets_a_file),
        builds.in_this_process() if buckets_a_file < 32 else nullcontext(),
    ):
        yield


@few(25)
@given(
    plan=planned(GOOD) | planned(BAD),
    seeds=st.lists(st.integers(0, 1000), min_size=2, max_size=4),
    as_ats=st.lists(estates.as_ats(), min_size=4, max_size=4),
    sizes=st.sampled_from([(250_000, 4_000_000, 32), (3, 10, 32), (1, 1, 2)]),
)
def test_every_build_after_another_equals_the_oracle(plan, seeds, as_ats, sizes):
    extracts = estates.make_estate(**plan)
    with in_sizes(*sizes), patch.object(digests, "SETTLED_NANOSECONDS", 0), home() as (folder, marts):
        for seed, as_at in zip(seeds, as_ats, strict=False):
            now = state(extracts, seed)
            write(now, folder)
            clean, bad = oracle.check(rows_of(now), estates.BUILD_START)
            if as_at is None and oracle.default_as_at(clean) is None:
                continue
            snapshot = build(folder, marts, Parameters(as_at, 7, ANY_SHARE))
            expected = oracle.outcomes(clean, as_at)
            assert outcomes_of(snapshot) == by_device(expected)
            assert quarantined(snapshot) == Counter(extract for extract, _, _ in bad)
            for by in GROUPINGS:
                found = {
                    name: in_any_order(tables.frame(snapshot, name, by).to_dicts()) for name in ("rates", "causes")
                }
                assert found["rates"] == in_any_order(oracle.rates(expected, by))
                assert found["causes"] == in_any_order(oracle.causes(expected, by))


@few(10)
@given(plan=planned(GOOD) | planned(BAD), seeds=st.lists(st.integers(0, 1000), min_size=2, max_size=3))
def test_a_refresh_leaves_the_tables_of_a_build_from_nothing(plan, seeds):
    """Table by table, but for the order of rows."""
    extracts = estates.make_estate(**plan)
    with home() as (folder, marts):
        for seed in seeds:
            write(state(extracts, seed), folder)
            try:
                refreshed = build(folder, marts, Parameters(None, 7, ANY_SHARE))
            except InputRefused:
                continue
            fresh = build(folder, marts.with_name(f"fresh-{seed}"), Parameters(None, 7, ANY_SHARE))
            names = {file["table"] for file in fresh.manifest["files"]}
            assert names == {file["table"] for file in refreshed.manifest["files"]}
            for name in names - {name for name in names if name.startswith("evidence/")}:
                assert sorted(map(str, refreshed.frame(name).to_dicts())) == sorted(
                    map(str, fresh.frame(name).to_dicts())
                )


# --- what is read, and what is judged -----------------------------------------------------------------------


@contextmanager
def watched():
    """The files that are read, and the Devices that are judged."""
    files, devices = [], []
    reduce, classify = Reader.reduce, pipeline.classify

    def reading(self, contract, batch, folder):
        files.extend(file.name for file in batch)
        return reduce(self, contract, batch, folder)

    def judging(found, *arguments):
        devices.extend(found.devices["device_key"].to_list())
        return classify(found, *arguments)

    with builds.in_this_process(), patch.object(Reader, "reduce", reading), patch.object(pipeline, "classify", judging):
        yield files, devices


def test_a_build_with_nothing_changed_reads_and_judges_nothing(tmp_path):
    found = folders(tmp_path)
    first = build(*found)
    with watched() as (files, devices):
        second = build(*found)
    assert (files, devices) == ([], [])
    assert outcomes_of(second) == outcomes_of(first)
    assert second.number == first.number + 1


def test_only_what_came_is_read_and_only_whom_it_is_about_is_judged(tmp_path):
    found = folders(tmp_path, secure_devices(range(1, 9)))
    build(*found)
    # Not later than what there is: a later instant may begin a spell, or make a Device due.
    late = response(3, srv="6.15.1", execution_status="failure", responded_at=march(2, 2), remote_party_role="Supplier")
    estates.write_rows("service_responses", [late], found.extracts / "service_responses" / "late.parquet")
    with watched() as (files, devices):
        snapshot = build(*found)
    assert files == ["service_responses/late.parquet"]
    assert [f"{key:016X}" for key in devices] == [builds.eui(3).replace("-", "")]
    assert snapshot.rows("outcomes") == 8


def test_a_file_that_was_copied_anew_is_known_by_its_bytes(tmp_path):
    found = folders(tmp_path)
    build(*found)
    for file in found.extracts.rglob("*.parquet"):
        copy = file.with_suffix(".copy")
        copy.write_bytes(file.read_bytes())
        copy.replace(file)
    with watched() as (files, _):
        build(*found)
    assert files == []


def test_a_file_changed_without_a_trace_in_size_and_time_of_change_is_read_anew(tmp_path):
    """The disk's own time of the change cannot be set back."""
    found = folders(tmp_path)
    build(*found)
    [file] = (found.extracts / "dsp_checks").rglob("*.parquet")
    before = file.stat()
    rows = secure_devices()["dsp_checks"]
    estates.write_rows("dsp_checks", rows[1:] + rows[:1], file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    with watched() as (files, _):
        build(*found)
    assert files == ["dsp_checks/part-0.parquet"]


def test_a_file_changed_just_before_it_was_read_is_looked_at_again(tmp_path):
    found = folders(tmp_path)
    with patch.object(digests, "SETTLED_NANOSECONDS", 10**18):
        build(*found)
        with watched() as (files, _), patch.object(extracts, "digest_of", wraps=extracts.digest_of) as digest:
            build(*found)
    assert (digest.call_count, files) == (7, [])


def test_a_file_that_has_settled_since_is_digested_once_more_and_then_known(tmp_path):
    found = folders(tmp_path)
    with patch.object(digests, "SETTLED_NANOSECONDS", 10**18):
        build(*found)
    asked = []
    for _ in range(3):
        with watched() as (files, _), patch.object(extracts, "digest_of", wraps=extracts.digest_of) as digest:
            build(*found)
        asked.append((digest.call_count, files))
    assert asked == [(7, []), (0, []), (0, [])]
    kept = found.marts / "partials" / "verified.json"
    kept.write_text("[1")
    with watched() as (files, _), patch.object(extracts, "digest_of", wraps=extracts.digest_of) as digest:
        build(*found)
    assert (digest.call_count, files) == (7, [])
    assert len(json.loads(kept.read_text())) == 7


def test_where_nothing_came_nothing_is_counted_and_all_tables_are_as_they_were(tmp_path):
    found = folders(tmp_path)
    first = build(*found)
    with patch.object(Counts, "add") as counting:
        second = build(*found)
    assert counting.call_count == 0
    assert second.number == first.number + 1
    same = [file["name"] for file in first.manifest["files"] if file["table"] in ("outcomes", "counts", "amendments")]
    assert len(same) == 3
    for name in same:
        assert (first.folder / name).samefile(second.folder / name)
    assert {file["name"]: file["sha256"] for file in first.manifest["files"]} == {
        file["name"]: file["sha256"] for file in second.manifest["files"]
    }


def test_what_two_files_say_of_a_device_is_looked_for_only_where_something_came(tmp_path):
    """Each file of the inventory is a partial of its own."""
    found = folders(tmp_path, secure_devices(range(1, 9)))
    usual = {row["device_id"]: row for row in secure_devices(range(1, 9))["devices"]}
    [first] = (found.extracts / "devices").rglob("*.parquet")
    name = f"devices/{first.relative_to(found.extracts / 'devices')}"
    look = Reader.rows_of_conflicting_devices

    def after(file=None, **said):
        """The quarantined rows by file, and the files of which rows were looked for, once `said` came in a file."""
        looked = []

        def looking(self, contract, batch, keys):
            looked.extend(file.name for file in batch)
            return look(self, contract, batch, keys)

        if file:
            rows = [usual[builds.eui(int(number[1:]))] | {"model": model} for number, model in said.items()]
            estates.write_rows("devices", rows, found.extracts / "devices" / f"{file}.parquet")
        with builds.in_this_process(), patch.object(Reader, "rows_of_conflicting_devices", looking):
            snapshot = build(*found, Parameters(None, 7, ANY_SHARE))
        rows = snapshot.frame("quarantine").filter(pl.col("rule") == "one_row_a_device")
        return dict(rows.select("file", "rows").iter_rows()), sorted(looked)

    with patch.object(intake, "ROWS_A_BATCH", 1), patch.object(digests, "SETTLED_NANOSECONDS", 0):
        assert after() == ({}, [])
        assert after("b", d1="other") == ({name: 1, "devices/b.parquet": 1}, ["devices/b.parquet", name])
        # A Device more: of the first file two rows now; the second one says what it said, and is not read again.
        every = {name: 2, "devices/b.parquet": 1, "devices/c.parquet": 1}
        assert after("c", d2="other") == (every, ["devices/c.parquet", name])
        # One that is in conflict already.
        every["devices/d.parquet"] = 1
        assert after("d", d1="third") == (every, ["devices/d.parquet"])
        assert after("e", d3=usual[builds.eui(3)]["model"]) == (every, [])
        assert after() == (every, [])
        (found.extracts / "devices" / "b.parquet").unlink()
        del every["devices/b.parquet"]
        assert after()[0] == every
        (found.extracts / "devices" / "d.parquet").unlink()
        assert after()[0] == {name: 1, "devices/c.parquet": 1}


def test_incidents_are_written_anew_only_when_some_came_or_went(tmp_path):
    found = folders(tmp_path)
    raised = [
        {
            "incident_id": f"INC{n}",
            "device_id": builds.eui(1),
            "raised_at": march(n),
            "closed_at": None,
            "resolution": None,
        }
        for n in (1, 2)
    ]

    def numbers_after(*, came=(), went=()):
        for n in came:
            estates.write_rows("incidents", [raised[n]], found.extracts / "incidents" / f"{n}.parquet")
        for n in went:
            (found.extracts / "incidents" / f"{n}.parquet").unlink()
        with patch.object(Merged, "incidents", autospec=True, side_effect=Merged.incidents) as written:
            snapshot = build(*found)
        return written.call_count, sorted(snapshot.frame("incidents")["incident_id"])

    assert numbers_after(came=[0]) == (1, ["INC1"])
    assert numbers_after() == (0, ["INC1"])
    late = response(3, srv="6.15.1", execution_status="failure", responded_at=march(2, 2), remote_party_role="Supplier")
    estates.write_rows("service_responses", [late], found.extracts / "service_responses" / "late.parquet")
    assert numbers_after() == (0, ["INC1"])
    assert numbers_after(came=[1]) == (1, ["INC1", "INC2"])
    assert numbers_after(went=[0]) == (1, ["INC2"])


def test_other_reading_reads_all_and_other_rules_judge_all(tmp_path):
    found = folders(tmp_path)
    build(*found)
    with patch.object(pipeline, "rules", lambda: "other"), watched() as (files, devices):
        build(*found)
    assert (files, len(devices)) == ([], 3)
    with patch.object(partials, "reading", lambda: "other"), watched() as (files, devices):
        build(*found)
    assert len(files) == 7


def test_an_earlier_instant_judges_all_and_reads_only_what_it_leaves_out(tmp_path):
    found = folders(tmp_path)
    build(*found)
    with watched() as (files, devices):
        snapshot = build(*found, Parameters(as_at=march(4)))
    assert files == ["credential_reads/part-0.parquet"]
    assert len(devices) == 3
    assert {row["actual"] for row in outcomes_of(snapshot)} == {"unverified"}
    with watched() as (files, devices):
        snapshot = build(*found)
    assert files == []
    assert {row["actual"] for row in outcomes_of(snapshot)} == {"secure"}


def test_a_row_from_the_future_is_read_again_once_its_time_has_come(tmp_path):
    soon = datetime.now() + timedelta(days=1)
    extracts = secure_devices()
    extracts["dsp_checks"].append(builds.dsp_check(1, checked_at=soon))
    found = folders(tmp_path, extracts)
    parameters = Parameters(most_quarantined=ANY_SHARE)
    assert build(*found, parameters).manifest["extracts"]["dsp_checks"]["quarantined"] == 1
    with watched() as (files, _):
        build(*found, parameters)
    assert files == []

    class Later(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(days=2)

    with patch.object(pipeline, "datetime", Later), watched() as (files, _):
        snapshot = build(*found, parameters)
    assert files == ["dsp_checks/part-0.parquet"]
    assert snapshot.manifest["extracts"]["dsp_checks"]["quarantined"] == 0


# --- what is kept -------------------------------------------------------------------------------------------


def test_snapshots_share_the_bytes_of_what_did_not_change(tmp_path):
    found = folders(tmp_path)
    first, second = build(*found), build(*found)
    for name in ("evidence/attempts", "outcomes"):
        [before], [now] = first.files(name), second.files(name)
        assert before.stat().st_ino == now.stat().st_ino
        assert before != now


def test_a_refused_build_leaves_no_partial(tmp_path):
    found = folders(tmp_path)
    build(*found)
    kept = sorted(path.name for path in (found.marts / "partials").iterdir())
    estates.write_rows(
        "dsp_checks",
        [builds.dsp_check(n, passed=None) for n in range(1, 9)],
        found.extracts / "dsp_checks" / "x.parquet",
    )
    with pytest.raises(InputRefused):
        build(*found)
    assert sorted(path.name for path in (found.marts / "partials").iterdir()) == kept


def test_a_partial_that_lacks_a_file_is_made_anew(tmp_path):
    found = folders(tmp_path)
    first = build(*found)
    for file in (found.marts / "partials").rglob("attempts.parquet"):
        file.unlink()
    with watched() as (files, _):
        second = build(*found)
    assert files == ["service_responses/part-0.parquet"]
    assert outcomes_of(second) == outcomes_of(first)


def test_partials_of_files_that_are_gone_are_removed(tmp_path):
    found = folders(tmp_path)
    file = found.extracts / "dsp_checks" / "more.parquet"
    estates.write_rows("dsp_checks", [builds.dsp_check(1)], file)
    build(*found)
    file.unlink()
    build(*found)
    kept = partials.Store(found.marts / "partials", tmp_path / "work").partials()
    names = sorted(name for partial in kept for name in partial.facts.get("files", {}))
    manifest = current(found.marts).manifest
    assert names == sorted(file["name"] for extract in manifest["extracts"].values() for file in extract["files"])
    assert "dsp_checks/more.parquet" not in names


@pytest.mark.parametrize(("late", "together"), [([3], 4), (range(1, 33), 1)])
def test_buckets_of_which_few_devices_are_touched_are_read_together(tmp_path, late, together):
    """Sixteen buckets of two Devices: four at a time unless too many are touched; of which none is keeps its file."""
    found = folders(tmp_path, secure_devices(range(1, 33)))
    with patch.object(reduction, "DEVICES_A_BUCKET", 2):
        first = build(*found)
        rows = [response(n, execution_status="failure", responded_at=march(2, 2)) for n in late]
        estates.write_rows("service_responses", rows, found.extracts / "service_responses" / "late.parquet")
        with patch.object(evidence, "of_buckets", wraps=evidence.of_buckets) as gather:
            second = build(*found)
    gathered = [call.args[2] for call in gather.call_args_list]
    assert sorted(bucket for buckets in gathered for bucket in buckets) == list(range(16))
    touched = {int(builds.eui(n).replace("-", ""), 16) for n in late}
    held = [touched & {*pl.read_parquet(file)["device_key"]} for file in second.files("outcomes")]
    assert {len(buckets) for buckets in gathered if any(held[bucket] for bucket in buckets)} == {together}
    for bucket, file in enumerate(second.files("outcomes")):
        assert file.samefile(first.folder / file.name) == (not held[bucket])
    assert outcomes_of(second) == outcomes_of(first)
