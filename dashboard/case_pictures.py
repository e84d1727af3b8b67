"""Bars as PNG for the document of the business case, drawn without a browser."""

import io
from collections.abc import Sequence
from math import ceil, floor, log10
from textwrap import wrap
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

WIDTH, ROW, LABELS, TEXTS = 1800, 64, 560, 250
INK, PAPER, LINE, LIGHT = "#1A1A1A", "#FFFFFF", "#7D7D7D", "#D9D9D9"


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


def ticks(low: float, high: float) -> list[float]:
    """A few round numbers from low to high."""
    power = 10 ** floor(log10(((high - low) or 1) / 4))
    step = next(power * part for part in (1, 2, 5, 10) if power * part * 5 >= high - low)
    return [step * place for place in range(ceil(low / step), floor(high / step) + 1)]


def bars(rows: Sequence[Row], axis: str, legend: dict[str, str]) -> bytes:
    """A row each, the first on top; axis: what the length stands for; legend: colour -> name."""
    font = ImageFont.load_default(size=28)
    image = Image.new("RGB", (WIDTH, ROW * (len(rows) + 2) + 80), PAPER)
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
    foot = ROW * (len(rows) + 1) + 16
    for tick in ticks(low, high):
        draw.line((across(tick), ROW, across(tick), foot), LIGHT, 2)
        draw.text((across(tick), foot + 24), plain(f"{tick:,.0f}"), INK, font, anchor="mm")
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
        draw.line((across(0), ROW, across(0), foot), LINE, 3)
    draw.text((LABELS, foot + 74), plain(axis), INK, font, anchor="lm")
    sink = io.BytesIO()
    image.save(sink, "PNG", optimize=True)
    return sink.getvalue()
