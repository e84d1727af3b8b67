"""The small chart beside each cause: a drawing, as five more charts would make the page wait."""

from html import escape

import polars as pl

from dashboard import words
from dashboard.charts import CAUSE_COLOURS

# In units of the drawing, which takes the width of its column.
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 320, 110, 40, 10, 20


def sparkline(trend: pl.DataFrame, cause: str, label: str) -> str:
    """SVG of one cause's share of the Devices due by month of commissioning; `trend` holds all causes, which share an
    axis from zero.

    A month with less than a tenth of the usual number due does not stretch the axis, and is drawn at its end.
    """
    usual = trend.filter(pl.col("due") >= pl.col("due").median() / 10)
    top = (usual["share_of_due"].max() or 0.01) * 1.05
    months = sorted(trend["commissioned_month"].unique())
    first, last = _number(months[0]), _number(months[-1])
    of_cause = trend.filter(pl.col("cause") == cause).select("commissioned_month", "share_of_due").rows()
    points = [
        (LEFT + (WIDTH - LEFT - 4) * _share(_number(month), first, last), _height(min(share, top) / top))
        for month, share in of_cause
    ]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    said = f"{label}: share of Devices due by month of commissioning. The chart of all causes has a table."
    floor, ceiling = _height(0), _height(1 / 1.05)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(said)}" width="100%" font-size="11">'
        f'<g stroke="currentColor" stroke-opacity="0.35"><line x1="{LEFT}" x2="{WIDTH}" y1="{floor}" y2="{floor}"/>'
        f'<line x1="{LEFT}" x2="{WIDTH}" y1="{ceiling}" y2="{ceiling}" stroke-dasharray="2 3"/></g>'
        f'<polyline points="{path}" fill="none" stroke="{CAUSE_COLOURS[cause]}" stroke-width="2"/>'
        f'<g fill="currentColor"><text x="{LEFT - 6}" y="{floor + 4}" text-anchor="end">0 %</text>'
        f'<text x="{LEFT - 6}" y="{ceiling + 4}" text-anchor="end">{words.percent(top / 1.05)}</text>'
        f'<text x="{LEFT}" y="{HEIGHT - 4}">{words.month(months[0])}</text>'
        f'<text x="{WIDTH}" y="{HEIGHT - 4}" text-anchor="end">{words.month(months[-1])}</text></g></svg>'
    )


def _height(share: float) -> float:
    return round(HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * share, 1)


def _share(place: int, first: int, last: int) -> float:
    return (place - first) / (last - first) if last > first else 0.5


def _number(month: str) -> int:
    return int(month[:4]) * 12 + int(month[5:])
