"""Bars as PNG for the document of the business case, drawn without a browser."""

import io
from collections.abc import Sequence
from textwrap import wrap
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

WIDTH, ROW, LABELS, TEXTS = 1800, 64, 560, 250
INK, PAPER, LINE = "#1A1A1A", "#FFFFFF", "#7D7D7D"


class Bar(NamedTuple):
    """A bar from one value to another, in a colour."""

    start: float
    end: float
    colour: str


class Row(NamedTuple):
    """A name, its bars, and what is written at their end."""

    label: str
    bars: Sequence[Bar]
    text: str


def plain(text: str) -> str:
    """What the font that comes with the library has letters for."""
    return text.replace("\u2212", "-").replace("£,", "GBP,").replace("£", "GBP ").replace("\u00a0", " ")


def bars(rows: Sequence[Row], axis: str, legend: dict[str, str]) -> bytes:
    """A row each, the first on top; axis: what the length stands for; legend: colour -> name."""
    font = ImageFont.load_default(size=28)
    image = Image.new("RGB", (WIDTH, ROW * (len(rows) + 2) + 30), PAPER)
    draw = ImageDraw.Draw(image)
    ends = [value for row in rows for bar in row.bars for value in (bar.start, bar.end)]
    low, high = min(ends, default=0), max(ends, default=1)
    span = (high - low) or 1

    def across(value: float) -> float:
        return LABELS + (WIDTH - LABELS - TEXTS) * (value - low) / span

    place = LABELS
    for colour, name in legend.items():
        draw.rectangle((place, 18, place + 28, 46), fill=colour)
        draw.text((place + 40, 32), plain(name), INK, font, anchor="lm")
        place += 90 + int(draw.textlength(name, font))
    for number, row in enumerate(rows):
        middle = ROW * (number + 1) + 40
        for line, text in enumerate(lines := wrap(plain(row.label), 40)[:2]):
            draw.text((LABELS - 16, middle + 30 * (line - (len(lines) - 1) / 2)), text, INK, font, anchor="rm")
        for bar in row.bars:
            left, right = sorted((across(bar.start), across(bar.end)))
            if right > left:
                draw.rectangle((left, middle - 20, right, middle + 20), fill=bar.colour)
        most = max((max(across(bar.start), across(bar.end)) for bar in row.bars), default=LABELS)
        draw.text((most + 12, middle), plain(row.text), INK, font, anchor="lm")
    if low <= 0 <= high:
        draw.line((across(0), ROW, across(0), ROW * (len(rows) + 1) + 16), LINE, 3)
    draw.text((LABELS, ROW * (len(rows) + 1) + 50), plain(axis), INK, font, anchor="lm")
    sink = io.BytesIO()
    image.save(sink, "PNG", optimize=True)
    return sink.getvalue()
