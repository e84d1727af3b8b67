"""Which Incidents were raised for CHFs that were secure?"""

from functools import partial

import polars as pl
import streamlit as st

from analysis import criteria, hubs
from analysis.amendments import AMENDMENTS
from dashboard import cards, charts_hubs, filters, reading, reading_hubs, switches, words_criteria, words_hubs

view = st.session_state["view"]
counts = reading.selected_counts(view.snapshot.folder, view.selection, *hubs.COUNTED_BY)
found = reading_hubs.incidents(view.snapshot)
is_extract = found is not None
rows = hubs.selected(found, view.selection) if is_extract else hubs.from_failures(counts())

st.title("Communications Hubs")
st.markdown(words_hubs.WHAT_IT_SAYS)
if not is_extract:
    st.info(words_hubs.FROM_FAILURES, icon=":material/info:")
if rows.is_empty():
    st.info(words_hubs.NO_CHF, icon=":material/filter_alt_off:")
    st.stop()

by_region = view.held("Incidents by region", lambda: hubs.by_region(rows))
total = by_region.row(-1, named=True)
with st.container(horizontal=True):
    for name, number, beside in words_hubs.metrics(total, is_extract):
        st.metric(name, number, beside, delta_color="off", delta_arrow="off", border=True)
if is_extract and (note := words_hubs.left_out(found, rows, bool(view.selection.conditions()))):
    st.caption(note)

months = view.held("Incidents by month", lambda: hubs.by_month(rows))
title, how = words_hubs.months_title(total, is_extract), words_hubs.months_how(is_extract)
cards.card(view, "hubs-months", title, lambda: charts_hubs.months(months), months, how)
title, how = words_hubs.regions_title(total, is_extract), words_hubs.regions_how(is_extract)
named = rows.drop_nulls("csp_region").select("csp_region", name="csp_region")
targets = filters.by_party(named.sort("name"), "csp_region")
cards.card(
    view,
    "hubs-regions",
    title,
    lambda: charts_hubs.regions(by_region, words_hubs.noun(is_extract)),
    by_region,
    how,
    filter_by=targets,
)
if is_extract:
    curve = view.held("Incidents still open", lambda: hubs.by_day(hubs.survival(rows)))
    figure = partial(charts_hubs.closing, curve, total)
    cards.card(view, "hubs-closing", words_hubs.closing_title(total), figure, curve, words_hubs.CLOSING_HOW)

st.header("What amended criteria would not have raised", anchor="amended")
chosen, evidence = switches.amendments()
table = view.held("Incidents under each set", lambda: hubs.amended(rows))
sets = words_hubs.amended(hubs.not_raised(table, chosen, evidence))
then = criteria.under(table, chosen or AMENDMENTS, evidence)
cards.card(
    view,
    f"hubs-amended-{words_criteria.part_of_file_name(chosen, evidence)}",
    words_hubs.amended_title(then, chosen, is_extract),
    lambda: charts_hubs.not_raised(sets),
    sets.with_columns(pl.col("set").str.replace_all("<br>", " ")),
    words_hubs.amended_how(evidence, total["raised"] - then["due"]),
)
if is_extract:
    standings = view.held("Incidents by standing", lambda: hubs.by_standing(rows))
    with st.container(border=True):
        st.subheader(words_hubs.standings_title(standings), anchor="hubs-standings")
        named = standings.with_columns(pl.col("standing").replace_strict(words_hubs.STANDINGS))
        cards.show_text(named)
        st.markdown(words_hubs.missing(hubs.without_incident(rows, counts())))
        cards.downloads(view, "hubs-standings", named, "Incidents, by how their Device is reported now")
        st.caption(f"{words_hubs.STANDINGS_HOW} {view.made()}")
