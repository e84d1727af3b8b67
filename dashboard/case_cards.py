"""The results of the business case: headline, cards, and files; `case` is the one that the page is about."""

from collections.abc import Callable

import plotly.graph_objects as go
import polars as pl
import streamlit as st

from analysis.business_case import Case, histogram
from dashboard import audit, cards, charts_business_case, words_criteria
from dashboard import words_business_case as words
from dashboard.case_document import document
from dashboard.workbook import workbook


def results(view: cards.View, case: Case) -> None:
    st.header(words.headline(case), anchor="headline")
    with st.container(horizontal=True):
        for name, number, rests in words.metrics(case):
            st.metric(name, number, rests, delta_color="off", delta_arrow="off", border=True)
    st.markdown(words.volumes(case))
    st.markdown(words.other_side(case))
    st.caption(f"{words.set_in_words(case)}. {words.standing(case.assumptions)}")
    _documents(view, case)
    cards.once_opened("How each figure is made", "business-case-figures", lambda: _explained(view, case))
    _pounds(view, case)
    _uncertainty(view, case)


def _explained(view: cards.View, case: Case) -> None:
    explained = words.explained(case)
    for figure, value, how, inputs in explained.iter_rows():
        st.markdown(f"**{figure}: {value}**  \n{how}  \n:small[{inputs}]")
    cards.downloads(view, f"business-case-figures-{_files(case)}", explained, "How each figure is made")


def _documents(view: cards.View, case: Case) -> None:
    """Both are made when they are asked for."""
    about = words.of_snapshot(view.about("Business case"), view.snapshot)
    with st.container(horizontal=True):
        for label, ending, made_by in (
            ("Workbook (XLSX)", "xlsx", workbook),
            ("Document (DOCX)", "docx", document),
        ):
            file = view.file_name(f"business-case-{_files(case)}", ending)
            st.download_button(
                label,
                audit.logged(lambda made_by=made_by: (made_by(case, about), 0), view.snapshot, file, view.in_words),
                file_name=file,
                key=f"case-{ending}",
                on_click="ignore",
            )


def _files(case: Case) -> str:
    return words_criteria.part_of_file_name(case.chosen, case.evidence)


def _card(
    view: cards.View,
    case: Case,
    name: str,
    title: str,
    figure: Callable[[], go.Figure],
    table: pl.DataFrame,
    how: str,
) -> None:
    of = (case.chosen, case.evidence, case.distribution, repr(sorted(case.assumptions.items())))
    cards.card(
        view,
        f"business-case-{name}-{_files(case)}",
        words.unbroken(title),
        figure,
        words.headed(table),
        how,
        of=of,
    )


def _pounds(view: cards.View, case: Case) -> None:
    charts = charts_business_case
    kinds = words.named_kinds(case.kinds)
    _card(view, case, "causes", words.causes_title(case), lambda: charts.causes(case), kinds, words.causes_how(case))
    _card(
        view, case, "payers", words.payers_title(case), lambda: charts.payers(case), case.payers, words.payers_how(case)
    )
    st.markdown(words.parties_sentence(case))
    _card(view, case, "years", words.years_title(case), lambda: charts.years(case), case.years, words.years_how(case))
    sets = words_criteria.named(case.sets)
    _card(view, case, "sets", words.sets_title(case), lambda: charts.sets(sets, case), sets, words.sets_how(case))


def _uncertainty(view: cards.View, case: Case) -> None:
    charts = charts_business_case
    st.header("What if the assumptions are wrong", anchor="uncertainty")
    table = case.tornado.drop("driver")
    _card(
        view, case, "tornado", words.tornado_title(case), lambda: charts.tornado(case), table, words.tornado_how(case)
    )
    bins = histogram(case.simulation)
    title, how = words.simulation_title(case), words.simulation_how(case)
    _card(view, case, "simulation", title, lambda: charts.simulation(case, bins), bins, how)
