"""Two builds at once: one has the folder, the other says so, and what is published is one build's."""

import json
import subprocess

import faulty
from builds import pco
from faulty import built, leftovers, read_all, unpublished, whole
from thorough import times

from data.marts import Draft, current


def test_builds_at_once_publish_one_after_another_or_are_refused(extracts, marts):
    for _ in range(times(1, 10)):
        before = whole(marts)[0]
        running = [faulty.build_process(extracts, marts, 10 + number) for number in range(3)]
        ended = [(build.communicate(timeout=120)[1].splitlines(), build.returncode) for build in running]
        done = [status for _, status in ended if status == 0]
        for problems, status in ended:
            if status:
                assert status == 1
                assert [problem.endswith("another build is under way") for problem in problems] == [True]
        assert done
        assert whole(marts)[0] == before + len(done)
        seen = read_all(current(marts))
        assert seen["in_rows"] == [seen["told"]]
        assert (leftovers(marts), unpublished(marts)) == ([], [])


def test_while_a_build_is_under_way_snapshots_are_listed_but_neither_used_nor_pruned(extracts, marts):
    with Draft(marts):
        assert pco("snapshots", "list", "--marts", marts).status == 0
        assert pco("snapshots", "verify", "--marts", marts).status == 0
        for command in (["use", "1"], ["prune", "--keep", "1"]):
            done = pco("snapshots", *command, "--marts", marts)
            assert (done.status, len(done.problems)) == (1, 1)
            assert "another build is under way" in done.err
        assert pco("snapshots", "prune", "--keep", "1", "--dry-run", "--marts", marts).status == 0
    assert pco("snapshots", "use", "1", "--marts", marts).status == 0


def test_a_reader_in_another_process_keeps_its_snapshot_from_being_removed(extracts, marts, tmp_path):
    holding = "import sys; from pathlib import Path; from data.marts import current; held = current(Path(sys.argv[1]))"
    command = [*faulty.PCO[:2], f"{holding}; print('held', flush=True); sys.stdin.read()", marts]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=faulty.PROJECT, **pipes) as reader:
        assert reader.stdout.readline() == "held\n"
        assert built(extracts, marts, 8) == (0, [])
        listed = json.loads(pco("snapshots", "list", "--json", "--marts", marts).out)
        assert [(row["number"], row["held"], row["in_use"]) for row in listed] == [(1, True, False), (2, False, True)]
        for options in (["--dry-run"], []):
            done = pco("snapshots", "prune", "--keep", "1", "--marts", marts, *options)
            assert done.out.splitlines() == ["snapshot 1: held by a reader", "snapshot 2: in use"]
        reader.stdin.close()
    assert "snapshot 1: removed" in pco("snapshots", "prune", "--keep", "1", "--marts", marts).out
    assert [folder.name for folder in (marts / "snapshots").iterdir()] == ["000002"]
