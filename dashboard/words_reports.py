"""The words of reports and of the page that makes them: headings, cells, notes."""

from datetime import date, datetime

import polars as pl

from analysis.causes import cause_names, label_of
from analysis.report import Table
from dashboard import words

HEADINGS = words.HEADINGS | {
    "period": "Commissioned",
    "judged_by": "Judged by",
    "failures": "Failures",
    "failure_rate": "Failure rate",
    "low": "95 % low",
    "high": "95 % high",
    "device_type": "Device type",
    "model": "Model",
    "commissioned_at": "Commissioned",
    "party_is": "The party is",
    "finding": "Finding",
    "faults": "What is wrong",
    "unmet_checks": "Checks not met",
    "reason": "Reason",
    "causes": "All causes",
    "party_id": "Party",
    "incident_id": "Incident",
    "raised_at": "Raised",
    "closed_at": "Closed",
    "still_open": "Open",
    "reported": "CHF reported",
    "not_secure": "Found not secure",
    "device_keys_read_share": "Own keys read",
    "cause": "Cause",
}
SHARES = (words.SHARES | {"failure_rate", "low", "high"}) - {"still_open"}
# Columns that hold names of the data: the words that they stand for are shown, the files of data keep them.
CODED = {"finding", "faults", "unmet_checks", "causes", "reported"}
NO_CHROMIUM = "No Chromium was found on the machine that made this report: tables stand in place of pictures."
NO_PICTURES = "The pictures could not be drawn when this report was made: tables stand in place of them."
PAGE = (
    "A report is about the Devices commissioned in one month, with the twelve months before it as the trend, as this "
    "snapshot knows them. It has a scope of its own: **the filters in the side bar do not change it.**"
)
SET = "The amended set that the report shows beside the criteria in force:"
DOWNLOADS = (
    "A file is made when its button is pressed; HTML, PDF and DOCX take up to a quarter of a minute, as their pictures "
    "are drawn then. XLSX and Parquet hold every row of the tables."
)
FORMAT_NAMES = {"html": "HTML", "pdf": "PDF", "docx": "DOCX", "xlsx": "XLSX", "parquet": "Parquet (ZIP)"}
COMMAND = "All reports of the month at once, from the command line:"
DEMONSTRATION = "Demonstration estate: every Device and party is made up."


def heading(column: str) -> str:
    return HEADINGS.get(column) or column.replace("_", " ").capitalize()


def is_number(column: str, value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def cell(column: str, value: object, missing: str) -> str:
    """A value as a person reads it."""
    if value is None or value == "":
        return missing
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return words.percent(value, 2) if column in SHARES else f"{value:,.1f}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, date):
        return value.isoformat()
    return _decoded(str(value)) if column in CODED else str(value)


def _decoded(text: str) -> str:
    for name in cause_names():
        text = text.replace(name, label_of(name))
    return "; ".join(part[:1].upper() + part[1:] for part in text.replace("_", " ").split("; "))


def more_rows(shown: int, rows: int) -> str:
    return f"{shown:,} of {rows:,} rows are shown; the XLSX and Parquet files of this report hold all."


def in_words(table: Table) -> pl.DataFrame:
    """A short table with every value as a person reads it."""
    frame = table.frame
    return pl.DataFrame(
        {heading(name): [cell(name, value, table.missing) for value in frame[name]] for name in frame.columns},
        schema={heading(name): pl.String for name in frame.columns},
    )
