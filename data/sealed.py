"""Questions to a database file that came from elsewhere in this process's reach: one file, read-only, and nothing else.

Views are no boundary, and a list of statements that are allowed is none either: the connection itself can reach no
file but its own, load nothing, and change neither. The order of the settings is part of it: the limit of the spill
folder is only kept when it is set, not when it is asked for on connecting, and the lock comes last.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import polars as pl

# Rows that one question may bring into this process's memory; `memory_limit` does not hold for them.
MOST_ROWS = 100_000


class TooManyRows(Exception):
    """The answer has more rows than may be fetched."""


def seal_tables(tables: dict[str, pl.DataFrame], file: Path) -> None:
    """Writes a database of these tables and nothing else; a file that is there already is never written again."""
    if file.exists():
        raise FileExistsError(file)
    with duckdb.connect(str(file), config={"autoinstall_known_extensions": False}) as connection:
        for name, frame in tables.items():
            connection.register("given", frame.to_arrow())
            connection.execute(f'create table "{name}" as from given')
            connection.unregister("given")
    file.chmod(0o400)


@contextmanager
def connect_sealed(file: Path, memory: str = "512MB", spill: str = "256MB", threads: int = 2) -> Iterator["Sealed"]:
    """The database of one scope, with a spill folder that no other scope shares, removed at the end.

    One connection a file and process: threads share it.
    """
    with TemporaryDirectory(prefix="pco-sealed-") as folder:
        connection = duckdb.connect(
            str(file),
            read_only=True,
            config={
                "enable_external_access": False,
                "autoload_known_extensions": False,
                "autoinstall_known_extensions": False,
                "allow_community_extensions": False,
                "python_enable_replacements": False,
                "threads": threads,
                "memory_limit": memory,
                "temp_directory": folder,
            },
        )
        try:
            # In the settings of the connection this one is shown, but not kept to.
            connection.execute(f"set max_temp_directory_size = '{spill}'")
            connection.execute("set TimeZone = 'UTC'")
            connection.execute("set lock_configuration = true")
            yield Sealed(connection)
        finally:
            connection.close()


class Sealed:
    """A connection of which each question has its own cursor, so that threads may share it."""

    def __init__(self, connection: duckdb.DuckDBPyConnection):
        self._connection = connection
        self._running: set[duckdb.DuckDBPyConnection] = set()

    def rows(self, query: str, values: dict | None = None, most: int = MOST_ROWS) -> list[tuple]:
        """The answer; raises `TooManyRows` where it has more. Values are bound, names are the caller's own."""
        with self._connection.cursor() as cursor:
            self._running.add(cursor)
            try:
                found = cursor.execute(query, values or {}).fetchmany(most + 1)
            finally:
                self._running.discard(cursor)
        if len(found) > most:
            raise TooManyRows(f"more than {most:,} rows")
        return found

    def interrupt(self) -> None:
        """Ends every question under way, for a watchdog; the connection's own interrupt would not reach its cursors."""
        for cursor in list(self._running):
            cursor.interrupt()
