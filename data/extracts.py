"""Which files an extract has, what each holds, and what is wrong with it.

Extracts are not ours: this process lists them, and a child with limits (`data.sandbox`) opens them. Footers are read
here, and the bytes of a file for its digest; the rows are read by `data.reduction`.
"""

import os
import stat
import time
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from data import sandbox, set_rules
from data.checksums import WRONG, has_checksums, wrong_pages
from data.contracts import Contract, contracts
from data.digests import CHANGED, SUMS, digest_of, identity, opened, problems_of_sums, settled, sums_in
from data.set_rules import Warned

MAGIC = b"PAR1"
# Spark and pyarrow leave these beside the data; they hold schemas and no rows.
NOT_DATA = {"_metadata", "_common_metadata"}

# What an extract may be at most: far above any that is meant (a billion Responses of 40 bytes each are 40 GB), and
# far below what a damaged or hostile footer claims.
MOST_FILES = 200_000
MOST_BYTES_A_FILE = 256 << 30
MOST_BYTES_IN_ALL = 8 << 40
MOST_ROWS_A_FILE = 10_000_000_000
MOST_ROW_GROUPS = 200_000
MOST_COLUMNS = 5_000

FOOTER_LIMITS = sandbox.Limits(memory_bytes=2 << 30, seconds=600)
READING_LIMITS = sandbox.Limits(memory_bytes=4 << 30, seconds=3600)
DIGEST_LIMITS = sandbox.Limits(memory_bytes=1 << 30, seconds=6 * 3600)
# A folder in which so many files end their reader is not worth another try.
MOST_DEATHS = 25


class InputRefused(Exception):
    """The extracts cannot be built from; each problem is one line that names its file and reason."""

    def __init__(self, problems: list[str]):
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(self.problems)


class Problem(NamedTuple):
    """name: of a file, folder or extract, as it is printed."""

    name: str
    reason: str

    @property
    def line(self) -> str:
        return f"{self.name}: {self.reason}"


@dataclass(frozen=True)
class ExtractFile:
    """identity: what the system says of the file, by which a later look knows whether it changed.

    has_checksums: whether its pages can be verified (`data.checksums`).
    """

    extract: str
    path: Path
    name: str
    rows: int
    size: int
    physical: tuple[tuple[str, str], ...]
    extra: tuple[str, ...] = ()
    identity: tuple[int, ...] = ()
    has_checksums: bool = False

    def plain(self) -> dict:
        """The file as JSON holds it; `from_plain` makes it anew."""
        return {**vars(self), "path": str(self.path)}

    @classmethod
    def from_plain(cls, told: dict) -> "ExtractFile":
        physical = tuple((column, kind) for column, kind in told["physical"])
        lists = {"physical": physical, "extra": tuple(told["extra"]), "identity": tuple(told["identity"])}
        return cls(**{**told, "path": Path(told["path"]), **lists})


@dataclass
class Survey:
    """What was found below an extracts folder.

    warnings: what is odd about the set and refuses nothing. left_out: (name, reason) of each bad file that the build
    was told to go on without. digests_verified: whether the sender's digests are there and right; None until `digests`.
    seen_at: nanoseconds since 1970 when the survey began.
    """

    files: dict[str, list[ExtractFile]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)
    left_out: list[Problem] = field(default_factory=list)
    digests_verified: bool | None = None
    folder: Path = Path()
    seen_at: int = 0

    def batches(self, extract: str, most_rows: int, but: Container[str] = ()) -> Iterator[list[ExtractFile]]:
        """The extract's files in groups of one physical layout and at most `most_rows` rows (or one file).

        but: names of files that are in none.
        """
        layouts: dict[tuple, list[ExtractFile]] = {}
        for file in (file for file in self.files.get(extract, []) if file.name not in but):
            layouts.setdefault(file.physical, []).append(file)
        for files in layouts.values():
            yield from _by_rows(files, most_rows)

    def rows(self, extract: str) -> int:
        return sum(file.rows for file in self.files.get(extract, []))

    def lasting_identity(self, file: ExtractFile) -> tuple[int, ...] | None:
        """The file's identity, for a later build to know it by; None if it may change and keep this one."""
        return file.identity if settled(file.identity, self.seen_at) else None

    def all_files(self) -> list[ExtractFile]:
        return [file for files in self.files.values() for file in files]

    def leave_out(self, problems: list[Problem]) -> None:
        """Goes on without the files of these names, as printed; refuses if a required extract has none."""
        self.left_out = sorted({*self.left_out, *problems})
        names = {problem.name for problem in problems}
        kept = {
            extract: [file for file in files if printable(file.name) not in names]
            for extract, files in self.files.items()
        }
        self.files = {extract: files for extract, files in kept.items() if files}
        gone = [name for name, contract in contracts().items() if not contract.optional and name not in self.files]
        if gone:
            unsaid = [Problem(name, "no good file is left") for name in gone if name not in names]
            raise InputRefused([problem.line for problem in [*self.left_out, *unsaid]])

    def plain(self) -> dict:
        """The survey as JSON holds it; `from_plain` makes it anew."""
        files = {extract: [file.plain() for file in files] for extract, files in self.files.items()}
        return {**vars(self), "files": files, "folder": str(self.folder)}

    @classmethod
    def from_plain(cls, told: dict) -> "Survey":
        files = {extract: [ExtractFile.from_plain(file) for file in files] for extract, files in told["files"].items()}
        warnings = [Warned(*warned) for warned in told["warnings"]]
        found = {name: [Problem(*problem) for problem in told[name]] for name in ("problems", "left_out")}
        made = {"files": files, "warnings": warnings, "folder": Path(told["folder"]), **found}
        return cls(**{**told, **made})


def _by_rows(files: list[ExtractFile], most_rows: int) -> Iterator[list[ExtractFile]]:
    batch: list[ExtractFile] = []
    rows = 0
    for file in files:
        if batch and rows + file.rows > most_rows:
            yield batch
            batch, rows = [], 0
        batch.append(file)
        rows += file.rows
    if batch:
        yield batch


def literal_path(path: Path) -> str:
    """The path as DuckDB reads it: `[`, `*` and `?` are wildcards even in a bound path."""
    return "".join(f"[{c}]" if c in "[*?" else c for c in str(path))


def cannot_be_named(path: Path) -> bool:
    """Whether DuckDB cannot be told of the path: beside a wildcard it takes a backslash for what parts folders."""
    return "\\" in str(path) and any(letter in str(path) for letter in "[*?")


# -- the survey --------------------------------------------------------------------------------------

# Each takes (folder, [[extract, name]], progress), and calls progress with one plain answer a file, in their order.
Look = Callable[[str, list, Callable[[dict], None]], None]


def surveyed(folder: Path, *, leave_out_bad: bool = False, most_missing: float = 1.0) -> Survey:
    """Every extract file below `folder` with its columns, each opened by a child; raises `InputRefused` naming each
    bad one, unless those are to be left out.

    most_missing: the greatest share of the rows of an extract that may seem to be missing (see `data.set_rules`).
    """
    return _survey(folder, _looked_at_by_children, leave_out_bad, most_missing)


def survey(folder: Path) -> Survey:
    """As `surveyed`, in this process: for a child that surveys by itself, and for extracts of our own making."""
    return _survey(folder, _looked_at_here, leave_out_bad=False, most_missing=1.0)


def _survey(folder: Path, look_at: Callable, leave_out_bad: bool, most_missing: float) -> Survey:
    if not folder.is_dir():
        raise InputRefused([f"{folder}: no such folder"])
    # DuckDB takes `~`, `s3:` and the like at the start of a path for more than a name.
    folder = folder.absolute()
    found = Survey(folder=folder, seen_at=time.time_ns())
    known = contracts()
    beside = {entry.name for entry in folder.iterdir()} - known.keys() - {SUMS}
    found.ignored += sorted(printable(name) for name in beside)
    listed = {name: _listed(folder, name, found) for name in known}
    items = [[extract, name] for extract, names in listed.items() for name in names]
    _refuse_too_much(items, folder)
    answers = iter(look_at("inspected", folder, items, FOOTER_LIMITS))
    for contract in known.values():
        _take_in(contract, listed[contract.extract], answers, found)
    if found.problems and not leave_out_bad:
        # What is wrong inside the other files is named as well: one try tells all.
        raise InputRefused([problem.line for problem in found.problems] + unreadable_files(found))
    if found.problems:
        problems, found.problems = found.problems, []
        found.leave_out(problems)
    found.warnings = set_rules.warnings(found.files)
    if problems := set_rules.too_much_missing(found.files, most_missing):
        raise InputRefused(problems)
    return found


def _listed(folder: Path, extract: str, found: Survey) -> list[str]:
    """The names below an extract's folder that may be files of it; links and the like are problems."""

    def refuse(error: OSError) -> None:
        name = Path(error.filename).relative_to(folder).as_posix()
        found.problems.append(Problem(printable(name), f"the folder cannot be read ({error.strerror})"))

    root = folder / extract
    if root.is_symlink():
        found.problems.append(Problem(extract, "is a link; an extract holds regular files only"))
        return []
    below = []
    for parent, folders, names in os.walk(root, onerror=refuse) if root.is_dir() else ():
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        below += [Path(parent) / name for name in names + links]
    return [path.relative_to(folder).as_posix() for path in sorted(below)]


def _refuse_too_much(items: list, folder: Path) -> None:
    if len(items) > MOST_FILES:
        raise InputRefused([f"{folder}: has {len(items):,} files, more than {MOST_FILES:,}"])
    size = sum((folder / name).lstat().st_size for _, name in items)
    if size > MOST_BYTES_IN_ALL:
        raise InputRefused([f"{folder}: has {size:,} bytes, more than {MOST_BYTES_IN_ALL:,}"])


def _take_in(contract: Contract, names: list[str], answers: Iterator[dict], found: Survey) -> None:
    files = []
    for name, answer in zip(names, answers, strict=False):
        if "file" in answer:
            files.append(ExtractFile.from_plain(answer["file"]))
        elif "problem" in answer:
            found.problems.append(Problem(printable(name), answer["problem"]))
        else:
            found.ignored.append(printable(name))
    if files:
        found.files[contract.extract] = sorted(files, key=lambda file: file.name)
    elif not contract.optional and not any(p.name.split("/")[0] == contract.extract for p in found.problems):
        found.problems.append(Problem(contract.extract, "the extract has no Parquet file"))


def _looked_at_here(look: str, folder: Path, items: list, limits: sandbox.Limits) -> list[dict]:
    answers: list[dict] = []
    globals()[look](str(folder), items, answers.append)
    return answers


def _looked_at_by_children(look: str, folder: Path, items: list, limits: sandbox.Limits) -> list[dict]:
    """One answer a file; the file at which a child dies is told so, and another child goes on with the next."""
    answers: list[dict] = []
    deaths = 0
    while len(answers) < len(items):
        try:
            waiting = items[len(answers) :]
            sandbox.run(f"{__name__}:{look}", str(folder), waiting, limits=limits, progress=answers.append)
            break
        except sandbox.ChildDied as death:
            answers.append({"problem": f"cannot be read as Parquet (its reader ended: {death})"})
            deaths += 1
        if deaths > MOST_DEATHS:
            unseen = {"problem": f"was not looked at, as {deaths} files before it ended their reader"}
            answers += [unseen] * (len(items) - len(answers))
    return answers


# -- what a child does -------------------------------------------------------------------------------


def inspected(folder: str, items: list, progress: Callable[[dict], None]) -> None:
    """Answers what each file holds as its footer tells: {file}, {problem} or, of one that has no rows, {}."""
    layouts: dict[str, dict[str, str]] = {}
    with duckdb.connect(config={"threads": 1, "temp_directory": ""}) as connection:
        connection.execute("set TimeZone = 'UTC'")
        for extract, name in items:
            path = Path(folder) / name
            try:
                holds_rows = _holds_rows(path)
                contract = contracts()[extract]
                answer = {"file": _inspect(connection, contract, path, name, layouts).plain()} if holds_rows else {}
            except (ValueError, OSError) as reason:
                answer = {"problem": str(reason)}
            progress(answer)


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
    with opened(path) as file:
        return file.read(4) == MAGIC


def _inspect(
    connection: duckdb.DuckDBPyConnection, contract: Contract, path: Path, name: str, layouts: dict
) -> ExtractFile:
    if cannot_be_named(path):
        raise ValueError("has a backslash and one of [ * ? in its path, which cannot be read together; rename it")
    before = _measured(path, name)
    footer = _footer(path, before[0])
    names = footer.schema.to_arrow_schema().names
    _refuse_twins(names, contract)
    missing = [column for column in contract.names if column not in names]
    if missing:
        raise ValueError(f"lacks the required column {', '.join(missing)}")
    # The first line is the address of the object.
    layout = str(footer.schema).partition("\n")[2]
    types = _physical_types(connection, path, layouts, layout)
    if identity(path) != before:
        raise ValueError(CHANGED)
    return ExtractFile(
        extract=contract.extract,
        path=path,
        name=name,
        rows=footer.num_rows,
        size=before[0],
        physical=tuple((column, types[column]) for column in contract.names),
        extra=tuple(column for column in names if column not in contract.names),
        identity=before,
        has_checksums=has_checksums(path, footer),
    )


def _measured(path: Path, name: str) -> tuple[int, ...]:
    """The file's identity, its name, size and first and last bytes being those of a Parquet file."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise ValueError("its name is no UTF-8") from error
    before = identity(path)
    if before[0] > MOST_BYTES_A_FILE:
        raise ValueError(f"has {before[0]:,} bytes, more than {MOST_BYTES_A_FILE:,}")
    with opened(path) as file:
        first = file.read(4)
        file.seek(max(0, before[0] - 4))
        last = file.read(4)
    if before[0] < 12 or first != MAGIC or last != MAGIC:
        where = "it has no bytes" if not before[0] else "it does not begin and end with PAR1"
        raise ValueError(f"cannot be read as Parquet ({where})")
    return before


def _footer(path: Path, size: int) -> pq.FileMetaData:
    """What the file, of so many bytes, says of itself, when that is possible and of one mind."""
    try:
        footer = pq.read_metadata(path)
        # A claim is held against the caps before anything is counted or made in its size.
        _refuse_great_claims(footer)
        groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
        rows = sum(group.num_rows for group in groups)
        odd = next((group for group in groups if not _is_of_one_mind(group, footer.schema)), None)
        beyond = next(filter(None, (_column_beyond(group, size) for group in groups)), None)
        belied = _nulls_that_are_none(path, footer) if not (odd or beyond) else None
    except (pa.ArrowException, OSError, IndexError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot be read as Parquet ({_first_line(error)})") from error
    if rows != footer.num_rows or any(group.num_rows < 0 for group in groups):
        raise ValueError(f"its footer says {footer.num_rows} rows, its row groups {rows}")
    if odd:
        raise ValueError(f"its footer says {odd.num_rows} rows of a row group whose columns say otherwise")
    if beyond:
        raise ValueError(f"its footer says that {beyond} lies where the file has no bytes")
    if belied:
        raise ValueError(f"its statistics say that {belied} holds no value where it does")
    return footer


def _nulls_that_are_none(path: Path, footer: pq.FileMetaData) -> str | None:
    """A column that has values in a row group of which the statistics say that all are null.

    DuckDB takes that for granted; of all other statistics nothing is believed (`data.reduction.Reader`).
    """
    claims = [(group, name) for group in range(footer.num_row_groups) for name in _said_to_be_null(footer, group)]
    if not claims:
        return None
    with pq.ParquetFile(path, memory_map=False) as file:
        for group, name in claims:
            column = file.read_row_group(group, columns=[name], use_threads=False).column(0)
            if column.null_count < len(column):
                return name
    return None


def _said_to_be_null(footer: pq.FileMetaData, group: int) -> list[str]:
    said = footer.row_group(group)
    columns = [
        said.column(number) for number in range(said.num_columns) if "." not in said.column(number).path_in_schema
    ]
    return [
        column.path_in_schema
        for column in columns
        if column.is_stats_set
        and column.statistics.has_null_count
        and column.num_values
        and column.statistics.null_count >= column.num_values
    ]


def _is_of_one_mind(group: pq.RowGroupMetaData, schema: pq.ParquetSchema) -> bool:
    """Whether the row group has the columns of the schema, in their types, and a value a row of each that is flat."""
    if group.num_columns != len(schema):
        return False
    for number in range(group.num_columns):
        said, column = group.column(number), schema.column(number)
        if said.physical_type != column.physical_type:
            return False
        if column.max_repetition_level == 0 and said.num_values != group.num_rows:
            return False
    return True


def _column_beyond(group: pq.RowGroupMetaData, size: int) -> str | None:
    """A column of the row group that begins or ends outside the file.

    Reading a column alone may not meet the lie, which reading it together with others does.
    """
    for number in range(group.num_columns):
        column = group.column(number)
        start = column.dictionary_page_offset or column.data_page_offset
        end = start + column.total_compressed_size
        # Of no values nothing is read.
        if column.num_values and not len(MAGIC) <= start <= end <= size:
            return column.path_in_schema
    return None


def _refuse_great_claims(footer: pq.FileMetaData) -> None:
    claims = (
        ("rows", footer.num_rows, MOST_ROWS_A_FILE),
        ("row groups", footer.num_row_groups, MOST_ROW_GROUPS),
        ("columns", footer.num_columns, MOST_COLUMNS),
    )
    for what, said, most in claims:
        if not 0 <= said <= most:
            raise ValueError(f"its footer says {said:,} {what}, where 0 to {most:,} can be")


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


def ailing(folder: str, items: list, progress: Callable[[dict], None]) -> None:
    """Answers {problem} for each file of which some value cannot be read, {} for the others; reads every value."""
    for told in items:
        ails = _what_ails(ExtractFile.from_plain(told))
        progress({"problem": ails} if ails else {})


def _what_ails(file: ExtractFile) -> str | None:
    """A database of its own a file: an internal error of DuckDB makes the one it happens in unusable."""
    rows = contracts()[file.extract].typed_sql(dict(file.physical))
    query = f"select bit_xor(hash(rows)), count(*)::bigint from ({rows}) as rows"
    config = {"autoinstall_known_extensions": False, "temp_directory": "", "memory_limit": "1GB"}
    with duckdb.connect(config=config) as connection:
        connection.execute("set TimeZone = 'UTC'")
        try:
            [(_, read)] = connection.execute(query, {"files": [literal_path(file.path)]}).fetchall()
        except (duckdb.Error, UnicodeDecodeError) as reason:
            return f"cannot be read as Parquet ({_first_line(reason)})"
    if read != file.rows:
        return f"its footer says {file.rows} rows, and {read} can be read"
    return None if identity(file.path) == file.identity else CHANGED


def digested(folder: str, items: list, progress: Callable[[dict], None]) -> None:
    """Answers {sha256} of each file, as it is from its first byte read to its last, or {problem}.

    items: [name, identity that it must have or None, columns of which the writer's checksums are verified].
    """
    for name, before, columns in items:
        path = Path(folder) / name
        answer = digest_of(path, tuple(before) if before else None)
        wrong = wrong_pages(path, columns) if columns and "sha256" in answer else None
        progress({"problem": f"cannot be read as Parquet ({WRONG}, in {wrong})"} if wrong else answer)


# -- what is asked of a survey -----------------------------------------------------------------------


def unreadable_files(found: Survey) -> list[str]:
    """A line for each surveyed file of which some value cannot be read."""
    return [problem.line for problem in unreadable(found.all_files())]


def unreadable(files: list[ExtractFile]) -> list[Problem]:
    """The files of which some value cannot be read: each is read by a child, which may die of it."""
    answers = _looked_at_by_children("ailing", Path(), [file.plain() for file in files], READING_LIMITS)
    told = zip(files, answers, strict=True)
    return [Problem(printable(file.name), answer["problem"]) for file, answer in told if "problem" in answer]


def what_ails(file: ExtractFile) -> Problem | None:
    """Why some value of the file cannot be read; None if all can be."""
    return next(iter(unreadable([file])), None)


def digests(found: Survey, known: dict[str, tuple] | None = None, *, leave_out_bad: bool = False) -> dict[str, str]:
    """Name of each surveyed file -> the SHA-256 of its bytes, held against the sender's `SHA256SUMS` if there is one.

    known: name -> (identity, digest) of files digested before; one of the same identity is not read again. Raises
    `InputRefused` naming each file that is gone, that changed since the survey, or is not as the sender's digests say.
    """
    files = found.all_files()
    told = {file.name: known[file.name][1] for file in files if _is_known(file, known or {})}
    asked = [[file.name, file.identity, _verifiable(file)] for file in files if file.name not in told]
    answers = _looked_at_by_children("digested", found.folder, asked, DIGEST_LIMITS)
    problems = []
    for (name, *_), answer in zip(asked, answers, strict=True):
        told[name] = answer.get("sha256")
        if "problem" in answer:
            problems.append(Problem(printable(name), answer["problem"]))
    fatal, by_file = _held_against_sums(found, told)
    problems += by_file
    if fatal or (problems and not leave_out_bad):
        raise InputRefused([problem.line for problem in fatal + problems])
    if problems:
        found.leave_out(problems)
        told = {file.name: told[file.name] for file in found.all_files()}
    found.warnings += set_rules.copies(found.files, told, found.warnings)
    return told


def _verifiable(file: ExtractFile) -> list[str]:
    """The columns of which the pages have checksums."""
    return list(contracts()[file.extract].names) if file.has_checksums else []


def _is_known(file: ExtractFile, known: dict[str, tuple]) -> bool:
    return file.name in known and bool(known[file.name][0]) and tuple(known[file.name][0]) == file.identity


def _held_against_sums(found: Survey, told: dict[str, str]) -> tuple[list[Problem], list[Problem]]:
    """What is wrong with the sender's list itself, and with files by it."""
    if not os.path.lexists(found.folder / SUMS):
        found.digests_verified = False
        return [], []
    try:
        listed, fatal = sandbox.run(sums_in, str(found.folder), limits=FOOTER_LIMITS)
    except (sandbox.ChildDied, sandbox.ChildFailed) as error:
        return [Problem(SUMS, f"cannot be read ({error})")], []
    if not listed:
        return [Problem(SUMS, reason) for reason in fatal], []
    left_out = {problem.name for problem in found.left_out}
    beside = [name for name in listed if name not in told and printable(name) not in left_out]
    answers = _looked_at_by_children("digested", found.folder, [[name, None, []] for name in beside], DIGEST_LIMITS)
    others = dict(zip(beside, answers, strict=True))
    found.digests_verified = not fatal
    by_file = [Problem(printable(name), reason) for name, reason in problems_of_sums(listed, told, others)]
    return [Problem(SUMS, reason) for reason in fatal], by_file


def changed(found: Survey) -> list[str]:
    """A line for each surveyed file that is not as it was when the survey saw it; asks the system only."""
    return [f"{printable(file.name)}: {CHANGED}" for file in found.all_files() if _is_other(file)]


def _is_other(file: ExtractFile) -> bool:
    try:
        return identity(file.path) != file.identity
    except OSError:
        return True


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def printable(name: str) -> str:
    return name.encode("unicode_escape").decode("ascii") if not name.isprintable() else name
