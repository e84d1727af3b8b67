"""A report as the texts that every document sets: words for values, rows cut, and a picture where there is one."""

import unicodedata
from dataclasses import dataclass
from datetime import datetime

from analysis.report import MOST_ROWS, Report, Table
from dashboard import words_reports


@dataclass(frozen=True)
class Grid:
    """A table in words: `numeric` says of each column whether it holds numbers."""

    caption: str
    heads: list[str]
    numeric: list[bool]
    rows: list[list[str]]
    notes: list[str]


@dataclass(frozen=True)
class Picture:
    """PNG, with its size in pixels of the page, and what it shows in words."""

    name: str
    caption: str
    alt: str
    png: bytes


@dataclass(frozen=True)
class Part:
    title: str
    sentences: list[str]
    pictures: list[Picture]
    grids: list[Grid]


@dataclass(frozen=True)
class Document:
    """facts stand on every page; stamp: when the report was made, the one thing two runs may differ in."""

    title: str
    facts: list[tuple[str, str]]
    notes: list[str]
    parts: list[Part]
    stamp: datetime
    author: str = "Post Commissioning Outcomes"

    @property
    def made(self) -> str:
        return f"{self.stamp:%-d %B %Y, %H:%M:%S} UTC"

    def line(self) -> str:
        return " \u00b7 ".join(f"{name}: {text}" for name, text in [*self.facts, ("Made", self.made)])


def plain(text: str) -> str:
    """Without the control characters that no document can hold."""
    return "".join(one for one in text if one in "\n\t" or unicodedata.category(one) not in ("Cc", "Cs", "Cn"))


def document(report: Report, pictures: dict[str, bytes], stamp: datetime, no_pictures: str = "") -> Document:
    """pictures: a figure's name -> PNG. no_pictures: why there is none, said in the report."""
    notes = [words_reports.DEMONSTRATION] if report.is_demonstration else []
    if no_pictures and report.figures():
        notes.append(no_pictures)
    parts = [
        Part(
            plain(section.title),
            [plain(sentence) for sentence in section.sentences],
            [
                Picture(
                    figure.name,
                    plain(figure.title),
                    f"{plain(figure.title)}. The table that follows holds the same numbers.",
                    pictures[figure.name],
                )
                for figure in section.figures
                if figure.name in pictures
            ],
            [grid(table) for table in section.tables],
        )
        for section in report.sections
    ]
    facts = [(name, plain(fact)) for name, fact in report.facts.items()]
    return Document(plain(report.title), facts, notes, parts, stamp)


def grid(table: Table) -> Grid:
    frame, shown = table.frame, table.frame.head(MOST_ROWS)
    notes = [table.how] if table.how else []
    if frame.height > MOST_ROWS:
        notes.append(words_reports.more_rows(MOST_ROWS, frame.height))
    return Grid(
        caption=plain(table.title),
        heads=[words_reports.heading(name) for name in frame.columns],
        numeric=[kind.is_numeric() for kind in frame.schema.values()],
        rows=[
            [
                plain(words_reports.cell(name, value, table.missing))
                for name, value in zip(frame.columns, row, strict=True)
            ]
            for row in shown.iter_rows()
        ],
        notes=notes,
    )
