"""The figures that only reports have."""

import plotly.graph_objects as go
import polars as pl

from dashboard.charts import REPORTED, blank_figure


def reported_by_cause(table: pl.DataFrame) -> go.Figure:
    """Reported failures of each cause whose number is shown; what the certificates say of them is not."""
    figure = blank_figure(320)
    figure.add_bar(
        y=table["label"].to_list(),
        x=table["reported_failures"].to_list(),
        text=table["reported_failures"].to_list(),
        texttemplate="%{x:,}",
        textposition="outside",
        cliponaxis=False,
        orientation="h",
        marker={"color": REPORTED},
        hovertemplate="%{y}: %{x:,} Devices<extra></extra>",
    )
    figure.update_yaxes(autorange="reversed", automargin=True)
    figure.update_xaxes(title="Devices reported failed, rounded", tickformat=",", rangemode="tozero")
    return figure
