"""The figures of the business case; pounds are from assumptions, and each axis says so."""

import plotly.graph_objects as go
import polars as pl

from analysis.business_case import Case
from dashboard.charts import ACTUAL, MISSED, OVER_REPORTED, REPORTED, UNVERIFIED, blank_figure
from dashboard.words_business_case import carried, named_kinds

ROW = 34
# Where a driver's label breaks on a narrow page.
LINE = 30


def payers(case: Case) -> go.Figure:
    """Cost in year 1 by who bears it: in force, and under the set."""
    table = case.payers
    figure = blank_figure(150 + 2 * ROW * table.height, barmode="group")
    for column, name, colour, shape in (
        ("cost_now", "In force", REPORTED, ""),
        ("cost_after", "Under the set", ACTUAL, "/"),
    ):
        figure.add_bar(
            y=table["payer"].to_list(),
            x=table[column].to_list(),
            name=name,
            orientation="h",
            marker={"color": colour, "pattern": {"shape": shape}},
            hovertemplate="%{y}: £%{x:,.0f}<extra>" + name + "</extra>",
        )
    figure.update_yaxes(autorange="reversed", automargin=True)
    figure.update_xaxes(title=f"£ in year 1,<br>{carried(case.assumptions)}", nticks=5)
    return figure


def years(case: Case) -> go.Figure:
    """What is gained or lost so far by the end of each year, discounted and not."""
    table = case.years
    figure = blank_figure(380, hovermode="x unified")
    for column, name, colour, dash, symbol in (
        ("net_so_far", "Net so far", REPORTED, "dash", "circle"),
        ("present_value_so_far", "Present value so far", ACTUAL, "solid", "diamond"),
    ):
        figure.add_scatter(
            x=table["year"].to_list(),
            y=table[column].to_list(),
            name=name,
            mode="lines+markers",
            line={"color": colour, "dash": dash, "width": 2.5},
            marker={"symbol": symbol, "size": 8},
            hovertemplate="£%{y:,.0f}",
        )
    figure.add_hline(y=0, line={"color": UNVERIFIED, "width": 1.5})
    figure.update_xaxes(title="Year", tickformat="d", nticks=8)
    figure.update_yaxes(title=f"£, {carried(case.assumptions)}", nticks=6)
    return figure


def causes(case: Case) -> go.Figure:
    """Over-reported Devices a year by cause: what the set removes, and what stays."""
    table = (
        named_kinds(case.kinds)
        .group_by("cause")
        .agg(pl.col("over_reported", "still_over_reported").sum() * case.months.to_a_year)
        .sort("over_reported")
    )
    figure = blank_figure(130 + ROW * max(table.height, 2), barmode="stack")
    removed = (table["over_reported"] - table["still_over_reported"]).to_list()
    for name, numbers, colour, shape in (
        ("Removed by the set", removed, ACTUAL, ""),
        ("Still over-reported", table["still_over_reported"].to_list(), OVER_REPORTED, "/"),
    ):
        figure.add_bar(
            y=table["cause"].to_list(),
            x=numbers,
            name=name,
            orientation="h",
            marker={"color": colour, "pattern": {"shape": shape}},
            hovertemplate="%{y}: %{x:,.0f} Devices a year<extra>" + name + "</extra>",
        )
    figure.update_yaxes(automargin=True)
    figure.update_xaxes(title="Over-reported Devices a year", tickformat=",", nticks=5)
    return figure


def tornado(case: Case) -> go.Figure:
    """NPV with each driver at its low and at its high, the widest swing on top."""
    table = case.tornado
    figure = blank_figure(130 + ROW * max(table.height, 2), barmode="overlay")
    names = [_in_lines(label) for label in table["label"]]
    base = case.summary["net_present_value"]
    for level, colour, shape in (("low", REPORTED, "/"), ("high", ACTUAL, "")):
        ends = table[f"npv_at_{level}"]
        figure.add_bar(
            y=names,
            x=(ends - base).to_list(),
            base=[base] * table.height,
            name=f"Driver at {level}",
            orientation="h",
            marker={"color": colour, "pattern": {"shape": shape}},
            customdata=list(zip(table[level], table["unit"], ends, strict=True)),
            hovertemplate="%{y} = %{customdata[0]:,.6~g} %{customdata[1]}: NPV £%{customdata[2]:,.0f}"
            f"<extra>at {level}</extra>",
        )
    figure.add_vline(x=0, line={"color": UNVERIFIED, "width": 1.5, "dash": "dot"})
    figure.update_yaxes(autorange="reversed", automargin=True, type="category", tickmode="linear")
    figure.update_xaxes(title=f"Net present value, £,<br>{carried(case.assumptions)}", nticks=5)
    return figure


def _in_lines(label: str) -> str:
    """The label in lines short enough for a narrow page."""
    lines = [""]
    for word in label.split():
        if lines[-1] and len(lines[-1]) + len(word) >= LINE:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return "<br>".join(lines)


def simulation(case: Case, table: pl.DataFrame) -> go.Figure:
    """Draws by NPV, losses in another colour and hatch; P10, P50 and P90 as lines. table: of `histogram`."""
    figure = blank_figure(400, barmode="overlay", bargap=0)
    figure.update_layout(margin_t=70)
    width = (table["npv_to"] - table["npv_from"])[0]
    for name, is_negative, colour, shape in (
        ("NPV negative", True, REPORTED, "/"),
        ("NPV not negative", False, ACTUAL, ""),
    ):
        rows = table.filter(pl.col("is_negative") == is_negative)
        figure.add_bar(
            x=((rows["npv_from"] + rows["npv_to"]) / 2).to_list(),
            y=rows["draws"].to_list(),
            width=width,
            name=name,
            marker={"color": colour, "pattern": {"shape": shape}},
            customdata=rows.select("npv_from", "npv_to").rows(),
            hovertemplate="£%{customdata[0]:,.0f} to £%{customdata[1]:,.0f}: %{y:,} draws<extra>" + name + "</extra>",
        )
    for name, value in (("P10", case.simulation.p10), ("P50", case.simulation.p50), ("P90", case.simulation.p90)):
        figure.add_vline(x=value, line={"color": UNVERIFIED, "width": 2, "dash": "dash"}, annotation_text=name)
    figure.update_xaxes(title=f"Net present value, £,<br>{carried(case.assumptions)}", nticks=6)
    figure.update_yaxes(title="Draws", tickformat=",")
    return figure


def sets(table: pl.DataFrame, case: Case) -> go.Figure:
    """Each set as a point: NPV against missed failures created, the chosen one ringed. table: named, of `Case.sets`."""
    figure = blank_figure(440)
    figure.update_layout(margin_t=80)
    for evidence, name, colour, symbol in (
        (False, "Without evidence", MISSED, "circle"),
        (True, "With evidence", ACTUAL, "diamond"),
    ):
        rows = table.filter(pl.col("evidence") == evidence)
        figure.add_scatter(
            x=rows["net_present_value"].to_list(),
            y=rows["missed_created"].to_list(),
            mode="markers",
            name=name,
            marker={"color": colour, "symbol": symbol, "size": 10},
            cliponaxis=False,
            customdata=rows.select("set").rows(),
            hovertemplate="%{customdata[0]}<br>NPV £%{x:,.0f}, %{y:,.0f} missed failures created a year<extra>"
            + name
            + "</extra>",
        )
    figure.add_scatter(
        x=[case.summary["net_present_value"]],
        y=[case.summary["missed_created"]],
        mode="markers",
        name="The set of this page",
        marker={"color": UNVERIFIED, "symbol": "circle-open", "size": 20, "line": {"width": 3}},
        cliponaxis=False,
        hoverinfo="skip",
    )
    figure.update_xaxes(title=f"Net present value, £,<br>{carried(case.assumptions)}", nticks=5)
    figure.update_yaxes(title="Missed failures created a year", tickformat=",", rangemode="tozero", nticks=6)
    return figure
