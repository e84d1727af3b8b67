"""The figures of what changed between reports: one point a report, and findings before and now."""

import plotly.graph_objects as go
import polars as pl

from analysis.changes import ABSENT, FINDINGS, MENDED, NEWLY_MISSED, NEWLY_NOT_SECURE, OTHER, OUT_OF_SIGHT, UNCHANGED
from dashboard.charts import ACTUAL, MISSED, REPORTED, TOLERANCE, UNVERIFIED, blank_figure

MENDED_COLOUR = "#00875F"
# Kind of change -> its name, and the colour and opacity of its cells.
KINDS = {
    NEWLY_MISSED: ("Newly missed: not secure, reported passed", MISSED, 1),
    NEWLY_NOT_SECURE: ("Newly found not secure, reported failed", ACTUAL, 1),
    OUT_OF_SIGHT: ("Not secure before, no longer judged or gone", UNVERIFIED, 1),
    MENDED: ("Put right, or reported now", MENDED_COLOUR, 1),
    OTHER: ("Other changes", UNVERIFIED, 0.12),
    UNCHANGED: ("Unchanged", UNVERIFIED, 0),
}
NAMES = {finding: finding.replace("_", " ").capitalize() for finding in FINDINGS}
THOUSAND, MILLION = 1_000, 1_000_000


def compact(number: int) -> str:
    """At most four characters, for a cell of a narrow page: 1.2k, 35k, 2.1m."""
    if number < THOUSAND:
        return str(number)
    unit, letter = (THOUSAND, "k") if number < MILLION * 0.9995 else (MILLION, "m")
    told = number / unit
    return f"{told:.1f}{letter}" if told < 9.95 else f"{told:.0f}{letter}"


def ink(colour: str) -> str:
    """Black or white, whichever is read better on `#RRGGBB`: by WCAG's contrast it is never less than 4.5:1."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "black" if (luminance + 0.05) ** 2 > 0.05 * 1.05 else "white"


def matrix(table: pl.DataFrame) -> go.Figure:
    """Finding before (rows) and now (columns) of `changes.matrix`: each cell's Devices, tinted by what it means."""
    columns = [*NAMES.values(), "Left"]
    rows = [*NAMES.values(), "New"]
    figure = blank_figure(560, hovermode="closest")
    shown = [row for row in table.to_dicts() if row["devices"]]
    place = dict(zip((*FINDINGS, ABSENT), range(len(columns)), strict=True))
    for kind, (name, colour, opacity) in KINDS.items():
        of_kind = [row for row in shown if row["kind"] == kind]
        cells = {(row["before"], row["now"]) for row in of_kind}
        figure.add_heatmap(
            x=columns,
            y=rows,
            z=[[1 if (before, now) in cells else None for now in place] for before in place],
            colorscale=[[0, colour], [1, colour]],
            opacity=opacity,
            showscale=False,
            hoverinfo="skip",
            xgap=2,
            ygap=2,
        )
        marker = {"symbol": "square", "size": 12, "color": colour, "opacity": opacity}
        if kind != UNCHANGED:
            figure.add_scatter(x=[None], y=[None], mode="markers", marker=marker, name=name, hoverinfo="skip")
        figure.add_scatter(
            x=[columns[place[row["now"]]] for row in of_kind],
            y=[rows[place[row["before"]]] for row in of_kind],
            mode="text",
            text=[compact(row["devices"]) for row in of_kind],
            textfont={"size": 11} | ({"color": ink(colour), "weight": "bold"} if opacity == 1 else {}),
            customdata=[[row["devices"]] for row in of_kind],
            hovertemplate="%{y}, then %{x}: %{customdata[0]:,} Devices<extra></extra>",
            showlegend=False,
        )
    figure.update_xaxes(
        title={"text": "Finding now", "standoff": 4},
        side="top",
        type="category",
        tickangle=-90,
        tickmode="linear",
        showgrid=False,
        range=[-0.5, len(columns) - 0.5],
        automargin=True,
    )
    figure.update_yaxes(
        title="Finding before",
        type="category",
        tickmode="linear",
        showgrid=False,
        range=[len(rows) - 0.5, -0.5],
        automargin=True,
    )
    figure.update_layout(legend={"y": -0.04, "yanchor": "top"}, margin={"t": 8})
    return figure


def by_report(table: pl.DataFrame, tolerance: float) -> go.Figure:
    """Reported and actual rate of each report by the instant it speaks of, the actual one with its 95 % interval."""
    figure = blank_figure(400, hovermode="closest")
    series = (
        ("Reported", REPORTED, "solid", "circle", "reported_failure_rate"),
        ("Actual, with its 95 % interval", ACTUAL, "dash", "diamond", "actual_failure_rate"),
    )
    for name, colour, dash, symbol, rate in series:
        for superseded in (False, True):
            part = table.filter(pl.col("superseded") == superseded)
            if part.is_empty():
                continue
            figure.add_scatter(
                x=[moment.isoformat() for moment in part["as_at"]],
                y=part[rate].to_list(),
                name=f"{name.split(',')[0]}, built again since" if superseded else name,
                mode="markers" if superseded else "lines+markers",
                line={"color": colour, "dash": dash, "width": 2.5},
                marker={"symbol": f"{symbol}-open" if superseded else symbol, "size": 14 if superseded else 9},
                error_y=_interval(part) if rate == "actual_failure_rate" else None,
                customdata=part.select("snapshot", "reported_failures", "due", "not_secure", "verified").rows(),
                hovertemplate="Snapshot %{customdata[0]}, as at %{x|%-d %b %Y, %H:%M}: %{y:.2%} "
                + (
                    "(%{customdata[1]:,} of %{customdata[2]:,} due)"
                    if rate == "reported_failure_rate"
                    else "(%{customdata[3]:,} found in %{customdata[4]:,} verified)"
                )
                + "<extra></extra>",
            )
    line = {"color": TOLERANCE, "dash": "dot", "width": 2}
    figure.add_hline(y=tolerance, line=line)
    named = f"Tolerance (a parameter): {tolerance:.1%}"
    figure.add_scatter(x=[None], y=[None], mode="lines", line=line, name=named, hoverinfo="skip")
    figure.update_yaxes(title="Share of Devices due", tickformat=".1%", rangemode="tozero")
    figure.update_xaxes(title="Instant that the report speaks of", type="date", tickformat="%-d %b %Y", nticks=6)
    return figure


def _interval(part: pl.DataFrame) -> dict:
    rate = part["actual_failure_rate"]
    return {
        "type": "data",
        "symmetric": False,
        "array": (part["actual_high"] - rate).to_list(),
        "arrayminus": (rate - part["actual_low"]).to_list(),
        "color": ACTUAL,
        "thickness": 1.5,
    }
