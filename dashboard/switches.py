"""The switches of the amendments, which pages share: a set chosen on one is chosen on the others."""

from collections.abc import Iterable
from contextlib import suppress

import streamlit as st
from streamlit.errors import StreamlitAPIException

from analysis.amendments import AMENDMENTS
from analysis.criteria import amendment_label
from dashboard import words_criteria

EVIDENCE = "evidence"


def amendments() -> tuple[tuple[str, ...], bool]:
    """Draws the switches; the amendments that are on, and whether certificate evidence is asked for."""
    _keep_in_address((*AMENDMENTS, EVIDENCE))
    with st.container(horizontal=True):
        is_on = {
            name: st.toggle(
                f"Accept: {amendment_label(name)}",
                key=name,
                bind="query-params",
                help=words_criteria.amendment_help(name),
            )
            for name in AMENDMENTS
        }
    evidence = st.toggle(
        "Ask for certificate evidence",
        key=EVIDENCE,
        bind="query-params",
        help="On: a Device passes only when the certificates read from it are right. Those not verified stay failed.",
    )
    return tuple(name for name in AMENDMENTS if is_on[name]), evidence


def _keep_in_address(keys: Iterable[str]) -> None:
    """A page opened straight from another with the same switches has their values, but Streamlit drops them from its
    address. What is bound to a switch of this page already is put back by the switch alone."""
    for key in keys:
        if st.session_state.get(key) and key not in st.query_params:
            st.session_state[key] = True
            with suppress(StreamlitAPIException):
                st.query_params[key] = "true"
