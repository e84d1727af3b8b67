"""What tests of the sandbox run in a child; plain functions that a helper can import."""

import os
import signal
import time
from pathlib import Path

from data.extracts import InputRefused

MIB = 1 << 20


def echo(*arguments):
    return list(arguments)


def counts(most, progress):
    for number in range(most):
        progress("counting", number, most)
    return most


def takes(mebibytes):
    """Writes to so much memory."""
    held = bytearray(mebibytes * MIB)
    held[:: 4 * 1024] = bytes(len(held[:: 4 * 1024]))
    return len(held)


def polars_takes(rows):
    import polars as pl

    return pl.select(pl.repeat(1, rows, dtype=pl.Int64)).sum().item()


def arrow_takes(size):
    import pyarrow as pa

    return pa.allocate_buffer(size).size


def duckdb_takes(rows, memory):
    import duckdb

    with duckdb.connect(config={"memory_limit": memory, "threads": 2}) as connection:
        connection.execute(f"create table t as select range as a, hash(range) as b from range({rows})").fetchall()
        return connection.execute("select count(distinct b)::bigint from t").fetchone()[0]


def writes(folder, size):
    with (Path(folder) / "written").open("wb") as file:
        file.write(bytes(size))
    return size


def kills_itself(name):
    os.kill(os.getpid(), signal.Signals[name])


def sleeps(seconds, pid_file=None):
    if pid_file:
        Path(pid_file).write_text(str(os.getpid()))
    time.sleep(seconds)


def spins():
    while True:
        pass


def refuses():
    raise InputRefused(["a: one", "b: two"])


def fails():
    raise LookupError("nothing here")


def says(text):
    """Writes to everything that it holds open, as a child that was taken over may."""
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, text.encode())
        except OSError:
            continue
    os._exit(0)


def floods():
    while True:
        for descriptor in range(3, 64):
            try:
                os.write(descriptor, b" " * MIB)
            except OSError:
                continue


def status_of_itself():
    return dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines())


def nested(name, *arguments):
    from data.sandbox import run

    return run(name, *arguments)
