"""The small chart beside each cause."""

import plotly.graph_objects as go
import polars as pl

from dashboard.charts import CAUSE_COLOURS, blank_figure


def sparkline(trend: pl.DataFrame, cause: str) -> go.Figure:
    """One cause's share of the Devices due by month of commissioning; `trend` holds all causes, which share an axis.

    A month with less than a tenth of the usual number due does not stretch the axis, and may leave it.
    """
    of_cause = trend.filter(pl.col("cause") == cause)
    figure = blank_figure(120, hovermode="x")
    figure.update_layout(margin={"l": 4, "r": 4, "t": 8, "b": 4}, showlegend=False)
    figure.add_scatter(
        x=of_cause["commissioned_month"].to_list(),
        y=of_cause["share_of_due"].to_list(),
        mode="lines",
        line={"color": CAUSE_COLOURS[cause], "width": 2},
        customdata=of_cause.select("reported_failures", "due").rows(),
        hovertemplate="%{x|%b %Y}: %{y:.2%} (%{customdata[0]:,} of %{customdata[1]:,} due)<extra></extra>",
    )
    usual = trend.filter(pl.col("due") >= pl.col("due").median() / 10)
    most = usual["share_of_due"].max() or 0.01
    figure.update_yaxes(range=[0, most * 1.05], tickformat=".0%", nticks=3, automargin=True)
    figure.update_xaxes(type="date", tickformat="%Y", dtick="M12", automargin=True)
    return figure
