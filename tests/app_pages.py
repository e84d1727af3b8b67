"""The dashboard's pages, as the app itself lists them."""

import json
import re
from pathlib import Path

APP = Path(__file__).resolve().parents[1] / "dashboard" / "streamlit_app.py"
_LISTED = re.findall(r'st\.Page\("(app_pages/(\w+)\.py)", title="([^"]+)"', APP.read_text(encoding="utf-8"))
# Title -> its file below dashboard/; None is the page that opens by itself.
FILES = {title: None if place == 0 else file for place, (file, _, title) in enumerate(_LISTED)}
# Address -> title.
TITLES = {"" if place == 0 else name: title for place, (_, name, title) in enumerate(_LISTED)}


def plots(app):
    """The figures of an AppTest's page, as the browser is sent them."""
    mounted = [element.proto for element in app.get("bidi_component")]
    return [json.loads(json.loads(one.json)["figure"]) for one in mounted if one.component_name == "plot"]


def with_open_tables(app):
    """An AppTest of a page with each card's table opened, as a reader does who wants the figures."""
    keys = [expander.proto.id.split("-", 2)[-1] for expander in app.expander]
    closed = [key for key in keys if key.startswith("table-") and not app.session_state[key]]
    for key in closed:
        app.session_state[key] = True
    return app.run() if closed else app
