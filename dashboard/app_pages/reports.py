"""What do I hand to whom?"""

import streamlit as st

from analysis.report import WrongReport
from dashboard import cards, report_choice, words_reports

view = st.session_state["view"]

st.title("Reports")
st.markdown(words_reports.PAGE)
given = report_choice.sources(view.snapshot)
asked = report_choice.chosen(given)
try:
    told = report_choice.labelled(report_choice.report_of(view.snapshot, asked), view)
except WrongReport as error:
    st.warning(f"There is no such report here: {error}.", icon=":material/description:")
    st.stop()

st.header(told.title, anchor="report")
report_choice.downloads(told, view)
for section in told.sections[:1]:
    st.subheader(section.title, anchor="standing")
    for sentence in section.sentences:
        st.markdown(sentence)
    for table in section.tables:
        with st.expander(table.title, expanded=True):
            cards.show_text(words_reports.in_words(table))
with st.expander("What is in the report, and what stands on every page of it"):
    st.markdown("\n".join(f"* {section.title}" for section in told.sections))
    st.markdown("\n".join(f"* **{name}**: {fact}" for name, fact in told.facts.items()))
    st.markdown(words_reports.COMMAND)
    st.code(f"pco report --audience all --month {asked.month} --marts MARTS --out FOLDER", language="sh")
