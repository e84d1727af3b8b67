"""What does over-reporting cost, and would a change of the criteria pay for itself?"""

from datetime import datetime

import streamlit as st

from analysis import case_volumes
from analysis.amendments import AMENDMENTS
from analysis.assumptions import problems
from analysis.business_case import case as case_of
from dashboard import cards, case_cards, case_inputs, case_scenarios, reading, switches
from dashboard import words_business_case as words

view = st.session_state["view"]
folder, manifest = view.snapshot.folder, view.snapshot.manifest
counts = reading.selected_counts(folder, view.selection, *case_volumes.COUNTED_BY)()

st.title("Business case")
st.info(words.NO_COST_IS_KNOWN, icon=":material/payments:")
first_month = reading.standings(folder).kinds["commissioned_month"].min()
as_at = datetime.fromisoformat(manifest["as_at"])
months = case_volumes.window(as_at, manifest["grace_days"], first_month, view.selection)
due = months and view.held("due in the window", lambda: case_volumes.due(case_volumes.of_window(counts, months)))
if not due:
    st.info(words.NO_MONTH)
    cards.nothing_selected()
    st.stop()

chosen, evidence = switches.amendments()
if not chosen:
    st.info(words.NOTHING_CHOSEN, icon=":material/info:")
if refused := case_inputs.refused_in_address():
    st.error("Not taken from the address:\n\n" + "\n".join(f"* {problem}" for problem in refused))
results = st.container()
st.header("Assumptions", anchor="assumptions")
st.markdown("Each driver has a low, a central and a high value; the figures use the central one.")
assumptions = case_inputs.boxes()
distribution = case_inputs.distribution()
if wrong := problems(assumptions):
    lines = "\n".join(f"* {problem}" for problem in wrong)
    results.error(f"These assumptions make no sense, so nothing is reckoned with them:\n\n{lines}")
    st.stop()

case = case_of(
    counts,
    months,
    case_volumes.party_types(reading.small_table(folder, "parties")),
    chosen or AMENDMENTS,
    evidence,
    assumptions,
    distribution,
    view.held,
)
with results:
    case_cards.results(view, case)
case_scenarios.section(view, case)
