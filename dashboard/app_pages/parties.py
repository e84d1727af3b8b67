"""Whose Devices are they?"""

import streamlit as st

from analysis import views
from dashboard import cards, charts, reading, words

view = st.session_state["view"]
counts = reading.selected_counts(view.snapshot.folder, view.selection)

st.title("Parties")
dimension = st.selectbox(
    "Compare by",
    list(words.DIMENSIONS),
    format_func=words.DIMENSIONS.get,
    key="compare_by",
    bind="query-params",
)
table = views.by_party(counts, dimension, reading.party_names(view.snapshot.folder))
if table.is_empty():
    cards.nothing_selected()
    st.stop()

cards.card(
    view,
    "parties",
    words.parties_title(table, dimension),
    charts.dumbbell(table),
    table,
    "Sorted by reported rate; Devices due in brackets. A party with few Devices due may have a high or low rate by "
    "chance alone: look at its interval.",
)
