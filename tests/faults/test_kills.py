"""kill -9 at any instant: the last snapshot still serves, nothing is mixed, and the next build recovers by itself."""

import random
import shutil
import signal
import time
from collections import Counter

import faulty
import pytest
from faulty import built, leftovers, steps, unpublished, whole, whole_folder
from thorough import times

from data import keeping
from data.marts import current, snapshots

GRACES = 40


def wait_for_an_instant(build, marts, kind, seconds, chance):
    """Any instant of the whole run, one while the draft is written, or one at publishing."""
    if kind == "run":
        time.sleep(chance.uniform(0, seconds))
        return
    if kind == "draft":
        faulty.await_(lambda: list(marts.glob(".draft-*")), build)
        time.sleep(chance.uniform(0, seconds / 2))
        return
    faulty.await_(lambda: list(marts.glob(".draft-*/tables/manifest.json")), build, pause=0.0002)
    time.sleep(chance.uniform(0, 0.02))


def test_builds_are_killed_while_readers_read(extracts, marts, tmp_path):
    chance = random.Random(7)
    rows = sum(file["rows"] for file in whole(marts)[1]["files"] if file["table"] == "outcomes")
    ended, states = Counter(), Counter()
    with faulty.readers(marts, tmp_path, times(1, 3), times(0.3, 0.02)) as read:
        started = time.monotonic()
        assert built(extracts, marts, 7) == (0, [])
        seconds = time.monotonic() - started
        for kill in range(times(6, 100)):
            before = whole(marts)[0]
            with faulty.build_process(extracts, marts, 8 + kill % GRACES) as build:
                wait_for_an_instant(build, marts, ("run", "draft", "publish")[kill % 3], seconds, chance)
                build.send_signal(signal.SIGKILL)
            ended[build.returncode] += 1
            assert build.returncode in (0, -signal.SIGKILL)
            now = whole(marts)[0]
            states["draft left"] += bool(leftovers(marts))
            states["moved on"] += now > before
            states["never used"] += bool(unpublished(marts))
            assert now == before or now > before
            if build.returncode == 0:
                assert now > before
            if kill % 10 == 9:
                keeping.prune(marts, 3)
        assert built(extracts, marts, 7) == (0, [])
        seen = read()
    assert ended[-signal.SIGKILL] >= times(3, 60)
    assert (leftovers(marts), unpublished(marts)) == ([], [])
    for folder in (marts / "snapshots").iterdir():
        whole_folder(folder)
    for reader in seen:
        assert [one for one in reader if "error" in one or one["instead_of"]] == []
        assert [one for one in reader if one["in_rows"] != [one["told"]]] == []
        assert {(one["outcomes"], one["counted"]) for one in reader} == {(rows, rows)}
        numbers = [one["number"] for one in reader]
        assert numbers == sorted(numbers)
        assert len(reader) > times(3, 500)
        told = {}
        assert all(told.setdefault(one["number"], one["told"]) == one["told"] for one in reader)
    print(f"\n{dict(ended)}, {dict(states)}, reads {[len(reader) for reader in seen]}")


def published(marts, count=1):
    """Publishes small tables in another process: one that tests fork must have no threads of polars yet."""
    with steps(marts, "kill", "publish", first=9_999 - count, last=9_999) as ended:
        assert [status for _, status in ended] == [0] * count


HOW = pytest.mark.parametrize("how", ["kill", "full"])
MOST_STEPS = 80


@HOW
def test_publishing_is_stopped_at_every_step(tmp_path, how):
    marts = tmp_path / "marts"
    published(marts)
    stopped, orphans = 0, 0
    with steps(marts, how, "publish") as ended:
        for step, status in ended:
            assert status in ((0, -signal.SIGKILL) if how == "kill" else (0, 3, 28)), (step, status)
            number, manifest = whole(marts)
            assert current(marts).number == number
            assert current(marts).manifest == manifest
            assert [one.number for one in snapshots(marts)] == sorted(kept_numbers(marts))
            orphans += bool(unpublished(marts))
            if status == 0:
                break
            stopped += 1
    assert stopped > 20
    assert (orphans > 0) == (how == "kill")
    assert (leftovers(marts), unpublished(marts)) == ([], [])
    for folder in (marts / "snapshots").iterdir():
        whole_folder(folder)


def kept_numbers(marts):
    return {int(folder.name) for folder in (marts / "snapshots").iterdir()} - set(map(int, unpublished(marts)))


@HOW
def test_a_first_build_is_stopped_at_every_step(tmp_path, how):
    with steps(tmp_path, how, "publish", each=True) as ended:
        for step, status in ended:
            marts = tmp_path / str(step)
            if (marts / "CURRENT").exists():
                assert whole(marts)[0] == 1
            if status == 0:
                break
    assert step > 20
    # Some are enough to see the next build recover, and the last ones before the end.
    for stopped in {*range(1, step, times(30, 3)), *range(step - times(1, 12), step)}:
        marts = tmp_path / str(stopped)
        published(marts)
        assert leftovers(marts) == []
        assert unpublished(marts) == []
        assert whole(marts)[0] == current(marts).number
        assert current(marts).instead_of is None


@HOW
def test_putting_an_earlier_snapshot_to_use_is_stopped_at_every_step(tmp_path, how):
    marts = tmp_path / "marts"
    published(marts, 2)
    with steps(marts, how, "use", number=1) as ended:
        for _, status in ended:
            assert whole(marts)[0] in (1, 2)
            assert [one.number for one in snapshots(marts)] == [1, 2]
            if status == 0:
                break
    assert whole(marts)[0] == 1
    assert leftovers(marts) == []
    published(marts)
    assert whole(marts)[0] == 3
    assert current(marts).manifest["parent"] == "000001"


def test_pruning_is_killed_at_every_step(tmp_path):
    published(tmp_path / "kept", 3)
    for step in range(1, MOST_STEPS):
        shutil.copytree(tmp_path / "kept", tmp_path / "each" / str(step))
    with steps(tmp_path / "each", "kill", "prune", last=MOST_STEPS, each=True) as ended:
        for step, status in ended:
            marts = tmp_path / "each" / str(step)
            assert whole(marts)[0] == 3
            for folder in (marts / "snapshots").iterdir():
                whole_folder(folder)
            if status == 0:
                break
    assert kept_numbers(marts) == {3}
    assert 8 < step < MOST_STEPS - 1
