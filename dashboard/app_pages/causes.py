"""What is behind it?"""

import streamlit as st

from analysis import views
from analysis.causes import causes, unexplained
from dashboard import cards, charts, reading, words

view = st.session_state["view"]
counts = reading.selected_counts(view.snapshot.folder, view.selection)
table = views.cause_table(counts)
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
    charts.cause_bars(table),
    table.drop("cause"),
    "Every reported failure has one cause: the first in order of precedence that holds, provided that every unmet "
    "check has one.",
)
trend = views.cause_trend(counts)
cards.card(
    view,
    "cause-trend",
    "How each cause came and went, by month of commissioning",
    charts.cause_trend(trend),
    trend.drop("cause"),
    "Devices reported failed for the cause, of all Devices due that were commissioned in the month.",
)
together = views.overlaps(counts)
several = views.with_several_causes(together)
cards.card(
    view,
    "overlaps",
    f"{words.count(several)} of {words.count(reported)} reported failures have more than one cause",
    charts.overlaps(together),
    together,
    "Each column is a set of causes that hold together for a Device's unmet checks; filled dots name them.",
)

st.header("What each cause means")
by_cause = {row["cause"]: row for row in table.to_dicts()}
for cause in causes():
    with st.container(border=True):
        st.subheader(cause.label, anchor=cause.name)
        st.markdown(words.cause_numbers(by_cause[cause.name]))
        st.markdown(f"{cause.says}\n\n*What would resolve it:* {cause.resolves}\n\n*Criteria:* {cause.clause}.")
        st.caption(f"Fits: {cause.fits} Does not fit: {cause.does_not_fit}")
with st.container(border=True):
    st.subheader(unexplained()["label"], anchor="unexplained")
    st.markdown(words.cause_numbers(by_cause["unexplained"]))
    st.markdown(unexplained()["says"])
