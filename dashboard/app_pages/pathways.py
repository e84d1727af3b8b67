"""Which roads did Devices really take?"""

import polars as pl
import streamlit as st

from analysis import pathways
from dashboard import cards, charts_pathways, filters, reading, words_pathways

DRAWN = 10

view = st.session_state["view"]

st.title("Pathways")
if not reading.has_roads(view.snapshot):
    st.warning(words_pathways.TOO_OLD, icon=":material/history:")
    st.stop()

filters.keep_in_address({"roads_of": "all", "roads_shown": 10, "dsp": False, "attempts": False, "flow": False})
with st.container(horizontal=True, vertical_alignment="bottom"):
    whose = st.selectbox(
        "Roads of",
        list(words_pathways.WHOSE),
        format_func=words_pathways.WHOSE.get,
        key="roads_of",
        bind="query-params",
    )
    most = st.selectbox("Most frequent roads shown", [10, 20, 40], key="roads_shown", bind="query-params")
with_dsp = st.toggle("With the DSP's two checks", key="dsp", bind="query-params")
with_attempts = st.toggle("Tell retries, attempts in vain and unmet checks apart", key="attempts", bind="query-params")

reported = None if whose == "all" else whose
asked = most, reported, with_dsp, with_attempts
devices = reading.roads(view.snapshot)
table = view.held("roads", lambda: pathways.variants(devices, view.selection, *asked), *asked)
if table.is_empty():
    cards.nothing_selected()
    st.stop()

totals = table.select(pl.col(pl.Int64).sum()).row(0, named=True)
st.markdown(words_pathways.summary(totals))
shown = words_pathways.named(table)
how = " ".join([words_pathways.ROADS_HOW, *[words_pathways.ATTEMPTS_HOW] * with_attempts, words_pathways.LEGEND])
columns = {
    name: st.column_config.NumberColumn(heading, format=words_pathways.FORMATS.get(name, "localized"))
    if shown.schema[name].is_numeric()
    else st.column_config.Column(heading)
    for name, heading in words_pathways.HEADINGS.items()
}
title = words_pathways.roads_title(table)
cards.card(view, "roads", title, lambda: charts_pathways.roads(table), shown, how, of=asked, columns=columns)

# Off until it is asked for: two more charts make the page twice as slow to answer a filter.
if not st.toggle(words_pathways.SHOW_FLOW, key="flow", bind="query-params"):
    st.stop()
taken, prescribed = st.columns([3, 2])
with taken:
    links = pathways.links(table, DRAWN)
    figure = charts_pathways.flow(links)
    named = words_pathways.named_links(links)
    cards.card(view, "roads-flow", words_pathways.flow_title(totals), figure, named, words_pathways.FLOW_HOW)
with prescribed:
    checks = pathways.defined(reading.selected_counts(view.snapshot.folder, view.selection, "device_type")())
    figure = charts_pathways.defined(checks)
    named = words_pathways.named_checks(checks)
    cards.card(view, "defined", words_pathways.defined_title(checks), figure, named, words_pathways.DEFINED_HOW)
