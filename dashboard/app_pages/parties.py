"""Whose Devices are they?"""

import streamlit as st

from analysis import peers, views
from analysis.funnel import funnel
from dashboard import cards, charts, charts_parties, filters, reading, words, words_parties

view = st.session_state["view"]

st.title("Parties")
dimension = st.selectbox(
    "Compare by",
    list(words.DIMENSIONS),
    format_func=words.DIMENSIONS.get,
    key="compare_by",
    bind="query-params",
)
names = reading.party_names(view.snapshot.folder)
by = dict.fromkeys((dimension, "commissioned_month"))
counts = reading.selected_counts(view.snapshot.folder, view.selection, *by)
table = view.held("rates by", lambda: views.by_party(counts(), dimension, names), dimension)
if table.is_empty():
    cards.nothing_selected()
    st.stop()

cards.card(
    view,
    "parties",
    words.parties_title(table, dimension),
    lambda: charts.dumbbell(table),
    table,
    "Sorted by reported rate; Devices due in brackets. A party with few Devices due may have a high or low rate by "
    "chance alone: look at its interval.",
    of=(dimension,),
    filter_by=filters.by_party(table, dimension),
)
standings = view.held("funnel", lambda: funnel(table), dimension)
cards.card(
    view,
    "funnel",
    words_parties.funnel_title(standings, dimension),
    lambda: charts_parties.funnel(standings),
    standings,
    words_parties.FUNNEL_HOW,
    of=(dimension,),
    filter_by=filters.by_party(table, dimension),
)
largest = peers.largest(table, dimension)
filters.keep_in_address({"over_time": False})
over_time = st.toggle(
    "Show the largest over time, by quarter",
    key="over_time",
    bind="query-params",
    help="Off until it is asked for: twelve small charts make the page slower to answer a filter.",
)
if over_time and not largest.is_empty():
    by_quarter = view.held("rates by quarter and", lambda: peers.by_quarter(counts(), dimension), dimension)
    quarters = peers.of_parties(by_quarter, dimension, largest)
    cards.card(
        view,
        "quarters",
        words_parties.multiples_title(largest, table),
        lambda: charts_parties.small_multiples(quarters),
        quarters,
        words_parties.MULTIPLES_HOW,
        of=(dimension,),
        filter_by=filters.by_quarter(view.held("months there are", lambda: counts()["commissioned_month"].unique())),
    )
