"""The figures of the Communications Hubs page; a verdict has the colour and the hatch that it has on every page."""

import plotly.graph_objects as go
import polars as pl

from analysis.hubs import ALL_REGIONS, in_order
from dashboard.charts import ACTUAL, BAND, OVER_REPORTED, UNVERIFIED, blank_figure

# Column -> its name, colour and hatch.
VERDICTS = {
    "secure": ("CHF secure", OVER_REPORTED, ""),
    "not_secure": ("CHF not secure", ACTUAL, "/"),
    "unverified": ("CHF not verified", UNVERIFIED, "."),
    "no_chf": ("No CHF in scope", UNVERIFIED, "x"),
}
PANEL, GAP, ROW = 92, 34, 40


def _present(table: pl.DataFrame) -> list[str]:
    """The verdicts of which there is any; the first always, as a figure must have a trace."""
    return [verdict for place, verdict in enumerate(VERDICTS) if not place or table[verdict].sum()]


def months(table: pl.DataFrame) -> go.Figure:
    """Incidents by month, a panel a CSP region on one scale, split by what the certificates say."""
    regions = in_order(table["csp_region"])
    height, margins = len(regions) * (PANEL + GAP), 124
    figure = blank_figure(height + margins, barmode="stack", bargap=0.1)
    figure.update_layout(margin={"t": 76, "b": 48})
    for place, region in enumerate(regions):
        of_region = table.filter(csp_region=region)
        top = 1 - (place * (PANEL + GAP) + GAP) / height
        number = "" if place == 0 else str(place + 1)
        for verdict in _present(table):
            name, colour, hatch = VERDICTS[verdict]
            figure.add_bar(
                x=of_region["month"].to_list(),
                y=of_region[verdict].to_list(),
                name=name,
                legendgroup=verdict,
                showlegend=place == 0,
                yaxis=f"y{number}",
                marker={"color": colour, "pattern": {"shape": hatch, "size": 5}},
                hovertemplate="%{x|%B %Y}: %{y:,}<extra>" + f"{region}, {name}" + "</extra>",
            )
        figure.update_layout(
            {
                f"yaxis{number}": {
                    "domain": [max(0, top - PANEL / height), top],
                    "range": [0, max(table["raised"].max() or 0, 4) * 1.05],
                    "nticks": 4,
                    "tickformat": ",d",
                }
            }
        )
        figure.add_annotation(
            text=f"<b>{region}</b>: {of_region['raised'].sum():,}",
            x=0,
            xref="paper",
            xanchor="left",
            y=top,
            yref="paper",
            yanchor="bottom",
            showarrow=False,
        )
    last = "y" if len(regions) == 1 else f"y{len(regions)}"
    figure.update_xaxes(type="date", tickformat="%b %Y", nticks=8, anchor=last)
    return figure


def regions(table: pl.DataFrame, counted: str) -> go.Figure:
    """Incidents by CSP region, split by what the certificates say; all together are left to the table.

    `counted` names what is counted.
    """
    rows = table.filter(pl.col("csp_region") != ALL_REGIONS)
    figure = blank_figure(130 + ROW * rows.height, barmode="stack")
    for verdict in _present(rows):
        name, colour, hatch = VERDICTS[verdict]
        figure.add_bar(
            y=rows["csp_region"].to_list(),
            x=rows[verdict].to_list(),
            name=name,
            orientation="h",
            marker={"color": colour, "pattern": {"shape": hatch, "size": 5}},
            hovertemplate="%{y}: %{x:,}<extra>" + name + "</extra>",
        )
    _totals(figure, rows["csp_region"].to_list(), rows["raised"].to_list())
    figure.update_xaxes(title=counted[0].upper() + counted[1:])
    return figure


def _totals(figure: go.Figure, names: list[str], totals: list[int]) -> None:
    """The number at the end of each bar, the first row on top."""
    for name, total in zip(names, totals, strict=True):
        figure.add_annotation(x=total, y=name, text=f"{total:,}", showarrow=False, xanchor="left", xshift=4)
    figure.update_yaxes(range=[len(names) - 0.5, -0.5], automargin=True, type="category", tickmode="linear")
    figure.update_xaxes(tickformat=",d", nticks=5, range=[0, max([*totals, 4]) * 1.02])
    figure.update_layout(margin={"t": 64, "r": 52}, legend_traceorder="normal")


def closing(curve: pl.DataFrame, median: dict) -> go.Figure:
    """The share of Incidents still open by days since each was raised, with its 95 % interval."""
    figure = blank_figure(380, hovermode="x unified")
    banded = curve.drop_nulls("open_high")
    days, low, high = (banded[name].to_list() for name in ("day", "open_low", "open_high"))
    outline = {"color": BAND, "width": 1, "shape": "hv"}
    figure.add_scatter(x=days, y=high, mode="lines", line=outline, showlegend=False, hoverinfo="skip")
    figure.add_scatter(
        x=days,
        y=low,
        mode="lines",
        line=outline,
        fill="tonexty",
        fillcolor=BAND,
        name="95 % interval",
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=curve["day"].to_list(),
        y=curve["still_open"].to_list(),
        mode="lines",
        name="Still open",
        line={"color": ACTUAL, "width": 2.5, "shape": "hv"},
        customdata=curve.select("at_risk").rows(),
        hovertemplate="%{y:.0%} still open (%{customdata[0]:,} open so long or longer)",
    )
    if median["median_days"] is not None:
        figure.add_scatter(
            x=[median["median_days"]],
            y=[0.5],
            mode="markers",
            name=f"Half closed: {median['median_days']:,.0f} days",
            marker={"color": ACTUAL, "symbol": "diamond", "size": 11},
            hoverinfo="skip",
        )
    figure.update_yaxes(title="Share still open", tickformat=".0%", range=[0, 1.03])
    figure.update_xaxes(title="Days since the Incident was raised", tickformat=",d", rangemode="tozero")
    return figure


def not_raised(table: pl.DataFrame) -> go.Figure:
    """Incidents that would not have been raised, a row a set of amendments, by what the certificates say."""
    figure = blank_figure(130 + ROW * table.height, barmode="stack")
    for verdict in ("secure", "not_secure", "unverified"):
        name, colour, hatch = VERDICTS[verdict]
        figure.add_bar(
            y=table["set"].to_list(),
            x=table[verdict].to_list(),
            name=name,
            orientation="h",
            marker={"color": colour, "pattern": {"shape": hatch, "size": 5}},
            hovertemplate="%{y}: %{x:,} not raised<extra>" + name + "</extra>",
        )
    _totals(figure, table["set"].to_list(), table["not_raised"].to_list())
    figure.update_xaxes(title="Incidents not raised")
    return figure
