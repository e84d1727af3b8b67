"""The causes one by one, and the scenario in which some are left out; two parts of the Causes page."""

from base64 import b64encode
from collections.abc import Callable
from html import escape

import polars as pl
import streamlit as st

from analysis import deviations
from analysis.causes import UNEXPLAINED, cause_names, label_of
from analysis.scenario import without_causes
from dashboard import cards, charts_causes, filters, reading, words, words_causes


def one_by_one(view: cards.View, table: pl.DataFrame, trend: pl.DataFrame) -> None:
    """The list of deviations; `table` and `trend` are the frames of `cause_table` and `cause_trend`."""
    st.header("The causes one by one", anchor="deviation-list")
    names, role = reading.party_names(view.snapshot.folder), view.selection.party_role
    counts = reading.selected_counts(view.snapshot.folder, view.selection, role)
    affected = view.held("most affected", lambda: deviations.most_affected(counts(), role), role)
    # The greatest first; the unexplained speak of those above.
    listed = table.join(deviations.change(trend), on="cause").sort(
        pl.col("cause") == UNEXPLAINED, "reported_failures", descending=[False, True]
    )
    for row in listed.to_dicts():
        cause = row["cause"]
        with st.container(border=True):
            st.subheader(row["label"], anchor=cause)
            said, drawn = st.columns([3, 2])
            of_cause = affected.filter(pl.col("cause") == cause)
            # One element in place of three: each costs the browser a few milliseconds at every filter.
            lines = [words.cause_numbers(row), words_causes.trend(row), words_causes.affected(of_cause, role, names)]
            said.markdown("\n\n".join(lines))
            drawn.html(_image(charts_causes.sparkline(trend, cause), f"{row['label']}: {charts_causes.caption(trend)}"))
            drawn.caption(charts_causes.caption(trend))
            st.markdown(words_causes.meaning(cause))
            if example := words_causes.example(cause):
                st.caption(example)

    def more() -> None:
        in_words = words_causes.listed(listed, affected, role, names)
        cards.show_table(in_words)
        cards.downloads(view, "deviation-list", in_words, "Causes of reported failures, one by one")

    cards.once_opened("The causes one by one as a table, and as a file", "deviation-list", more)
    st.caption(f"{words_causes.LIST_HOW} {view.made()} Devices: {view.in_words}.")


def _image(svg: str, alt: str) -> str:
    data = b64encode(svg.encode()).decode()
    return f'<img alt="{escape(alt)}" src="data:image/svg+xml;base64,{data}" style="width: 100%">'


def scenario(view: cards.View, counts: Callable[[], pl.DataFrame]) -> None:
    """A switch a cause, kept in the address, and at once what the report would say and hide without it."""
    st.header("Leave a cause out of the failures", anchor="scenario")
    st.markdown(words_causes.SCENARIO)
    keys = {cause: f"without_{cause}" for cause in cause_names()}
    nothing = dict.fromkeys(keys.values(), False)
    filters.keep_in_address(nothing)
    with st.container(horizontal=True):
        left_out = tuple(
            cause
            for cause, key in keys.items()
            if st.toggle(f"Leave out: {label_of(cause)}", key=key, bind="query-params")
        )
    st.button("Leave nothing out", on_click=filters.clear, args=(nothing,), disabled=not left_out)
    now = view.held("without causes", lambda: without_causes(counts(), ()), ())
    then = view.held("without causes", lambda: without_causes(counts(), left_out), left_out)
    st.subheader(words_causes.scenario_headline(now, then, left_out), anchor="scenario-headline")
    with st.container(horizontal=True):
        for name, number, beside in words_causes.scenario_metrics(now, then):
            st.metric(name, number, beside, delta_color="off", delta_arrow="off", border=True)
    if left_out:
        st.markdown(words_causes.scenario_sentence(then))
