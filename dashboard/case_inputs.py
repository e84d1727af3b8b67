"""The assumptions of the business case as boxes of the page, each in the address once it is off its default."""

import math
from itertools import groupby

import streamlit as st

from analysis.assumptions import LEVELS, Assumption, Assumptions, Driver, defaults, drivers, with_source
from analysis.business_case import DISTRIBUTIONS
from dashboard import filters

DISTRIBUTION = "distribution"
LOADED, REFUSED = "case_loaded", "case_refused"
STEPS = {"years": 1.0}


def key(name: str, level: str) -> str:
    """The central value has the driver's own name."""
    return name if level == "central" else f"{name}_{level}"


def _keys(assumptions: Assumptions) -> dict[str, float]:
    return {key(name, level): getattr(one, level) for name, one in assumptions.items() for level in LEVELS}


def refused_in_address() -> list[str]:
    """What the address gives a box that is no number, a line each, until that box is changed; the box has its default.

    To be called before the boxes are drawn: Streamlit then takes such a text out of the address.
    """
    usual = _keys(defaults())
    refused = st.session_state.setdefault(REFUSED, {})
    for name in usual:
        text = st.query_params.get(name)
        if text is not None and not _is_number(text):
            refused[name] = text
    for name in [name for name in refused if st.session_state.get(name, usual[name]) != usual[name]]:
        del refused[name]
    return [f"{name} in the address: {text!r} is no number; {usual[name]:g} stands" for name, text in refused.items()]


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def boxes() -> dict[str, Assumption]:
    """Draws a box for each low, central and high; the assumptions as they are in them, sensible or not."""
    usual = _keys(defaults())
    filters.keep_in_address(usual)
    known = st.session_state.get(LOADED) or defaults()
    found = {}
    for group, of_group in groupby(drivers(), key=lambda one: one.group):
        with st.expander(f"Assumptions: {group}"):
            for one in of_group:
                found[one.name] = with_source(one.name, *_of_driver(one), known)
                st.caption(f"Affects {one.affects}. Source: {found[one.name].source}.")
    is_usual = all(st.session_state.get(name) == value for name, value in usual.items())
    st.button("Back to the default assumptions", on_click=load, args=(defaults(),), disabled=is_usual)
    return found


def _of_driver(one: Driver) -> tuple[float, float, float]:
    st.markdown(f"**{one.label}**: {one.unit}")
    with st.container(horizontal=True):
        return tuple(
            st.number_input(
                f"{one.name.replace('_', ' ').capitalize()}, {level}",
                value=getattr(one, level),
                step=STEPS.get(one.name, 0.01 if one.limits[1] <= 1 else 1.0),
                format="%g",
                key=key(one.name, level),
                bind="query-params",
                width=180,
            )
            for level in LEVELS
        )


def load(assumptions: Assumptions) -> None:
    """For a callback: puts the assumptions into the boxes, and keeps their sources."""
    st.session_state[LOADED] = dict(assumptions)
    st.session_state[REFUSED] = {}
    for name, value in _keys(assumptions).items():
        st.session_state[name] = value


def distribution() -> str:
    filters.keep_in_address({DISTRIBUTION: DISTRIBUTIONS[0]})
    return st.selectbox(
        "Distribution of each uncertain driver",
        DISTRIBUTIONS,
        key=DISTRIBUTION,
        bind="query-params",
        width=320,
        help="Both go from low to high with the likeliest value at central; PERT keeps closer to it.",
    )
