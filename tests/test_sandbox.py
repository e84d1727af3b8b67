"""A child dies of what its limits forbid, says so, and never takes the asking process with it."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from builds import PROJECT

from data import sandbox
from data.extracts import InputRefused
from data.sandbox import FILE_SIZE, MEMORY, SIGNAL, STATUS, TIME, ChildDied, ChildFailed, Limits, run

SMALL = Limits(memory_bytes=256 << 20, seconds=30)


def reason_of(name, *arguments, limits=SMALL):
    with pytest.raises(ChildDied) as died:
        run(f"sandboxed:{name}", *arguments, limits=limits)
    return died.value.reason


def test_plain_values_go_and_come_back():
    values = [1, 2.5, None, True, "Ŝ\n\x00", [1, [2]], {"a": {"b": []}}]
    assert run("sandboxed:echo", *values) == values


def test_progress_comes_back_in_order():
    told = []
    assert run("sandboxed:counts", 300, progress=lambda *one: told.append(one)) == 300
    assert told == [("counting", number, 300) for number in range(300)]


def test_memory_within_the_limit_is_given():
    assert run("sandboxed:takes", 200, limits=SMALL) == 200 << 20


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("takes", [2000]), ("polars_takes", [2**58]), ("arrow_takes", [2**61])],
)
def test_too_much_memory_is_told_whoever_asks_for_it(name, arguments):
    assert reason_of(name, *arguments) == MEMORY


def test_a_duckdb_that_is_refused_memory_ends_the_child_only():
    """A thread of its own that is refused memory may end it by a signal, without a word: seen in every other try."""
    assert reason_of("duckdb_takes", 10**8, "64GB") in (MEMORY, SIGNAL)
    assert run("sandboxed:echo", 1) == [1]


def test_too_much_time_is_told_asleep_or_at_work():
    assert reason_of("sleeps", 60, limits=Limits(seconds=0.2)) == TIME
    assert reason_of("spins", limits=Limits(seconds=0.2)) == TIME


def test_a_file_is_written_up_to_its_limit(tmp_path):
    assert run("sandboxed:writes", str(tmp_path), 1000, limits=Limits(file_bytes=1000)) == 1000
    assert reason_of("writes", str(tmp_path), 1001, limits=Limits(file_bytes=1000)) == FILE_SIZE
    assert reason_of("writes", str(tmp_path), 1) == FILE_SIZE


@pytest.mark.parametrize("name", ["SIGABRT", "SIGSEGV", "SIGBUS", "SIGILL", "SIGKILL"])
def test_a_signal_is_told_by_its_name(name):
    with pytest.raises(ChildDied, match=name) as died:
        run("sandboxed:kills_itself", name)
    assert died.value.reason == SIGNAL


def test_a_named_exception_comes_back_whole_and_another_by_its_name():
    with pytest.raises(InputRefused) as refused:
        run("sandboxed:refuses", raises=(InputRefused,))
    assert refused.value.problems == ["a: one", "b: two"]
    with pytest.raises(ChildFailed, match="LookupError: nothing here"):
        run("sandboxed:fails", raises=(InputRefused,))


@pytest.mark.parametrize(
    "said", ["junk\n", "[1]\n", '{"kind": 1}\n', "cos\nsystem\n(S'exit'\ntR.", "[" * 100_000 + "\n"]
)
def test_what_a_taken_over_child_says_is_never_more_than_text(said):
    with pytest.raises((ChildDied, ChildFailed)):
        run("sandboxed:says", said)
    assert run("sandboxed:echo", 1) == [1]


def test_a_child_that_never_stops_talking_is_stopped(monkeypatch):
    monkeypatch.setattr(sandbox, "MOST_SAID_BYTES", 1 << 20)
    assert reason_of("floods") == STATUS


def test_a_child_can_gain_no_rights_and_leaves_no_core():
    status = run("sandboxed:status_of_itself")
    assert status["NoNewPrivs"] == "1"
    assert int(status["Threads"]) == 1


def test_calls_of_many_threads_do_not_mix():
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda number: run("sandboxed:echo", number), range(24))) == [[n] for n in range(24)]


def test_a_broken_off_call_ends_its_child(tmp_path):
    def interrupted(*_):
        raise KeyboardInterrupt

    children = len(list(children_of(os.getpid())))
    with pytest.raises(KeyboardInterrupt):
        run("sandboxed:counts", 10, progress=interrupted)
    assert len(list(children_of(os.getpid()))) <= children
    assert run("sandboxed:echo", 1) == [1]


def children_of(pid):
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                yield folder
        except OSError:
            continue


def is_running(pid):
    try:
        return (Path("/proc") / pid / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_when_the_asking_process_is_killed_its_child_ends(how, tmp_path):
    code = f"from data.sandbox import run; run('sandboxed:sleeps', 600, {str(tmp_path / 'pid')!r}, limits=L)"
    code = "from data.sandbox import Limits; L = Limits(file_bytes=99);" + code
    environment = os.environ | {"PYTHONPATH": f"{PROJECT}:{PROJECT / 'tests'}"}
    asking = subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.DEVNULL)
    wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    child = (tmp_path / "pid").read_text()
    assert is_running(child)
    asking.send_signal(how)
    asking.wait(30)
    wait_until(lambda: not is_running(child))


def wait_until(holds, seconds=30):
    give_up = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < give_up
        threading.Event().wait(0.02)
