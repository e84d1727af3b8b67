"""Tables as files: .parquet, .csv or .xlsx by the file's ending."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import polars as pl
import polars.selectors as cs
import xlsxwriter

from data import duck
from data.extracts import literal_path
from data.marts import Snapshot, sync

ENDINGS = (".parquet", ".csv", ".xlsx")
# A sheet has 1,048,576 rows, the first of which is the header; a cell holds 32,767 characters.
SHEET_ROWS = 1_048_575
CELL_CHARACTERS = 32_767
ROWS_AT_ONCE = 100_000
# A sheet takes text that begins so for a formula, unless it is a number: an apostrophe before it says that it is text.
LIKE_A_FORMULA = r"^[=+\-@\t\r\n\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}]"
A_NUMBER = r"^[+-]?\d+(\.\d+)?$"


class CannotExport(Exception):
    """The table does not go into that file; the message says what would."""


def refuse_unfit(rows: int, to: Path) -> None:
    """Raises `CannotExport` for an unknown ending, or for more rows than a sheet holds."""
    ending = to.suffix.lower()
    if ending not in ENDINGS:
        raise CannotExport(f"{to.name}: the file must end in {', '.join(ENDINGS)}")
    if ending == ".xlsx" and rows > SHEET_ROWS:
        raise CannotExport(
            f"{to.name}: {rows:,} rows are more than the {SHEET_ROWS:,} that a sheet holds; use .parquet or .csv"
        )


@contextmanager
def whole_file(to: Path) -> Iterator[Path]:
    """A name beside the target, put in its place once the file is whole; until then what was there stays."""
    to = to.resolve()
    if to.exists() and not to.is_file():
        # A device or a pipe can only be written to.
        yield to
        return
    beside = to.with_name(f".{to.stem[:100]}-{os.getpid()}{to.suffix}")
    try:
        yield beside
        sync(beside)
        beside.replace(to)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def _outcomes_reader(snapshot: Snapshot) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection on which `kept_outcomes` is the snapshot's table."""
    with duckdb.connect(config={"memory_limit": "1GB", "autoinstall_known_extensions": False}) as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(
            "create macro duis_form(key) as regexp_replace(printf('%016X', key), '(..)(..)(..)(..)(..)(..)(..)(..)', "
            r"'\1-\2-\3-\4-\5-\6-\7-\8')"
        )
        # Text joined with `; ` as a list; the empty text is the empty list, null stays null.
        connection.execute(
            "create macro listed(words) as case when words = '' then []::text[] else string_split(words, '; ') end"
        )
        files = [literal_path(file) for file in snapshot.files("outcomes")]
        connection.read_parquet(files, hive_partitioning=False).create_view("kept_outcomes")
        yield connection


def outcomes_frame(snapshot: Snapshot) -> pl.DataFrame:
    """The table `outcomes` whole; for small estates."""
    with _outcomes_reader(snapshot) as connection:
        return connection.sql(duck.sql("outcomes")).pl()


def export_outcomes(snapshot: Snapshot, to: Path) -> int:
    """Writes `outcomes` in bounded memory and returns its rows."""
    rows = snapshot.rows("outcomes")
    refuse_unfit(rows, to)
    with whole_file(to) as to, _outcomes_reader(snapshot) as connection:
        relation = connection.sql(duck.sql("outcomes"))
        if to.suffix.lower() == ".parquet":
            relation.write_parquet(str(to), compression="zstd")
        elif to.suffix.lower() == ".csv":
            joined = connection.sql(_joined(duck.sql("outcomes")))
            connection.sql(_plain(joined)).write_csv(str(to), header=True)
        else:
            batches = relation.to_arrow_reader(ROWS_AT_ONCE)
            write_sheet((pl.DataFrame(pl.from_arrow(batch)) for batch in batches), to, "outcomes")
    return rows


def _joined(query: str) -> str:
    names = ("unmet_checks", "faults", "causes")
    joined = ", ".join(f"array_to_string({name}, '; ') as {name}" for name in names)
    return f"select * replace ({joined}) from ({query})"


def _plain(rows: duckdb.DuckDBPyRelation) -> str:
    """A query of the relation `joined` in the caller, with what `with_plain_text` makes of its texts."""
    texts = [name for name, kind in zip(rows.columns, rows.types, strict=True) if str(kind) == "VARCHAR"]
    like, number = duck.quoted(LIKE_A_FORMULA), duck.quoted(A_NUMBER)
    plain = ", ".join(
        f"case when regexp_matches({name}, {like}) and not regexp_matches({name}, {number}) then '''' || {name} "
        f"else {name} end as {name}"
        for name in texts
    )
    return f"select * replace ({plain}) from ({rows.sql_query()})"


def export_frame(frame: pl.DataFrame, to: Path, sheet: str) -> int:
    """Writes a small table and returns its rows."""
    refuse_unfit(frame.height, to)
    ending = to.suffix.lower()
    with whole_file(to) as to:
        if ending == ".parquet":
            frame.write_parquet(to)
        elif ending == ".csv":
            with_plain_text(frame).write_csv(to)
        else:
            write_sheet([frame], to, sheet)
    return frame.height


def with_text_for_lists(frame: pl.DataFrame) -> pl.DataFrame:
    lists = [name for name, kind in frame.schema.items() if isinstance(kind, pl.List)]
    return frame.with_columns(pl.col(name).list.join("; ") for name in lists)


def with_plain_text(frame: pl.DataFrame) -> pl.DataFrame:
    """For CSV: lists as text, and no text that a sheet would take for a formula; numbers stay as they are."""
    text = cs.string()
    is_formula = text.str.contains(LIKE_A_FORMULA) & ~text.str.contains(A_NUMBER)
    return with_text_for_lists(frame).with_columns(pl.when(~is_formula).then(text).otherwise("'" + text))


def write_sheet(frames: Iterable[pl.DataFrame], to: Path, sheet: str, about: dict[str, str] | None = None) -> None:
    """One sheet, a frame at a time in constant memory; text that looks like a formula stays text.

    `about` goes on a second sheet of its own, a fact a row.
    """
    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "default_date_format": "yyyy-mm-dd hh:mm:ss",
    }
    # The file first: a workbook that cannot be closed leaves its temporary files behind.
    with to.open("wb") as sink, xlsxwriter.Workbook(sink, options) as workbook:
        worksheet = workbook.add_worksheet(sheet)
        bold = workbook.add_format({"bold": True})
        date = workbook.add_format({"num_format": "yyyy-mm-dd"})
        worksheet.freeze_panes(1, 0)
        row = 0
        for frame in frames:
            if row == 0:
                for column, name in enumerate(frame.columns):
                    worksheet.write_string(0, column, name, bold)
            is_date = [kind == pl.Date for kind in frame.schema.values()]
            for values in with_text_for_lists(frame).iter_rows():
                row += 1
                for column, value in enumerate(values):
                    if value is not None:
                        _write_cell(worksheet, row, column, value, date if is_date[column] else None)
        if about:
            _write_about(workbook.add_worksheet("About"), about, bold, workbook.add_format({"text_wrap": True}))


def _write_about(worksheet: xlsxwriter.worksheet.Worksheet, about: dict[str, str], name_style, text_style) -> None:
    worksheet.set_column(0, 0, 16)
    worksheet.set_column(1, 1, 100)
    for row, (name, text) in enumerate(about.items()):
        worksheet.write_string(row, 0, name, name_style)
        worksheet.write_string(row, 1, text[:CELL_CHARACTERS], text_style)


def _write_cell(worksheet: xlsxwriter.worksheet.Worksheet, row: int, column: int, value, style) -> None:
    if isinstance(value, str) and len(value) > CELL_CHARACTERS:
        value = value[: CELL_CHARACTERS - 1] + "…"
    worksheet.write(row, column, value, style)
