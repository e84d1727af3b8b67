"""Frames in, plotly figures out; a figure's colours mean the same on every page."""

from collections.abc import Iterator
from itertools import groupby

import plotly.graph_objects as go
import polars as pl

from analysis.causes import cause_names, label_of
from dashboard.plot import Plot

# Each has 3:1 contrast against the light and the dark page, and is told from the others with any colour vision; dash,
# shape or hatch tells them apart as well.
REPORTED = "#D55E00"
ACTUAL = "#0072B2"
OVER_REPORTED = "#8C5486"
UNVERIFIED = "#7D7D7D"
MISSED = "#7A5CFF"
TOLERANCE = "#7D7D7D"
STEP_COLOURS = {
    "Reported failed": REPORTED,
    "Not verified": UNVERIFIED,
    "Confirmed failures": ACTUAL,
    "Missed failures": MISSED,
    "Found not secure": ACTUAL,
}
CAUSE_COLOURS = dict(zip(cause_names(), ("#8C5486", "#D55E00", "#0072B2", "#008F50", "#7D7D7D"), strict=True))
CAUSE_DASHES = dict(zip(cause_names(), ("dash", "solid", "dot", "dashdot", "longdash"), strict=True))
BAND = "rgba(0, 114, 178, 0.22)"
ROW_HEIGHT = 26
# Sets of causes that a chart draws; the table has all.
MOST_COMBINATIONS = 20


def blank_figure(height: int, hovermode: str = "closest", **layout) -> go.Figure:
    """A figure without traces, with the margins and legend that all charts share; height in pixels."""
    figure = go.Figure()
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 40, "b": 8},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        hovermode=hovermode,
        **layout,
    )
    return figure


def finished(figure: go.Figure) -> Plot:
    """The figure as one text, never to be changed again: what is held for many readers is to be small.

    Plotly's own tree is thousands of objects, and each look for garbage would go through those of all figures held.
    """
    # The page has a theme of its own, by light and dark.
    figure.layout.template = None
    return Plot(figure.to_json(validate=False), int(figure.layout.height))


def _rows(figure: go.Figure, rows: int) -> None:
    """Names down the left side, the first on top, each with a tick and none cut."""
    figure.update_yaxes(range=[rows - 0.5, -0.5], automargin=True, type="category", tickmode="linear")


def rates_by_month(table: pl.DataFrame, tolerance: float) -> go.Figure:
    """Reported and actual failure rates by month of commissioning, the actual one with its 95 % interval."""
    figure = blank_figure(420, hovermode="x unified")
    months = table["commissioned_month"].to_list()
    for place, (run, low, high) in enumerate(_known_runs(table)):
        figure.add_scatter(
            x=[*run, *reversed(run)],
            y=[*high, *reversed(low)],
            fill="toself",
            fillcolor=BAND,
            line={"color": BAND, "width": 1},
            hoverinfo="skip",
            name="Actual, 95 % interval",
            legendgroup="interval",
            showlegend=place == 0,
        )
    lines = (("Reported", REPORTED, "solid", "circle"), ("Actual", ACTUAL, "dash", "diamond"))
    for name, colour, dash, symbol in lines:
        figure.add_scatter(
            x=months,
            y=table[f"{name.lower()}_failure_rate"].to_list(),
            name=name,
            mode="lines+markers",
            line={"color": colour, "dash": dash, "width": 2.5},
            marker={"symbol": symbol, "size": 6},
            customdata=table.select("reported_failures", "not_secure", "verified", "due").rows(),
            hovertemplate="%{y:.2%}"
            + (
                " (%{customdata[0]:,} of %{customdata[3]:,} due)"
                if name == "Reported"
                else " (%{customdata[1]:,} found in %{customdata[2]:,} verified)"
            ),
        )
    line = {"color": TOLERANCE, "dash": "dot", "width": 2}
    figure.add_hline(y=tolerance, line=line)
    # Named in the legend, as a label on the line would lie over the data of a small selection.
    named = f"Tolerance (a parameter): {tolerance:.1%}"
    figure.add_scatter(x=[None], y=[None], mode="lines", line=line, name=named, hoverinfo="skip")
    figure.update_yaxes(title="Share of Devices due", tickformat=".1%", rangemode="tozero")
    figure.update_xaxes(title="Month of commissioning", tickformat="%b %Y", type="date")
    return figure


def _known_runs(table: pl.DataFrame) -> Iterator[tuple[list, list, list]]:
    """Months, low and high of each run of months whose interval is known: a band must not reach over a gap."""
    rows = table.select("commissioned_month", "actual_low", "actual_high").rows()
    for known, run in groupby(rows, key=lambda row: row[1] is not None):
        if known:
            months, low, high = zip(*run, strict=True)
            yield list(months), list(low), list(high)


def waterfall(steps: pl.DataFrame) -> go.Figure:
    """From reported failures down to the Devices found not secure, a row a step."""
    figure = blank_figure(90 + 34 * steps.height, showlegend=False)
    names, devices = steps["step"].to_list(), steps["devices"].to_list()
    level, bases = 0, []
    for number, kind in steps.select("devices", "kind").rows():
        bases.append(0 if kind == "total" else level)
        level = number if kind == "total" else level + number
    figure.add_bar(
        y=names,
        x=devices,
        base=bases,
        orientation="h",
        marker={"color": [STEP_COLOURS.get(name, OVER_REPORTED) for name in names]},
        text=[
            f"{number:+,}".replace("-", "\u2212") if kind == "step" else f"{number:,}"
            for number, kind in steps.select("devices", "kind").rows()
        ],
        textposition="none",
        hovertemplate="%{y}: %{text} Devices<extra></extra>",
    )
    for name, number, base, text in zip(names, devices, bases, figure.data[0].text, strict=True):
        figure.add_annotation(x=max(base, base + number), y=name, text=text, showarrow=False, xanchor="left", xshift=4)
    _rows(figure, steps.height)
    figure.update_xaxes(title="Devices", tickformat=",", nticks=5, range=[0, max(devices, default=0) * 1.02 or 1])
    # Room for the number beside the longest bar, however narrow the page.
    figure.update_layout(margin_r=64)
    return figure


def dumbbell(table: pl.DataFrame) -> go.Figure:
    """Each party's reported and actual rate on one line, with the 95 % interval of the actual rate."""
    figure = blank_figure(110 + ROW_HEIGHT * max(table.height, 2))
    names = [f"{name} ({due:,})" for name, due in table.select("name", "due").rows()]
    reported, actual = table["reported_failure_rate"].to_list(), table["actual_failure_rate"].to_list()
    between = [x for low, high in zip(actual, reported, strict=True) for x in (low, high, None)]
    figure.add_scatter(
        x=between,
        y=[y for name in names for y in (name, name, None)],
        mode="lines",
        line={"color": UNVERIFIED, "width": 2},
        hoverinfo="skip",
        showlegend=False,
    )
    figure.add_scatter(
        x=actual,
        y=names,
        name="Actual, with its 95 % interval",
        mode="markers",
        marker={"color": ACTUAL, "symbol": "diamond", "size": 9},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": _apart(table["actual_high"], table["actual_failure_rate"]),
            "arrayminus": _apart(table["actual_failure_rate"], table["actual_low"]),
            "color": ACTUAL,
            "thickness": 1.5,
        },
        customdata=table.select("not_secure", "verified", "name").rows(),
        hovertemplate="%{y}: actual %{x:.2%} (%{customdata[0]:,} found in %{customdata[1]:,} verified)<extra></extra>",
    )
    figure.add_scatter(
        x=reported,
        y=names,
        name="Reported",
        mode="markers",
        marker={"color": REPORTED, "symbol": "circle", "size": 9},
        customdata=table.select("reported_failures", "due", "name").rows(),
        hovertemplate="%{y}: reported %{x:.2%} (%{customdata[0]:,} of %{customdata[1]:,} due)<extra></extra>",
    )
    _rows(figure, table.height)
    figure.update_xaxes(title="Share of Devices due", tickformat=".1%", rangemode="tozero", side="bottom")
    return figure


def _apart(high: pl.Series, low: pl.Series) -> list[float | None]:
    return (high - low).to_list()


def cause_bars(table: pl.DataFrame) -> go.Figure:
    """Reported failures of each cause by what the certificates say."""
    figure = blank_figure(320, barmode="stack")
    parts = (
        ("Over-reported (secure)", "over_reported", OVER_REPORTED, ""),
        ("Confirmed (not secure)", "confirmed_failures", ACTUAL, "/"),
        ("Not verified", "unverified_failures", UNVERIFIED, "."),
    )
    for name, column, colour, pattern in parts:
        figure.add_bar(
            y=table["label"].to_list(),
            x=table[column].to_list(),
            name=name,
            orientation="h",
            marker={"color": colour, "pattern": {"shape": pattern}},
            hovertemplate="%{y}: %{x:,} Devices<extra>" + name + "</extra>",
        )
    figure.update_yaxes(autorange="reversed", automargin=True)
    figure.update_xaxes(title="Devices reported failed", tickformat=",")
    return figure


def cause_trend(table: pl.DataFrame) -> go.Figure:
    """Reported failures by cause as a share of the Devices due, by month of commissioning."""
    figure = blank_figure(420, hovermode="x unified")
    for cause in cause_names():
        of_cause = table.filter(pl.col("cause") == cause)
        figure.add_scatter(
            x=of_cause["commissioned_month"].to_list(),
            y=of_cause["share_of_due"].to_list(),
            name=label_of(cause),
            # Dashes tell them apart; a marker each month would be some 200 more marks to draw at every filter.
            mode="lines",
            line={"color": CAUSE_COLOURS[cause], "dash": CAUSE_DASHES[cause], "width": 2},
            customdata=of_cause.select("reported_failures", "due").rows(),
            hovertemplate="%{y:.2%} (%{customdata[0]:,} of %{customdata[1]:,} due)",
        )
    figure.update_yaxes(title="Share of Devices due", tickformat=".1%", rangemode="tozero")
    figure.update_xaxes(title="Month of commissioning", tickformat="%b %Y", type="date")
    return figure


def overlaps(table: pl.DataFrame) -> go.Figure:
    """Which causes come together: a column a combination, its Devices above, its causes as dots below; the most
    frequent only."""
    names = list(cause_names())
    table = table.head(MOST_COMBINATIONS)
    places = list(range(table.height))
    figure = blank_figure(220 + ROW_HEIGHT * len(names), showlegend=False)
    figure.update_layout(yaxis={"domain": [0.45, 1]}, yaxis2={"domain": [0, 0.4]}, xaxis={"anchor": "y2"})
    figure.add_bar(
        x=places,
        y=table["reported_failures"].to_list(),
        marker={"color": OVER_REPORTED},
        text=[f"{number:,}" for number in table["reported_failures"]],
        textposition="outside",
        cliponaxis=False,
        customdata=[[text.replace("; ", " + ").replace("_", " ")] for text in table["together"]],
        hovertemplate="%{customdata[0]}: %{y:,} Devices<extra></extra>",
    )
    for row, cause in enumerate(names):
        held = [place for place, holds in zip(places, table[cause], strict=True) if holds]
        figure.add_scatter(
            x=held,
            y=[row] * len(held),
            yaxis="y2",
            mode="markers",
            hoverinfo="skip",
            marker={"size": 12, "color": CAUSE_COLOURS[cause]},
        )
    figure.update_xaxes(visible=False)
    figure.update_layout(
        yaxis={"title": "Devices", "tickformat": ",", "rangemode": "tozero"},
        yaxis2={
            "tickvals": list(range(len(names))),
            "ticktext": [label_of(name) for name in names],
            "automargin": True,
            "range": [len(names) - 0.5, -0.5],
        },
    )
    return figure


def coverage(table: pl.DataFrame) -> go.Figure:
    """Share of each party's Devices due whose certificates, and whose own keys, were read."""
    figure = blank_figure(110 + ROW_HEIGHT * max(table.height, 2))
    names = [f"{name} ({due:,})" for name, due in table.select("name", "due").rows()]
    series = (
        ("Judged by certificates (verified)", "verified_share", "verified", ACTUAL, "diamond"),
        ("Device's own keys read", "device_keys_read_share", "device_keys_read", MISSED, "square"),
    )
    for name, share, number, colour, symbol in series:
        figure.add_scatter(
            x=table[share].to_list(),
            y=names,
            name=name,
            mode="markers",
            marker={"color": colour, "symbol": symbol, "size": 9},
            customdata=table.select(number, "due").rows(),
            hovertemplate="%{y}: %{x:.1%} (%{customdata[0]:,} of %{customdata[1]:,} due)<extra>" + name + "</extra>",
        )
    _rows(figure, table.height)
    figure.update_xaxes(title="Share of Devices due", tickformat=".0%", range=[0, 1.02])
    return figure
