"""The figures of the pages about parties: a funnel, small multiples, and one party beside its peers."""

import math
from typing import NamedTuple

import plotly.graph_objects as go
import polars as pl

from analysis.funnel import INSIDE, OUTSIDE_95, OUTSIDE_998, curve
from analysis.peers import DECILES, FEWEST_DUE
from dashboard.charts import ACTUAL, BAND, REPORTED, UNVERIFIED, blank_figure

# No verdict's colours, as a standing is none; each has 3:1 contrast against the light and the dark page.
STANDING_COLOURS = {INSIDE: "#6B8799", OUTSIDE_95: "#A07800", OUTSIDE_998: "#D6336C"}
STANDING_MARKERS = {INSIDE: "circle", OUTSIDE_95: "diamond", OUTSIDE_998: "square"}
LIMIT = "#7D7D7D"
# The plot of a page 390 pixels wide, and what a name takes of it, in pixels.
PLOT, LETTER, LINE = (235, 300), 6, 18
MOST_NAMES = 8
PANELS_ACROSS = 2
PANEL_HEIGHT = 165
LONGEST_NAME = 22


class Label(NamedTuple):
    """A name in the funnel, its sides and its middle, and the point that a line leads to; shares of the plot."""

    left: float
    right: float
    height: float
    due: float
    rate: float


def funnel(table: pl.DataFrame) -> go.Figure:
    """Reported rate against Devices due, with the exact limits of chance around the overall rate."""
    figure = blank_figure(560)
    figure.update_layout(legend={"traceorder": "reversed"})
    _limit_lines(figure, table)
    top = _top(table)
    for standing, colour in STANDING_COLOURS.items():
        of_standing = table.filter(pl.col("standing") == standing)
        figure.add_scatter(
            x=of_standing["due"].to_list(),
            y=of_standing["reported_failure_rate"].to_list(),
            name=f"{standing.capitalize()} ({of_standing.height})",
            mode="markers",
            marker={"color": colour, "symbol": STANDING_MARKERS[standing], "size": 9},
            customdata=of_standing.select("name", "reported_failures", "due", "low_95", "high_95").rows(),
            hovertemplate="%{customdata[0]}: reported %{y:.2%} (%{customdata[1]:,} of %{customdata[2]:,} due); "
            "95 % limits %{customdata[3]:.1%} to %{customdata[4]:.1%}<extra></extra>",
        )
    ends = _ends(table)
    for label in _labels(table, ends, top):
        figure.add_annotation(label, ax=0, ayref="y", arrowhead=0, arrowwidth=1, arrowcolor=LIMIT, standoff=5)
    figure.update_xaxes(
        title="Devices due (log scale)",
        type="log",
        range=[math.log10(end) for end in ends],
        tickvals=_ticks(*ends),
        tickformat=",",
    )
    figure.update_yaxes(title="Reported failure rate", tickformat=".0%" if top > 0.05 else ".1%", range=[0, top])
    return figure


def _limit_lines(figure: go.Figure, table: pl.DataFrame) -> None:
    low, high = _ends(table)
    rate = table["overall_rate"][0]
    lines = curve(math.ceil(low), math.floor(high), rate)
    for level, dash in (("998", "dot"), ("95", "dash")):
        for side in ("low", "high"):
            figure.add_scatter(
                x=lines["due"].to_list(),
                y=lines[f"{side}_{level}"].to_list(),
                name=f"{'99.8' if level == '998' else level} % limits",
                mode="lines",
                line={"color": LIMIT, "dash": dash, "width": 1.5},
                legendgroup=level,
                showlegend=side == "low",
                hoverinfo="skip",
            )
    figure.add_scatter(
        x=[low, high],
        y=[rate, rate],
        name="All together",
        mode="lines",
        line={"color": LIMIT, "width": 1.5},
        hoverinfo="skip",
    )


def _ends(table: pl.DataFrame) -> tuple[float, float]:
    """Of the axis of Devices due: a little beyond the smallest and the largest."""
    return max(table["due"].min() / 1.5, 0.8), table["due"].max() * 1.5


def _top(table: pl.DataFrame) -> float:
    """Every point is inside the chart; the limits of the very smallest may run out of it."""
    highest = table["reported_failure_rate"].max() * 1.15
    return min(max(highest, table["overall_rate"][0] * 2, 0.001), 1.05)


def _ticks(low: float, high: float) -> list[int]:
    steps = (1,) if high / low > 10_000 else (1, 3) if high / low > 300 else (1, 2, 5)
    return [
        step * 10**power
        for power in range(math.floor(math.log10(high)) + 1)
        for step in steps
        if low <= step * 10**power <= high
    ]


def _labels(table: pl.DataFrame, ends: tuple[float, float], top: float) -> list[dict]:
    """Names of those outside 99.8 %, the largest first, as many as fit beyond the funnel without running together."""
    outside = table.filter(pl.col("standing") == OUTSIDE_998).sort("due", descending=True)
    first, last = (math.log10(end) for end in ends)
    kept, taken = [], []
    for row in outside.to_dicts():
        width = (LETTER * len(row["name"]) + 8) / PLOT[0]
        x = (math.log10(row["due"]) - first) / (last - first)
        anchor, left = next(
            (anchor, left)
            for anchor, left in (("left", x), ("center", x - width / 2), ("right", x - width))
            if left + width <= 1
        )
        if left < 0 or len(kept) == MOST_NAMES:
            continue
        y = _beyond(row, 10 ** (first + left * (last - first)), top)
        box = Label(left, left + width, y / top, x, row["reported_failure_rate"] / top)
        if all(_are_apart(box, other) for other in taken):
            taken.append(box)
            at = {"x": math.log10(row["due"]), "y": row["reported_failure_rate"], "ay": y}
            kept.append({"text": row["name"], "xanchor": anchor, **at})
    return kept


def _beyond(row: dict, smallest_due: float, top: float) -> float:
    """Where a name stands clear of the funnel, which is widest at the name's left end."""
    limit = curve(math.ceil(smallest_due), math.ceil(smallest_due), row["overall_rate"]).row(0, named=True)
    rate, gap = row["reported_failure_rate"], top * LINE / PLOT[1]
    if rate > row["overall_rate"]:
        return min(max(rate, limit["high_998"]) + gap, top - gap / 2)
    return max(min(rate, limit["low_998"]) - gap, gap / 2)


def _are_apart(one: Label, other: Label) -> bool:
    """Neither text runs into the other's, nor a line through a text."""
    beside = one.left > other.right or one.right < other.left
    clear = beside or abs(one.height - other.height) > LINE / PLOT[1]
    return clear and not _crosses(one, other) and not _crosses(other, one)


def _crosses(one: Label, other: Label) -> bool:
    low, high = sorted((one.height, one.rate))
    return other.left <= one.due <= other.right and low <= other.height <= high


def small_multiples(quarters: pl.DataFrame) -> go.Figure:
    """A panel a party, largest first: its reported and actual rate by quarter, on one axis from zero."""
    names = quarters["name"].unique(maintain_order=True).to_list()
    down = math.ceil(len(names) / PANELS_ACROSS)
    every = pl.DataFrame({"quarter": _quarters_between(quarters["quarter"].min(), quarters["quarter"].max())})
    # One quarter of four Devices must not press all others flat.
    steady = quarters.filter(pl.col("due") >= FEWEST_DUE)
    steady = quarters if steady.is_empty() else steady
    highest = max(steady["reported_failure_rate"].max(), steady["actual_failure_rate"].max() or 0)
    top = min(max(highest * 1.08, 0.01), 1.02)
    figure = blank_figure(90 + PANEL_HEIGHT * down, hovermode="x unified")
    layout, traces = {"margin_t": 60, "legend_y": 1 + 26 / (PANEL_HEIGHT * down), "annotations": []}, []
    for panel, name in enumerate(names):
        row, column = divmod(panel, PANELS_ACROSS)
        axis = "" if panel == 0 else str(panel + 1)
        left, right = (column + 0.03 * column) / PANELS_ACROSS, (column + 0.97 + 0.03 * column) / PANELS_ACROSS
        ceiling, floor = 1 - row / down, 1 - (row + 0.76) / down
        layout[f"xaxis{axis}"] = {
            "domain": [left, right],
            "anchor": f"y{axis}",
            "type": "date",
            "tickformat": "%Y",
            "dtick": "M12",
            "range": [_first_day(every["quarter"][0], -1), _first_day(every["quarter"][-1], 1)],
            "showticklabels": panel + PANELS_ACROSS >= len(names),
        }
        layout[f"yaxis{axis}"] = {
            "domain": [floor, ceiling],
            "anchor": f"x{axis}",
            "tickformat": ".0%",
            "range": [0, top],
            "nticks": 6,
            "showticklabels": column == 0,
        }
        layout["annotations"].append(
            {
                "text": _short(name),
                "x": (left + right) / 2,
                "y": ceiling,
                "xref": "paper",
                "yref": "paper",
                "xanchor": "center",
                "yanchor": "bottom",
                "showarrow": False,
                "font": {"size": 12},
            }
        )
        own = every.join(quarters.filter(pl.col("name") == name), on="quarter", how="left", maintain_order="left")
        traces += _panel(own, {"xaxis": f"x{axis}", "yaxis": f"y{axis}", "showlegend": panel == 0})
    figure.add_traces(traces)
    figure.update_layout(layout)
    return figure


def _panel(of_party: pl.DataFrame, place: dict) -> list[go.Scatter]:
    days = [_first_day(quarter) for quarter in of_party["quarter"]]
    band_x, band_y = _band(days, of_party["actual_low"].to_list(), of_party["actual_high"].to_list())
    band = go.Scatter(
        x=band_x,
        y=band_y,
        fill="toself",
        fillcolor=BAND,
        line={"color": BAND, "width": 1},
        mode="lines",
        hoverinfo="skip",
        name="Actual, 95 % interval",
        legendgroup="interval",
        **place,
    )
    lines = (
        ("Reported", REPORTED, "solid", "circle", "reported_failures", "due"),
        ("Actual", ACTUAL, "dash", "diamond", "not_secure", "verified"),
    )
    return [band] + [
        go.Scatter(
            x=days,
            y=of_party[f"{name.lower()}_failure_rate"].to_list(),
            name=name,
            legendgroup=name,
            mode="lines+markers",
            line={"color": colour, "dash": dash, "width": 2},
            marker={"symbol": symbol, "size": 5},
            customdata=of_party.select(number, of).rows(),
            hovertemplate="%{y:.1%} (%{customdata[0]:,} of %{customdata[1]:,} " + of + ")",
            xhoverformat="quarter from %b %Y",
            **place,
        )
        for name, colour, dash, symbol, number, of in lines
    ]


def _band(days: list[str], low: list[float | None], high: list[float | None]) -> tuple[list, list]:
    """Outlines of the areas between two lines; where either is unknown the area ends."""
    xs, ys, run = [], [], []
    for point in [*zip(days, low, high, strict=True), (None, None, None)]:
        if point[1] is not None and point[2] is not None:
            run.append(point)
        elif run:
            xs += [*(day for day, _, _ in run), *(day for day, _, _ in reversed(run)), None]
            ys += [*(top for _, _, top in run), *(bottom for _, bottom, _ in reversed(run)), None]
            run = []
    return xs, ys


def peers(table: pl.DataFrame, name: str) -> go.Figure:
    """One party's reported rate by quarter over the deciles of its peers."""
    figure = blank_figure(440, hovermode="x unified")
    days = [_first_day(quarter) for quarter in table["quarter"]]
    for decile in DECILES:
        is_median = decile == "decile_5"
        figure.add_scatter(
            x=days,
            y=table[decile].to_list(),
            name="Peers, median" if is_median else "Peers, other deciles",
            mode="lines",
            line={"color": UNVERIFIED, "dash": "dash" if is_median else "dot", "width": 2.5 if is_median else 1},
            legendgroup="median" if is_median else "deciles",
            showlegend=decile in ("decile_1", "decile_5"),
            customdata=table.select("peers").rows(),
            hovertemplate="%{y:.1%} (%{customdata[0]} peers)" if is_median else None,
            hoverinfo=None if is_median else "skip",
        )
    figure.add_scatter(
        x=days,
        y=table["reported_failure_rate"].to_list(),
        name=name,
        mode="lines+markers",
        line={"color": REPORTED, "width": 2.5},
        marker={"symbol": "circle", "size": 7},
        customdata=table.select("reported_failures", "due").rows(),
        hovertemplate="%{y:.1%} (%{customdata[0]:,} of %{customdata[1]:,} due)",
        xhoverformat="quarter from %b %Y",
    )
    figure.update_yaxes(title="Reported failure rate", tickformat=".0%", rangemode="tozero")
    figure.update_xaxes(title="Quarter of commissioning", type="date", tickformat="%b %Y")
    return figure


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def _first_day(quarter: str, later: int = 0) -> str:
    """`2021 Q3` as 2021-07-01, or of a month some months later."""
    years, month = divmod(int(quarter[-1]) * 3 - 3 + later, 12)
    return f"{int(quarter[:4]) + years}-{month + 1:02d}-01"


def _quarters_between(first: str, last: str) -> list[str]:
    numbers = [int(quarter[:4]) * 4 + int(quarter[-1]) - 1 for quarter in (first, last)]
    return [f"{number // 4} Q{number % 4 + 1}" for number in range(numbers[0], numbers[1] + 1)]
