"""The tables of a report as data: one XLSX with a sheet each, and a Parquet file each, with the same rows."""

import io
from pathlib import Path

import polars as pl
import xlsxwriter

from analysis.report import Report, Table
from dashboard import words_reports
from dashboard.reports.model import Document
from data.export import CELL_CHARACTERS, SHEET_ROWS, with_text_for_lists

# A sheet's name has at most so many characters.
SHEET_NAME = 31


def facts(report: Report, document: Document, table: Table | None = None) -> dict[str, str]:
    """What a file says of itself."""
    said = {"Title": document.title, **dict(document.facts), "Made": document.made}
    if table is not None:
        said |= {"Table": table.title} | ({"How": table.how} if table.how else {})
    return said | {f"Note {place}": note for place, note in enumerate(document.notes, 1)}


def parquet(report: Report, document: Document) -> dict[str, bytes]:
    """Name of a table -> its file."""
    files = {}
    for table in report.tables():
        sink = io.BytesIO()
        table.frame.write_parquet(sink, metadata=facts(report, document, table))
        files[table.name] = sink.getvalue()
    return files


def xlsx(report: Report, document: Document) -> bytes:
    """A sheet a table, in the names and values of the Parquet files; the first sheet says what the file is."""
    sink = io.BytesIO()
    options = {
        "in_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "default_date_format": "yyyy-mm-dd hh:mm:ss",
    }
    with xlsxwriter.Workbook(sink, options) as workbook:
        workbook.set_properties(
            {"title": document.title, "author": document.author, "created": document.stamp.replace(microsecond=0)}
        )
        bold, share = workbook.add_format({"bold": True}), workbook.add_format({"num_format": "0.00%"})
        footer = f"&L&7{_escaped(document.line())[:200]}&R&7Page &P of &N"
        about = workbook.add_worksheet("About")
        about.set_column(0, 0, 16)
        about.set_column(1, 1, 110)
        sections = [(part.title, sentence) for part in document.parts for sentence in part.sentences]
        for row, (name, text) in enumerate([*facts(report, document).items(), *sections]):
            about.write_string(row, 0, name, bold)
            about.write_string(row, 1, text[:CELL_CHARACTERS])
        about.set_footer(footer)
        for table in report.tables():
            sheet = workbook.add_worksheet(table.name[:SHEET_NAME])
            sheet.freeze_panes(1, 0)
            sheet.repeat_rows(0)
            sheet.set_landscape()
            sheet.set_footer(footer)
            _fill(sheet, table.frame, bold, share)
    return sink.getvalue()


def _escaped(text: str) -> str:
    return text.replace("&", "&&")


def _fill(sheet: xlsxwriter.worksheet.Worksheet, frame: pl.DataFrame, bold, share) -> None:
    for column, name in enumerate(frame.columns):
        sheet.write_string(0, column, name, bold)
        sheet.set_column(column, column, 24 if frame.schema[name] in (pl.String, pl.Datetime) else 14)
    is_share = [name in words_reports.SHARES for name in frame.columns]
    for row, values in enumerate(with_text_for_lists(frame.head(SHEET_ROWS)).iter_rows(), 1):
        for column, value in enumerate(values):
            if isinstance(value, str):
                sheet.write_string(row, column, value[:CELL_CHARACTERS])
            elif value is not None:
                sheet.write(row, column, value, share if is_share[column] else None)


def write_parquet(files: dict[str, bytes], folder: Path) -> None:
    for name, data in files.items():
        (folder / f"{name}.parquet").write_bytes(data)
