"""Which files an extract has, what each holds, and what is wrong with it.

Footers are read here, and the bytes of a file for its digest; the rows are read by `data.reduction`.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from data.contracts import Contract, contracts

MAGIC = b"PAR1"
# Spark and pyarrow leave these beside the data; they hold schemas and no rows.
NOT_DATA = {"_metadata", "_common_metadata"}


class InputRefused(Exception):
    """The extracts cannot be built from; each problem is one line that names its file and reason."""

    def __init__(self, problems: list[str]):
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class ExtractFile:
    extract: str
    path: Path
    name: str
    rows: int
    size: int
    physical: tuple[tuple[str, str], ...]
    extra: tuple[str, ...] = ()


@dataclass
class Survey:
    """What was found below an extracts folder."""

    files: dict[str, list[ExtractFile]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)

    def batches(self, extract: str, most_rows: int) -> Iterator[list[ExtractFile]]:
        """The extract's files in groups of one physical layout and at most `most_rows` rows (or one file)."""
        layouts: dict[tuple, list[ExtractFile]] = {}
        for file in self.files.get(extract, []):
            layouts.setdefault(file.physical, []).append(file)
        for files in layouts.values():
            yield from _by_rows(files, most_rows)

    def rows(self, extract: str) -> int:
        return sum(file.rows for file in self.files.get(extract, []))


def _by_rows(files: list[ExtractFile], most_rows: int) -> Iterator[list[ExtractFile]]:
    batch: list[ExtractFile] = []
    for file in files:
        if batch and sum(f.rows for f in batch) + file.rows > most_rows:
            yield batch
            batch = []
        batch.append(file)
    if batch:
        yield batch


def literal_path(path: Path) -> str:
    """The path as DuckDB reads it: `[`, `*` and `?` are wildcards even in a bound path."""
    return "".join(f"[{c}]" if c in "[*?" else c for c in str(path))


def survey(folder: Path) -> Survey:
    """Every extract file below `folder` with its columns; raises `InputRefused` naming each bad one."""
    if not folder.is_dir():
        raise InputRefused([f"{folder}: no such folder"])
    # DuckDB takes `~`, `s3:` and the like at the start of a path for more than a name.
    folder = folder.absolute()
    found = Survey()
    known = contracts()
    found.ignored += sorted(printable(entry.name) for entry in folder.iterdir() if entry.name not in known)
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("set TimeZone = 'UTC'")
        for contract in known.values():
            _survey_extract(connection, folder, contract, found)
    if found.problems:
        # What is wrong inside the other files is named as well: one try tells all.
        raise InputRefused(found.problems + unreadable_files(found))
    return found


def digests(found: Survey) -> dict[str, str]:
    """Name of each surveyed file -> the SHA-256 of its bytes; raises `InputRefused` naming each that is gone."""
    files = [file for files in found.files.values() for file in files]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        told = dict(zip((file.name for file in files), pool.map(_digest, files), strict=True))
    problems = [f"{printable(name)}: cannot be read any more" for name, digest in told.items() if digest is None]
    if problems:
        raise InputRefused(problems)
    return told


def _digest(file: ExtractFile) -> str | None:
    try:
        with file.path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError:
        return None


def unreadable_files(found: Survey) -> list[str]:
    """A line for each surveyed file of which some value cannot be read."""
    files = [file for files in found.files.values() for file in files]
    return [problem for file in files if (problem := _what_ails(file))]


def _what_ails(file: ExtractFile) -> str | None:
    """A database of its own a file: an internal error of DuckDB makes the one it happens in unusable."""
    rows = contracts()[file.extract].typed_sql(dict(file.physical))
    query = f"select bit_xor(hash(rows)) from ({rows}) as rows"
    with duckdb.connect(config={"autoinstall_known_extensions": False}) as connection:
        connection.execute("set TimeZone = 'UTC'")
        try:
            connection.execute(query, {"files": [literal_path(file.path)]}).fetchall()
        except duckdb.Error as reason:
            return f"{printable(file.name)}: cannot be read as Parquet ({_first_line(reason)})"
    return None


def _survey_extract(connection: duckdb.DuckDBPyConnection, folder: Path, contract: Contract, found: Survey) -> None:
    root = folder / contract.extract
    files = []
    layouts: dict[str, dict[str, str]] = {}
    for path in _files_below(root, found):
        name = path.relative_to(folder).as_posix()
        try:
            if _holds_rows(path):
                files.append(_inspect(connection, contract, path, name, layouts))
            else:
                found.ignored.append(printable(name))
        except (ValueError, OSError) as reason:
            found.problems.append(f"{printable(name)}: {reason}")
    if files:
        found.files[contract.extract] = sorted(files, key=lambda file: file.name)
    elif not contract.optional and not any(p.startswith(contract.extract + "/") for p in found.problems):
        found.problems.append(f"{contract.extract}: the extract has no Parquet file")


def _files_below(root: Path, found: Survey) -> list[Path]:
    def refuse(error: OSError) -> None:
        name = Path(error.filename).relative_to(root.parent).as_posix()
        found.problems.append(f"{printable(name)}: the folder cannot be read ({error.strerror})")

    below = []
    for parent, folders, names in os.walk(root, onerror=refuse) if root.is_dir() else ():
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        below += [Path(parent) / name for name in names + links]
    return sorted(below)


def _holds_rows(path: Path) -> bool:
    """Whether the file is part of the extract: by its ending, or by the first bytes of any other file."""
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        raise ValueError("is a link; an extract holds regular files only")
    if not stat.S_ISREG(mode):
        raise ValueError("is no regular file")
    if path.name in NOT_DATA:
        return False
    if path.suffix.lower() == ".parquet":
        return True
    with path.open("rb") as file:
        return file.read(4) == MAGIC


def _inspect(
    connection: duckdb.DuckDBPyConnection, contract: Contract, path: Path, name: str, layouts: dict
) -> ExtractFile:
    footer = _footer(path)
    names = footer.schema.to_arrow_schema().names
    _refuse_twins(names, contract)
    missing = [column for column in contract.names if column not in names]
    if missing:
        raise ValueError(f"lacks the required column {', '.join(missing)}")
    # The first line is the address of the object.
    layout = str(footer.schema).partition("\n")[2]
    types = _physical_types(connection, path, layouts, layout)
    return ExtractFile(
        extract=contract.extract,
        path=path,
        name=name,
        rows=footer.num_rows,
        size=path.stat().st_size,
        physical=tuple((column, types[column]) for column in contract.names),
        extra=tuple(column for column in names if column not in contract.names),
    )


def _footer(path: Path) -> pq.FileMetaData:
    try:
        footer = pq.read_metadata(path)
        rows = sum(footer.row_group(i).num_rows for i in range(footer.num_row_groups))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ValueError(f"cannot be read as Parquet ({_first_line(error)})") from error
    if rows != footer.num_rows:
        raise ValueError(f"its footer says {footer.num_rows} rows, its row groups {rows}")
    return footer


def _refuse_twins(names: list[str], contract: Contract) -> None:
    """Two columns of one name, but for case, cannot be told apart; of columns that are ignored that is no matter."""
    folded = [name.casefold() for name in names]
    twins = sorted({n for n in names if folded.count(n.casefold()) > 1 and n.casefold() in contract.names})
    if twins:
        raise ValueError(f"has columns that differ by case only or stand twice: {', '.join(twins)}")


def _physical_types(
    connection: duckdb.DuckDBPyConnection, path: Path, layouts: dict[str, dict[str, str]], layout: str
) -> dict[str, str]:
    """Column -> its type in DuckDB; files of one Parquet schema have the same, and are mostly of one schema."""
    if layout not in layouts:
        layouts[layout] = _described(connection, path)
    return layouts[layout]


def _described(connection: duckdb.DuckDBPyConnection, path: Path) -> dict[str, str]:
    sql = "select column_name, column_type from (describe select * from read_parquet($file, hive_partitioning = false))"
    try:
        return dict(connection.sql(sql, params={"file": literal_path(path)}).fetchall())
    except duckdb.Error as error:
        raise ValueError(f"cannot be read as Parquet ({_first_line(error)})") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def printable(name: str) -> str:
    return name.encode("unicode_escape").decode("ascii") if not name.isprintable() else name
