"""A figure in the page, drawn by the plotly.js that comes with plotly.

Streamlit's own element draws each chart twice, and those that nobody sees too: it begins with a width that it does not
know, and takes its own theme for a change of everything.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import streamlit as st
from starlette.requests import Request
from starlette.responses import FileResponse

# Plotly itself is not imported for its address: the server would be there half a second later.
LIBRARY = Path(find_spec("plotly").origin).parent / "package_data" / "plotly.min.js"
# The version is in it, so that a browser may keep the file.
ADDRESS = f"/plotly-{version('plotly')}.min.js"
IN_PAGE = f'<script async data-plotly src=".{ADDRESS}"></script>'
SCRIPT = Path(__file__).with_suffix(".js").read_text()


@dataclass(frozen=True)
class Plot:
    """A finished figure: plotly's JSON without its template, and its height in pixels."""

    text: str
    height: int


async def library(request: Request) -> FileResponse:
    """Answers with plotly.js."""
    return FileResponse(
        LIBRARY, media_type="text/javascript", headers={"Cache-Control": "public, max-age=31536000, immutable"}
    )


def draw(plot: Plot, key: str, alt: str, on_click: Callable[[list[dict]], None] | None = None) -> None:
    """Draws it under this key; `alt` is what a screen reader says of it.

    on_click: a callback for the points of a mark that was clicked, each with its x, y and customdata.
    """

    def clicked() -> None:
        on_click(st.session_state[key].clicked or [])

    # Registering the same again changes nothing; a runtime that is new does not know it yet.
    mount = st.components.v2.component("plot", js=SCRIPT, isolate_styles=False)
    data = {"figure": plot.text, "alt": alt, "clicks": on_click is not None}
    told = {"on_clicked_change": clicked} if on_click else {}
    mount(key=key, data=data, width="stretch", height=plot.height, **told)
