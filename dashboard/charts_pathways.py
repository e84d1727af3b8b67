"""The figures of the Pathways page: roads as rows of squares, their flow, and the checks that are defined."""

import plotly.graph_objects as go
import polars as pl

from analysis.pathways import (
    ALL_MET,
    CHANGE_OF_SUPPLIER,
    HANDOVER,
    NOT_DUE,
    OTHER,
    OTHER_ROADS,
    REPORTED_FAILED,
    START,
    in_vain,
    retried,
    steps_of,
)
from dashboard.charts import REPORTED, UNVERIFIED, blank_figure
from dashboard.words_pathways import NAMES, ON_SQUARE

# White text has 4.5:1 on each step's colour, and each has 3:1 on the light and the dark page.
COLOURS = {
    "issue_digital_signature": "#3A6FB0",
    "issue_key_agreement": "#5B62C4",
    "update_digital_signature": "#1F7A7A",
    "update_key_agreement": "#3B7D3B",
    "update_network_operator": "#8A5FB5",
    "communicating": "#7A6A5A",
    "recovery_cell": "#8A6A2A",
    HANDOVER: "#A8487F",
    "supplier_update": "#647A1E",
    CHANGE_OF_SUPPLIER: "#B5482A",
    START: UNVERIFIED,
    OTHER_ROADS: "#5F6B7A",
    ALL_MET: "#4F81A8",
    REPORTED_FAILED: REPORTED,
    NOT_DUE: UNVERIFIED,
}
LINK = "rgba(125, 125, 125, 0.30)"
FAILING = "rgba(213, 94, 0, 0.40)"
ROW = 36
# Room for the third line of a step that was tried again.
AGAIN = 8
PLACE = 84
# A node is labelled where it holds this share of all Devices for each letter: wide enough on a narrow page.
A_LETTER = 0.026


def roads(table: pl.DataFrame) -> go.Figure:
    """A row a road, the most frequent on top: its steps as squares from left to right, its Devices at the end.

    A step that was tried in vain is a hollow square after them.
    """
    rows = table.select("variant", "roads", "devices").rows()
    squares = [
        (place, row, step, place >= len(steps_of(variant)), step in retried(variant))
        for row, (variant, *_) in enumerate(rows)
        if variant != OTHER
        for place, step in enumerate((*steps_of(variant), *in_vain(variant)))
    ]
    height = ROW + AGAIN * any(is_again for *_, is_again in squares)
    figure = blank_figure(24 + height * table.height, showlegend=False)
    # All at once: to add a shape or a note costs as much as all that are there already.
    shapes = [_square(place, row, step, is_hollow) for place, row, step, is_hollow, _ in squares]
    for hollow, font in ((False, {"color": "white", "size": 9}), (True, {"size": 9})):
        own = [square for square in squares if square[3] == hollow]
        figure.add_scatter(
            x=[place for place, *_ in own],
            y=[row for _, row, *_ in own],
            mode="text",
            text=[ON_SQUARE[step].replace(" ", "<br>", 1) + "<br>again" * is_again for _, _, step, _, is_again in own],
            textfont=font,
            customdata=[f"{NAMES[s]}<br>Road {row + 1}: {rows[row][2]:,} Devices" for _, row, s, *_ in own],
            hovertemplate="%{customdata}<extra>" + "Tried in vain" * hollow + "</extra>",
        )
    longest = max((place + 1 for place, *_ in squares), default=1)
    notes = []
    for row, (variant, number_of_roads, devices) in enumerate(rows):
        text = f"All {number_of_roads:,} other roads"
        if variant != OTHER:
            text = "" if steps_of(variant) or in_vain(variant) else "No step succeeded"
        left = {"x": -0.47, "y": row, "showarrow": False, "xanchor": "left"}
        notes += [left | {"text": text}, left | {"x": 1, "xref": "paper", "text": f"{devices:,}"}]
    figure.update_xaxes(visible=False, range=[-0.5, longest - 0.5])
    figure.update_yaxes(
        range=[len(rows) - 0.5, -0.5],
        tickvals=list(range(len(rows))),
        ticktext=[str(row + 1) if variant != OTHER else "" for row, (variant, *_) in enumerate(rows)],
        showgrid=False,
        zeroline=False,
        automargin=True,
    )
    figure.update_layout(margin={"t": 8, "r": 68}, shapes=shapes, annotations=notes)
    return figure


def _square(place: int, row: int, step: str, is_hollow: bool) -> dict:
    return {
        "type": "rect",
        "fillcolor": "rgba(0, 0, 0, 0)" if is_hollow else COLOURS[step],
        "line": {"width": 2 * is_hollow, "color": COLOURS[step]},
        "layer": "below",
        **{"x0": place - 0.47, "x1": place + 0.47, "y0": row - 0.43, "y1": row + 0.43},
    }


def flow(links: pl.DataFrame) -> go.Figure:
    """The links of `pathways.links` as a Sankey from top to bottom, as a narrow page has no room for it sideways."""
    ends = [[(row[0], row[1]), (row[2], row[3])] for row in links.iter_rows()]
    total = links.filter(pl.col("from_step") == START)["devices"].sum()
    into = {(0, START): total}
    for (_, target), devices in zip(ends, links["devices"], strict=True):
        into[target] = into.get(target, 0) + devices
    present = {step for _, step in into} - {START}
    steps = [step for step in COLOURS if step in present]
    figure = _sankey(
        into,
        [NAMES[step] if number >= A_LETTER * len(NAMES[step]) * total else "" for (_, step), number in into.items()],
        [(*pair, devices) for pair, devices in zip(ends, links["devices"], strict=True)],
        height=PLACE * (2 + links["to_place"].max()) + 24 * (1 + len(steps) // 3),
        orientation="v",
    )
    figure.update_traces(textfont={"color": "white", "shadow": "none"})
    # The names of narrow nodes: a Sankey has no legend of its own.
    for step in steps:
        marker = {"color": COLOURS[step], "symbol": "square", "size": 10}
        figure.add_scatter(x=[None], y=[None], mode="markers", marker=marker, name=NAMES[step], hoverinfo="skip")
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return figure


def defined(table: pl.DataFrame) -> go.Figure:
    """Each Device type's checks side by side, as no order of them is known; the width is Devices that need one."""
    rows = table.select("device_type", "check", "devices").rows()
    links = [((0, kind), (1, check), devices) for kind, check, devices in rows]
    by_check = table.group_by("check", maintain_order=True).agg(pl.col("devices").sum()).rows()
    links += [((1, check), (2, ALL_MET), devices) for check, devices in by_check]
    nodes = dict.fromkeys(node for *pair, _ in links for node in pair)
    labels = [NAMES.get(step, step) if place < 2 else "" for place, step in nodes]
    figure = _sankey(nodes, labels, links, height=480, orientation="h")
    for x, anchor, text in ((0, "left", "Device type"), (0.5, "center", "Check"), (1, "right", NAMES[ALL_MET])):
        over = {"x": x, "xanchor": anchor, "xref": "paper", "y": 1, "yanchor": "bottom", "yref": "paper"}
        figure.add_annotation(text=text, showarrow=False, **over)
    figure.update_traces(textfont={"shadow": "none"})
    figure.update_layout(showlegend=False)
    return figure


def _sankey(nodes, labels: list[str], links: list[tuple], height: int, orientation: str) -> go.Figure:
    """nodes: (place, step) each. links: from node, to node, Devices."""
    figure = blank_figure(height)
    order = {node: number for number, node in enumerate(nodes)}
    figure.add_sankey(
        orientation=orientation,
        arrangement="fixed",
        node={
            "label": labels,
            "color": [COLOURS.get(step, UNVERIFIED) for _, step in nodes],
            "customdata": [NAMES.get(step, step) for _, step in nodes],
            "hovertemplate": "%{customdata}: %{value:,} Devices<extra></extra>",
            "align": "left",
            "pad": 12,
            "thickness": 18,
            "line": {"width": 0},
        },
        link={
            "source": [order[source] for source, _, _ in links],
            "target": [order[target] for _, target, _ in links],
            "value": [devices for *_, devices in links],
            "color": [FAILING if target[1] == REPORTED_FAILED else LINK for _, target, _ in links],
            "hovertemplate": "%{source.customdata} to %{target.customdata}: %{value:,} Devices<extra></extra>",
        },
    )
    return figure
