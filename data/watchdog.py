"""Ends a query that takes too long: DuckDB itself has no limit of time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

# Seconds that a page may wait for its queries.
PAGE_SECONDS = 30.0


class QueryTooLong(Exception):
    """The query was interrupted."""


@contextmanager
def interrupted_after(connection: duckdb.DuckDBPyConnection, seconds: float = PAGE_SECONDS) -> Iterator[None]:
    """Interrupts what runs on this very connection (not on its cursors) once `seconds` have passed.

    Raises `QueryTooLong` in place of DuckDB's own exception; also when the time is up between two queries.
    """
    is_over = threading.Event()
    lock = threading.Lock()
    is_late = False

    def watch() -> None:
        nonlocal is_late
        pause = seconds
        # An interrupt between two queries does nothing, so it is repeated until the work is over.
        while not is_over.wait(pause):
            with lock:
                if not is_over.is_set():
                    is_late = True
                    connection.interrupt()
            pause = 0.05

    watcher = threading.Thread(target=watch, name="query-watchdog", daemon=True)
    watcher.start()
    try:
        yield
    except duckdb.InterruptException as error:
        if is_late:
            raise QueryTooLong(f"a query took longer than {seconds:g} s") from error
        raise
    finally:
        with lock:
            is_over.set()
        watcher.join()
    if is_late:
        raise QueryTooLong(f"queries took longer than {seconds:g} s")
