"""Lets the browser's Back undo a filter."""

from pathlib import Path

import streamlit as st

SCRIPT = Path(__file__).with_suffix(".js").read_text()


def undoes_filters() -> None:
    """Mounts the script, which shows nothing."""
    st.components.v2.component("back", js=SCRIPT)(key="back", width="content", height="content")
