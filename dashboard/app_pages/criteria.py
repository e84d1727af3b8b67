"""What would a change of the criteria hide?"""

import polars as pl
import streamlit as st

from analysis import criteria
from analysis.amendments import AMENDMENTS
from dashboard import cards, charts_criteria, filters, reading, switches, words_criteria

view = st.session_state["view"]
counts = reading.selected_counts(view.snapshot.folder, view.selection)
table = view.held("sets of amendments", lambda: words_criteria.named(criteria.sets(counts())))
now = criteria.under(table, (), False)

st.title("Criteria")
if now["due"] == 0:
    cards.nothing_selected()
    st.stop()

st.markdown(
    "Each switch accepts one reason for which a check was not met. A Device reported failed passes instead when "
    "**every** check that it has not met has a reason that is accepted."
)
chosen, evidence = switches.amendments()
first = st.multiselect(
    "Order of the steps (those not named come last)",
    AMENDMENTS,
    format_func=criteria.amendment_label,
    key="order",
    bind="query-params",
    placeholder="As the switches stand",
)
in_force = {**dict.fromkeys(AMENDMENTS, False), switches.EVIDENCE: False, "order": []}
is_in_force = not (chosen or evidence or first)
st.button("Back to the criteria in force", on_click=filters.clear, args=(in_force,), disabled=is_in_force)
order = tuple(name for name in dict.fromkeys([*first, *chosen]) if name in chosen)
then = criteria.under(table, order, evidence)

st.header(words_criteria.headline(now, then, bool(order)), anchor="headline")
with st.container(horizontal=True):
    for name, number, beside in words_criteria.metrics(now, then):
        st.metric(name, number, beside, delta_color="off", delta_arrow="off", border=True)
if order:
    newly = view.held("newly passing", lambda: criteria.newly_passing(counts(), order, evidence), order, evidence)
    st.markdown(words_criteria.effect(then, newly, evidence))
st.caption("The address of this page holds the switches, the order and the filters: copy it to discuss this set.")

files = words_criteria.part_of_file_name(order, evidence)
if order:
    steps = criteria.steps(table, order, evidence)
    cards.card(
        view,
        f"criteria-steps-{files}",
        words_criteria.steps_title(now, then),
        charts_criteria.steps(steps),
        steps,
        words_criteria.steps_how(order, evidence),
    )
shares = view.held("contributions", lambda: criteria.contributions(table, order, evidence), order, evidence)
cards.card(
    view,
    f"criteria-contributions-{files}",
    words_criteria.contributions_title(shares),
    lambda: charts_criteria.contributions(shares),
    shares.with_columns(pl.col("measure").replace_strict(words_criteria.MEASURE_NAMES)),
    words_criteria.contributions_how(evidence),
    of=(order, evidence),
)
cards.card(
    view,
    "criteria-frontier",
    words_criteria.frontier_title(table),
    lambda: charts_criteria.frontier(table, then),
    table,
    words_criteria.frontier_how(),
    of=(order, evidence),
)
