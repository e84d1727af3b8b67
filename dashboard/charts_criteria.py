"""The figures of the Criteria page: what a set of amendments gains above, what it costs below, equally large."""

import plotly.graph_objects as go
import polars as pl

from dashboard.charts import ACTUAL, MISSED, OVER_REPORTED, UNVERIFIED, blank_figure

# Column of `steps`, sign of its change, the colour that the verdict has on every page.
PANELS = (
    ("over_reported", "over_reported_removed", -1, OVER_REPORTED, "Over-reported failures left"),
    ("missed_failures", "missed_created", 1, MISSED, "Missed failures"),
)
MEASURES = (
    ("over_reported_removed", OVER_REPORTED, "Over-reported removed"),
    ("missed_created", MISSED, "Missed failures created"),
)
# A ring, a bar and a diamond: all three are seen when they fall together.
WAYS = (
    ("alone", "Alone", {"symbol": "circle-open", "size": 17, "line": {"width": 2.5}}),
    ("in_order", "In the chosen order", {"symbol": "line-ns-open", "size": 20, "line": {"width": 3}}),
    ("shapley", "Shapley share", {"symbol": "diamond", "size": 9}),
)
ROW = 34
# Room for the ticks and the title of an axis between the panels.
GAP = 104
# The least that an axis spans: ticks stay whole Devices.
FEWEST = 4


def _two_panels(rows: int, top: int) -> go.Figure:
    """Two panels of `rows` rows each, one above the other, as a narrow page has no room side by side."""
    height = top + 2 * (ROW * rows + GAP)
    figure = blank_figure(height, barmode="overlay")
    gap = GAP / (height - top)
    figure.update_layout(
        margin={"t": top, "r": 64},
        yaxis={"domain": [0.5 + gap / 2, 1]},
        yaxis2={"domain": [0, 0.5 - gap / 2], "anchor": "x2"},
        xaxis={"anchor": "y"},
        xaxis2={"anchor": "y2"},
    )
    figure.update_yaxes(range=[rows - 0.5, -0.5], automargin=True, type="category", tickmode="linear")
    figure.update_xaxes(tickformat=",", nticks=5, automargin=True)
    return figure


def _axes(panel: int) -> dict:
    return {"xaxis": "x2", "yaxis": "y2"} if panel else {"xaxis": "x", "yaxis": "y"}


def steps(table: pl.DataFrame) -> go.Figure:
    """From the criteria in force to the set, a row an amendment: over-reported above, missed failures below."""
    names = [*table["step"], "With the whole set"]
    figure = _two_panels(len(names), top=16)
    figure.update_layout(showlegend=False)
    for panel, (level, change, sign, colour, title) in enumerate(PANELS):
        reached, changes = table[level].to_list(), [sign * number for number in table[change]][1:]
        lengths = [reached[0], *changes, reached[-1]]
        bases = [0, *reached[:-1], 0]
        texts = [f"{reached[0]:,}", *map(_signed, changes), f"{reached[-1]:,}"]
        figure.add_bar(
            y=names,
            x=lengths,
            base=bases,
            orientation="h",
            marker={"color": colour, "pattern": {"shape": ["", *["/"] * len(changes), ""]}},
            text=texts,
            textposition="none",
            hovertemplate="%{y}: %{text} Devices<extra>" + title + "</extra>",
            **_axes(panel),
        )
        for name, length, base, text in zip(names, lengths, bases, texts, strict=True):
            figure.add_annotation(
                x=max(base, base + length),
                y=name,
                text=text,
                xref=_axes(panel)["xaxis"],
                yref=_axes(panel)["yaxis"],
                showarrow=False,
                xanchor="left",
                xshift=4,
            )
        axis = {"title": f"{title}, Devices", "range": [0, max(*reached, FEWEST) * 1.02]}
        figure.update_layout({"xaxis2" if panel else "xaxis": axis})
    return figure


def _signed(number: int) -> str:
    return f"{number:+,}".replace("-", "\u2212") if number else "0"


def contributions(table: pl.DataFrame) -> go.Figure:
    """What each amendment brings alone, in the chosen order, and its Shapley share, in Devices."""
    figure = _two_panels(table.height // 2, top=70)
    figure.update_layout(margin_r=24, legend_itemsizing="constant")
    for column, name, marker in WAYS:
        # The panels differ in colour: the legend shows the shape only.
        if table[column].count():
            grey = marker | {"color": UNVERIFIED, "line": marker.get("line", {}) | {"color": UNVERIFIED}}
            figure.add_scatter(x=[None], y=[None], mode="markers", name=name, marker=grey)
    for panel, (measure, colour, title) in enumerate(MEASURES):
        of_measure = table.filter(pl.col("measure") == measure)
        names = [name if on else f"{name} (off)" for name, on in of_measure.select("amendment", "in_set").rows()]
        for column, name, marker in WAYS:
            figure.add_scatter(
                x=of_measure[column].to_list(),
                y=names,
                mode="markers",
                name=name,
                showlegend=False,
                cliponaxis=False,
                marker=marker | {"color": colour, "line": marker.get("line", {}) | {"color": colour}},
                hovertemplate="%{y}: %{x:,.1f} Devices<extra>" + name + "</extra>",
                **_axes(panel),
            )
        most = max(of_measure.select(pl.max_horizontal("alone", "in_order", "shapley").max()).item() or 0, FEWEST)
        # In two lines, as the names leave a narrow page little room.
        axis = {"title": f"{title},<br>Devices", "range": [-0.03 * most, 1.06 * most]}
        figure.update_layout({"xaxis2" if panel else "xaxis": axis})
    return figure


def frontier(table: pl.DataFrame, chosen: dict) -> go.Figure:
    """Each set as a point: over-reported failures removed against missed failures created, the chosen one ringed.

    `letters` names a set in the picture, `set` in the words of the hover.
    """
    figure = blank_figure(460)
    figure.update_layout(margin={"t": 80})
    best = table.filter(~pl.col("evidence") & pl.col("on_frontier")).sort("over_reported_removed", "missed_created")
    figure.add_scatter(
        x=best["over_reported_removed"].to_list(),
        y=best["missed_created"].to_list(),
        mode="lines",
        line={"color": MISSED, "dash": "dot", "width": 2},
        name="Frontier without evidence",
        hoverinfo="skip",
    )
    for evidence, name, colour, symbol in (
        (False, "Without evidence", MISSED, "circle"),
        (True, "With evidence", ACTUAL, "diamond"),
    ):
        points = _labelled(table.filter(pl.col("evidence") == evidence))
        figure.add_scatter(
            x=points["over_reported_removed"].to_list(),
            y=points["missed_created"].to_list(),
            mode="markers+text",
            name=name,
            marker={"color": colour, "symbol": symbol, "size": 9},
            text=points["label"].to_list(),
            textposition=points["label_place"].to_list(),
            cliponaxis=False,
            customdata=points.select("set", "reported_failures", "unverified_passed").rows(),
            hovertemplate="%{customdata[0]}<br>%{x:,} over-reported removed, %{y:,} missed failures created<br>"
            "%{customdata[1]:,} still reported failed, %{customdata[2]:,} pass unverified<extra>" + name + "</extra>",
        )
    figure.add_scatter(
        x=[chosen["over_reported_removed"]],
        y=[chosen["missed_created"]],
        mode="markers",
        name="The set chosen above",
        marker={"color": UNVERIFIED, "symbol": "circle-open", "size": 20, "line": {"width": 3}},
        cliponaxis=False,
        hoverinfo="skip",
    )
    most_removed, most_created = (max(table[c].max() or 0, FEWEST) for c in ("over_reported_removed", "missed_created"))
    figure.update_xaxes(
        title="Over-reported failures removed, Devices", tickformat=",", nticks=6, range=_around(most_removed)
    )
    figure.update_yaxes(title="Missed failures created, Devices", tickformat=",", nticks=6, range=_around(most_created))
    return figure


def _labelled(points: pl.DataFrame) -> pl.DataFrame:
    """Letters for the points of the frontier, the smallest set of those that share a point.

    From the right they stand above and below by turns, as neighbours would write over each other.
    """
    measures = [measure for measure, *_ in MEASURES]
    is_named = pl.col("on_frontier") & (pl.col("letters") != "") & pl.struct(measures).is_first_distinct()
    place = pl.when(is_named.cum_sum(reverse=True) % 2 == 1).then(pl.lit("top left"))
    return points.sort(*measures, pl.col("letters").str.len_chars()).with_columns(
        label=pl.when(is_named).then("letters").otherwise(pl.lit("")),
        label_place=place.otherwise(pl.lit("bottom right")),
    )


def _around(most: int) -> list[float]:
    return [-0.05 * most, 1.1 * most]
