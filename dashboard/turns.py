"""A reader's turn to have a page drawn."""

import random
from functools import cache
from pathlib import Path
from types import CodeType

import streamlit as st
from streamlit.runtime.scriptrunner_utils.script_run_context import get_run_yield_check

from dashboard.gate import Gate
from dashboard.server_settings import Settings

APP = Path(__file__).with_name("streamlit_app.py")
# Seconds until a page that found the dashboard busy asks again; not all at once.
ASK_AGAIN = (3.0, 6.0)
# The server sets the number of its settings.
gate = Gate(Settings.runs, Settings.patience)


@cache
def dashboard() -> CodeType:
    return compile(APP.read_text(encoding="utf-8"), str(APP), "exec")


def draw() -> None:
    """Runs `streamlit_app.py` in its turn."""
    with gate.turn(get_run_yield_check() or (lambda: None)) as is_in:
        if is_in:
            exec(dashboard(), {"__name__": "__main__", "__file__": str(APP)})
        else:
            busy()


def busy() -> None:
    """Says so and asks again by itself; filters stay as they were."""
    st.session_state["busy_asks_again"] = False
    st.warning(
        "**Busy.** More pages are asked for than can be drawn at once. This one asks again by itself in a few seconds; "
        "nothing needs to be done.",
        icon=":material/hourglass_top:",
    )
    st.fragment(ask_again, run_every=random.uniform(*ASK_AGAIN))()
    # A stopped run forgets no filter that it did not draw.
    st.stop()


def ask_again() -> None:
    """Draws nothing the first time; its clock then runs it alone, and the whole page is asked for."""
    if st.session_state.get("busy_asks_again"):
        st.rerun()
    st.session_state["busy_asks_again"] = True
