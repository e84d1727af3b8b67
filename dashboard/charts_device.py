"""The timeline of one Device: a lane for each check, cell and key, all on one axis of time."""

from datetime import datetime, timedelta
from typing import NamedTuple

import plotly.graph_objects as go
import polars as pl

from dashboard.charts import CAUSE_COLOURS, MISSED, ROW_HEIGHT, UNVERIFIED, blank_figure


class Kind(NamedTuple):
    """How a kind of thing is drawn and named; colours have 3:1 contrast on the light and the dark page."""

    name: str
    colour: str
    symbol: str
    size: int = 10


GOOD, BAD = "#5F7A8C", "#D6336C"
KINDS = {
    "success": Kind("Response: success", GOOD, "circle"),
    "empty": Kind("Response: empty status", CAUSE_COLOURS["empty_status"], "circle-open"),
    "partial": Kind("Response: partial", MISSED, "diamond"),
    "no_response": Kind("No Response", CAUSE_COLOURS["timeout"], "x"),
    "other": Kind("Response: rejected or failed", BAD, "triangle-up", 11),
    "passed": Kind("DSP check passed", GOOD, "hexagon", 11),
    "not_passed": Kind("DSP check not passed", BAD, "hexagon-open", 11),
    "change": Kind("Change of Supplier", CAUSE_COLOURS["change_of_supplier"], "diamond-tall", 14),
    "right": Kind("Read: right", GOOD, "square"),
    "fault": Kind("Read: not right", BAD, "star-square", 13),
    "unjudged": Kind("Read: party not known", MISSED, "diamond-wide-open", 12),
    "aside": Kind("Read: does not count", UNVERIFIED, "square-open-dot"),
    "incident": Kind("Incident", MISSED, "star-triangle-up", 13),
}
REQUEST = Kind("Request sent", UNVERIFIED, "line-ns-open")
SPELL = Kind("Spell with a Supplier", GOOD, "line-ns-open")
LEGEND_ROW, LINE = 21, 18
# The least share of the axis that a spell must take to be named on it; the others are named when pointed at.
ROOM_FOR_A_NAME = 0.3


def timeline(events: pl.DataFrame, lanes: list[str], marks: dict[str, datetime], until: datetime | None) -> go.Figure:
    """The events in their lanes; marks: name -> instant of each vertical line, in order; until: where the axis ends.

    Without `until` the axis goes to the last mark.
    """
    kinds = [kind for kind in KINDS if kind in set(events["kind"])]
    height = 130 + ROW_HEIGHT * len(lanes) + LEGEND_ROW * (len(kinds) + 2)
    figure = blank_figure(height, showlegend=True)
    first, last = _ends(events, marks, until)
    _attempts(figure, events)
    _spans(figure, events, first, last)
    for kind in kinds:
        _points(figure, events.filter(pl.col("kind") == kind), KINDS[kind])
    for place, (name, at) in enumerate(marks.items()):
        _mark(figure, name, at, place, is_left=at > first + (last - first) / 2)
    figure.update_yaxes(range=[len(lanes) - 0.5, -0.5], categoryarray=lanes, tickvals=lanes, type="category")
    figure.update_yaxes(automargin=True, showgrid=True)
    figure.update_xaxes(
        type="date", range=[first.isoformat(), last.isoformat()], title="Time (UTC)", nticks=5, tickangle=0
    )
    # Below the axis, as the names of the lines stand above it; on a narrow page it has one column.
    figure.update_layout(
        margin_t=24 + LINE * len(marks),
        legend={"x": 0, "xref": "container", "y": 0, "yref": "container", "yanchor": "bottom", "entrywidth": 230},
    )
    return figure


def _ends(events: pl.DataFrame, marks: dict[str, datetime], until: datetime | None) -> tuple[datetime, datetime]:
    """Of the axis: spells began long before anything that matters, so they do not widen it."""
    told = events.filter(pl.col("kind") != "spell").select(pl.min_horizontal("began_at", "at")).to_series()
    first = min([*told.drop_nulls(), *marks.values()])
    last = until or max([*events["at"].drop_nulls(), *marks.values()])
    room = max((last - first) * 0.04, timedelta(hours=1))
    return first - room, last + room


def _attempts(figure: go.Figure, events: pl.DataFrame) -> None:
    """From each Request a line to its Response."""
    attempts = events.filter(pl.col("kind").is_in(["success", "empty", "partial", "no_response", "other"]))
    rows = attempts.select("lane", "began_at", "at").rows()
    if not rows:
        return
    figure.add_scatter(
        x=[x for _, began_at, at in rows for x in (began_at, at, None)],
        y=[y for lane, _, _ in rows for y in (lane, lane, None)],
        mode="lines",
        line={"color": UNVERIFIED, "width": 2},
        hoverinfo="skip",
        showlegend=False,
    )
    figure.add_scatter(
        x=attempts["began_at"].to_list(),
        y=attempts["lane"].to_list(),
        name=REQUEST.name,
        mode="markers",
        marker={"symbol": REQUEST.symbol, "color": REQUEST.colour, "size": 12, "line": {"width": 2}},
        hovertemplate="%{y}: sent %{x|%-d %b %Y %H:%M:%S}<extra></extra>",
    )


def _spans(figure: go.Figure, events: pl.DataFrame, first: datetime, last: datetime) -> None:
    """Spells with a Supplier, each named where it has room."""
    spells = events.filter(pl.col("kind") == "spell")
    for place, (lane, began_at, ends_at, what) in enumerate(spells.select("lane", "began_at", "at", "what").rows()):
        seen_from, seen_to = max(began_at, first), min(ends_at or last, last)
        figure.add_scatter(
            x=[began_at, ends_at or last],
            y=[lane, lane],
            name=SPELL.name,
            showlegend=place == 0,
            mode="lines+markers",
            line={"color": SPELL.colour, "width": 5, "dash": "solid" if place % 2 == 0 else "dot"},
            marker={"symbol": SPELL.symbol, "size": 14, "line": {"width": 2}},
            text=[what, what],
            hovertemplate="%{text}: %{x|%-d %b %Y}<extra></extra>",
        )
        if seen_to - seen_from > (last - first) * ROOM_FOR_A_NAME:
            figure.add_annotation(x=seen_from, y=lane, text=what, showarrow=False, xanchor="left", yshift=11)


def _points(figure: go.Figure, events: pl.DataFrame, kind: Kind) -> None:
    figure.add_scatter(
        x=events["at"].to_list(),
        y=events["lane"].to_list(),
        name=kind.name,
        mode="markers",
        marker={
            "symbol": kind.symbol,
            "color": kind.colour,
            "size": kind.size,
            "line": {"width": 2, "color": kind.colour},
        },
        text=events["what"].to_list(),
        hovertemplate="%{y}: %{text}<br>%{x|%-d %b %Y %H:%M:%S}<extra></extra>",
    )


def _mark(figure: go.Figure, name: str, at: datetime, place: int, is_left: bool) -> None:
    """A vertical line with its name above the lanes, each name on a line of its own."""
    dash = ("solid", "dash", "dot")[place % 3]
    figure.add_vline(x=at.isoformat(), line={"color": UNVERIFIED, "width": 1.5, "dash": dash})
    figure.add_annotation(
        x=at.isoformat(),
        y=1,
        yref="paper",
        yanchor="bottom",
        yshift=4 + LINE * place,
        xanchor="right" if is_left else "left",
        text=f"{name} {at:%-d %b %Y}",
        showarrow=False,
    )
