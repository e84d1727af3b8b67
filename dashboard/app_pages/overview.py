"""How bad is it really?"""

import polars as pl
import streamlit as st

from analysis import rates, reporting, views
from dashboard import cards, charts, filters, reading, report_cards, words, words_changes

view = st.session_state["view"]
counts = reading.selected_counts(view.snapshot.folder, view.selection, "commissioned_month")
overall = view.held("rates", lambda: rates.rates(counts())).row(0, named=True)

st.title("Overview")
if overall["due"] == 0:
    cards.nothing_selected()
    st.stop()

st.header(words.headline(overall), anchor="headline")
st.markdown(words.overview_sentence(overall))
months = view.held("months", lambda: views.by_month(counts()))
last = view.held("last month all due", lambda: reporting.last_month_all_due(counts()))
if last:
    st.markdown(words_changes.last_month(months.row(by_predicate=pl.col("commissioned_month") == last, named=True)))

with st.container(horizontal=True):
    st.metric("Reported failed", words.count(overall["reported_failures"]), border=True)
    st.metric("Over-reported", words.count(overall["over_reported"]), border=True)
    st.metric("Missed failures", words.count(overall["missed_failures"]), border=True)
    st.metric("Verified", words.percent(overall["verified_share"]), border=True)
    st.metric("Device's own keys read", words.percent(overall["device_keys_read_share"]), border=True)

tolerance = (
    st.number_input(
        "Tolerance (% of Devices due)",
        min_value=0.0,
        max_value=100.0,
        value=3.0,
        step=0.5,
        key="tolerance",
        bind="query-params",
        help="A parameter of yours: the level that the Critical National Infrastructure rules set is not known here.",
    )
    / 100
)
st.markdown(words_changes.breaches(months, tolerance))
cards.card(
    view,
    "rates-by-month",
    words.tolerance_title(months, tolerance),
    lambda: charts.rates_by_month(months, tolerance),
    months,
    "Reported: Devices reported failed of Devices due. Actual: estimated from the Devices that could "
    "be judged by their certificates, weighted to all Devices due; the band is its 95 % interval.",
    of=(tolerance,),
    filter_by=filters.by_month(months["commissioned_month"]),
)
report_cards.by_report(view, tolerance)
steps = view.held("waterfall", lambda: views.waterfall(counts()))
cards.card(
    view,
    "reported-to-actual",
    f"Of {words.count(overall['reported_failures'])} reported failures, "
    f"{words.count(overall['over_reported'])} are on Devices with the right certificates",
    lambda: charts.waterfall(steps),
    steps,
    "Counts of Devices, none estimated: each cause's step is the Devices reported failed for it whose certificates "
    "are right; those not verified are neither right nor wrong.",
)
st.header("What changed since the previous snapshot", anchor="since-previous")
report_cards.since_previous(view)
