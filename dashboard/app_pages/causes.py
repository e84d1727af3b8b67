"""What is behind it?"""

import streamlit as st

from analysis import views
from dashboard import cards, cause_cards, charts, filters, reading, words

view = st.session_state["view"]
counts = reading.selected_counts(view.snapshot.folder, view.selection, "commissioned_month")
table = view.held("causes", lambda: views.cause_table(counts()))
reported = table["reported_failures"].sum()

st.title("Causes")
if reported == 0:
    st.warning("No Device that these filters leave was reported failed.", icon=":material/filter_alt_off:")
    st.stop()

most = table.sort("reported_failures", descending=True).row(0, named=True)
cards.card(
    view,
    "causes",
    f"{most['label']} is the cause of {words.percent(most['share'])} of reported failures "
    f"({words.count(most['reported_failures'])} of {words.count(reported)})",
    lambda: charts.cause_bars(table),
    table.drop("cause"),
    "Every reported failure has one cause: the first in order of precedence that holds, provided that every unmet "
    "check has one.",
)
trend = view.held("cause trend", lambda: views.cause_trend(counts()))
cards.card(
    view,
    "cause-trend",
    "How each cause came and went, by month of commissioning",
    lambda: charts.cause_trend(trend),
    trend.drop("cause"),
    "Devices reported failed for the cause, of all Devices due that were commissioned in the month.",
    filter_by=filters.by_month(trend["commissioned_month"]),
)
together = view.held("overlaps", lambda: views.overlaps(counts()))
several = views.with_several_causes(together)
cards.card(
    view,
    "overlaps",
    f"{words.count(several)} of {words.count(reported)} reported failures have more than one cause",
    lambda: charts.overlaps(together),
    together,
    "Each column is a set of causes that hold together for a Device's unmet checks; dots name them. The "
    f"{charts.MOST_COMBINATIONS} most frequent are drawn, the table has all.",
)

cause_cards.one_by_one(view, table, trend)
cause_cards.scenario(view, counts)
