"""The figure of what was read of whom, by month."""

import plotly.graph_objects as go
import polars as pl

from dashboard.charts import REPORTED, ROW_HEIGHT, blank_figure

# Pale where few could be judged, full where all: of the colour that the certificates have on every page.
SCALE = [[0, "rgba(0, 114, 178, 0.12)"], [1, "rgba(0, 114, 178, 1)"]]
MOST_PARTIES = 40


def shown_parties(table: pl.DataFrame, silences: pl.DataFrame) -> list[str]:
    """The names that have a row: those that fell silent first, then the largest."""
    by_size = (
        table.group_by("name").agg(pl.col("commissioned").sum()).sort("commissioned", "name", descending=[True, False])
    )
    return list(dict.fromkeys([*silences["name"], *by_size["name"]]))[: max(MOST_PARTIES, silences["name"].n_unique())]


def by_party_and_month(table: pl.DataFrame, silences: pl.DataFrame, silent: list[tuple[str, str]]) -> go.Figure:
    """Share verified of each party's Devices due by month of commissioning; a cross where a party fell silent.

    silent: name and month of each cross.
    """
    names = shown_parties(table, silences)
    months = sorted({*table["commissioned_month"], *(month for _, month in silent)})
    of_cell = {(row["name"], row["commissioned_month"]): row for row in table.to_dicts()}
    cells = [[of_cell.get((name, month)) for month in months] for name in names]
    figure = blank_figure(150 + ROW_HEIGHT * max(len(names), 2))
    figure.add_heatmap(
        x=months,
        y=names,
        z=[[cell and cell["verified_share"] for cell in row] for row in cells],
        customdata=[[(cell["verified"], cell["due"]) if cell else (0, 0) for cell in row] for row in cells],
        zmin=0,
        zmax=1,
        colorscale=SCALE,
        ygap=1,
        hoverongaps=False,
        colorbar={"orientation": "h", "y": 0, "yanchor": "top", "ypad": 60, "thickness": 10, "tickformat": ".0%"},
        hovertemplate="%{y}, %{x|%b %Y}: %{z:.1%} verified "
        "(%{customdata[0]:,} of %{customdata[1]:,} due)<extra></extra>",
    )
    figure.add_scatter(
        x=[month for _, month in silent],
        y=[name for name, _ in silent],
        name="No Device, where many were usual",
        mode="markers",
        marker={"symbol": "x", "size": 9, "color": REPORTED},
        hovertemplate="%{y}, %{x|%b %Y}: no Device commissioned<extra></extra>",
        showlegend=bool(silent),
    )
    figure.update_yaxes(type="category", tickmode="linear", range=[len(names) - 0.5, -0.5], automargin=True)
    figure.update_xaxes(title="Month of commissioning", type="date", tickformat="%b %Y", tickangle=0, nticks=5)
    return figure
