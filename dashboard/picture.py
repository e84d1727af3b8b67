"""A button that saves a card's chart as a PNG: the reader's own browser draws it, nothing is asked of the server."""

from pathlib import Path

import streamlit as st

HTML = '<button type="button">PNG</button>'
# As the download buttons beside it.
CSS = """
button {
  font: inherit;
  font-size: 0.875rem;
  color: var(--st-text-color);
  background: var(--st-background-color);
  border: 1px solid var(--st-border-color);
  border-radius: var(--st-button-radius);
  min-height: 2.5rem;
  padding: 0.25rem 0.75rem;
  cursor: pointer;
}
button:hover {
  color: var(--st-primary-color);
  border-color: var(--st-primary-color);
}
button:focus-visible {
  outline: 3px solid var(--st-primary-color);
  outline-offset: 1px;
}
"""
# Read once: the browser keeps the script by its text.
SCRIPT = Path(__file__).with_suffix(".js").read_text()


def hides_the_camera() -> None:
    """Plotly's own camera would save a picture that does not say what it is; the button of the card presses it."""
    st.html("<style>.modebar-btn[data-title*=PNG] { display: none; }</style>")


def button(key: str, file_name: str, title: str, lines: list[str]) -> None:
    """`lines` stand below the chart in the picture, the title above it."""
    # Registering the same again changes nothing; a runtime that is new does not know it yet.
    mount = st.components.v2.component("picture", html=HTML, css=CSS, js=SCRIPT)
    mount(
        key=key,
        data={"file": file_name.removesuffix(".png"), "title": title, "lines": lines},
        width="content",
        height="content",
    )
