"""The small chart beside each cause: a picture, as five more charts would make the page wait."""

import polars as pl

from dashboard import words
from dashboard.charts import CAUSE_COLOURS

# In units of the picture, which takes the width of its column.
WIDTH, HEIGHT, EDGE = 320, 90, 4


def sparkline(trend: pl.DataFrame, cause: str) -> str:
    """SVG of one cause's share of the Devices due by month of commissioning; `trend` holds all causes, which share an
    axis from zero to the upper line.

    A month with less than a tenth of the usual number due does not stretch the axis, and is drawn at its end.
    """
    top = most(trend) * 1.05
    months = sorted(trend["commissioned_month"].unique())
    first, last = _number(months[0]), _number(months[-1])
    of_cause = trend.filter(pl.col("cause") == cause).select("commissioned_month", "share_of_due").rows()
    points = [
        (WIDTH * _share(_number(month), first, last), _height(min(share, top) / top)) for month, share in of_cause
    ]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    floor, ceiling = _height(0), _height(1 / 1.05)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">'
        # A grey that is seen on light and dark alike.
        f'<g stroke="#808080" stroke-width="1"><line x1="0" x2="{WIDTH}" y1="{floor}" y2="{floor}"/>'
        f'<line x1="0" x2="{WIDTH}" y1="{ceiling}" y2="{ceiling}" stroke-dasharray="2 3"/></g>'
        f'<polyline points="{path}" fill="none" stroke="{CAUSE_COLOURS[cause]}" stroke-width="2"/></svg>'
    )


def most(trend: pl.DataFrame) -> float:
    """The share at the upper line: the greatest of any cause in a month with at least a tenth of the usual number."""
    usual = trend.filter(pl.col("due") >= pl.col("due").median() / 10)
    return usual["share_of_due"].max() or 0.01


def caption(trend: pl.DataFrame) -> str:
    """What the lines of the small charts stand for."""
    months = trend["commissioned_month"]
    return (
        f"Share of Devices due, {words.month(months.min())} to {words.month(months.max())}; dotted line: "
        f"{words.percent(most(trend))}, line: 0\u00a0%"
    )


def _height(share: float) -> float:
    return round(HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * share, 1)


def _share(place: int, first: int, last: int) -> float:
    return (place - first) / (last - first) if last > first else 0.5


def _number(month: str) -> int:
    return int(month[:4]) * 12 + int(month[5:])
