"""A disk that is full at any write: one line says so, the last snapshot still serves, and the next build works."""

import os
import resource
import shutil
import signal
import subprocess

import faulty
import pytest
from faulty import PCO, PROJECT, built, leftovers, read_all, unpublished, whole
from thorough import times

from data.marts import current

KIB = 1024
ROOM = 64 * KIB * KIB


def mount(folder, size, *options):
    option = ",".join([f"size={size}", *options])
    return subprocess.run(
        ["mount", "-t", "tmpfs", "-o", option, "pco-test", folder], capture_output=True, check=False
    ).returncode


@pytest.fixture
def small_disk(tmp_path):
    """A disk of its own for a marts folder, and how to change its size; only root can have one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None or mount(folder, ROOM) != 0:
        pytest.skip("no disk of the test's own can be mounted here; the limit on a file's size is tried instead")

    def resize(size):
        assert mount(folder, size, "remount") == 0

    yield folder, resize
    subprocess.run(["umount", folder], check=True)


def used(folder):
    found = os.statvfs(folder)
    return (found.f_blocks - found.f_bfree) * found.f_frsize


def most_used(folder, build):
    """The most that a build has on the disk at once."""
    most = 0
    while build.poll() is None:
        most = max(most, used(folder))
        try:
            build.wait(timeout=0.005)
        except subprocess.TimeoutExpired:
            continue
    return most


def test_a_full_disk(extracts, one_snapshot, small_disk):
    folder, resize = small_disk
    marts = shutil.copytree(one_snapshot, folder / "marts")
    base = used(folder)
    with faulty.build_process(extracts, marts, 8) as build:
        most = most_used(folder, build) - base
    assert build.returncode == 0
    tries, refused = times(3, 40), 0
    for number in range(tries):
        before, manifest = whole(marts)
        # From no room at all to nearly enough.
        resize(used(folder) + most * number // tries)
        status, problems = built(extracts, marts, 9 + number)
        if status == 0:
            assert whole(marts)[0] > before
        else:
            refused += 1
            assert (status, len(problems)) == (1, 1), problems
            assert whole(marts) == (before, manifest)
            assert (leftovers(marts), unpublished(marts)) == ([], [])
            assert read_all(current(marts))["told"] == manifest["grace_days"]
        if number == 0:
            done = subprocess.run([*PCO, "status", "--marts", marts], cwd=PROJECT, capture_output=True, check=False)
            assert (done.returncode, done.stderr) == (0, b"")
        resize(ROOM)
    assert refused >= tries * 2 // 3
    assert built(extracts, marts, 7) == (0, [])
    assert (leftovers(marts), unpublished(marts)) == ([], [])
    print(f"\n{tries} sizes up to {most / KIB:,.0f} KiB, {refused} refused")


def limited(size):
    """What a build's process does first: no file of it may grow beyond the size."""

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def test_no_file_may_grow_beyond_a_limit(extracts, marts):
    largest = max(path.stat().st_size for path in marts.rglob("*") if path.is_file())
    tries = times(1, 20)
    for number in range(tries):
        status, problems = built(extracts, marts, 8, preexec_fn=limited(largest * (number + 1) // (tries + 1)))
        assert (status, len(problems)) == (1, 1), problems
        assert whole(marts)[0] == 1
        assert (leftovers(marts), unpublished(marts)) == ([], [])
