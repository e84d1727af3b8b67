"""The dashboard as an ASGI application: `st.App` behind its guard."""

import gc
import importlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Thread

import streamlit as st
from starlette.middleware import Middleware
from starlette.routing import Route

from dashboard import access, plot, turns
from dashboard.gate import Gate
from dashboard.guard import HEALTH, Guard
from dashboard.health import Health
from dashboard.server_settings import Settings
from data.marts import NoSnapshot, current

SCRIPT = Path(__file__).with_name("gated_app.py")
# They pull in the rest of what pages are made of.
PAGE_PARTS = ("cards", "filters", "reading", "device_list", "report_choice", "case_document", "workbook")


# Devices whose roads are read before anyone asks for them: of more they take much memory, and may never be asked for.
MOST_READ_AHEAD = 20_000_000


def application(settings: Settings, health: Health) -> st.App:
    turns.gate = Gate(settings.runs, settings.patience)
    return st.App(
        SCRIPT,
        lifespan=partial(_with_parts, health.marts),
        routes=[Route(HEALTH, health.answer), Route(plot.ADDRESS, plot.library)],
        middleware=[Middleware(Guard, settings=settings, has_login=access.is_configured())],
    )


@asynccontextmanager
async def _with_parts(marts: Path, app: st.App) -> AsyncIterator[None]:
    """Imports what pages are made of before the first reader, once there is a cache for it."""
    for part in PAGE_PARTS:
        importlib.import_module(f"dashboard.{part}")
    # Streamlit looks for garbage after each run of a page, through all that was ever imported: a tenth of a second, in
    # which nobody else is served. What is there by now stays until the end, so it need not be looked through.
    gc.collect()
    gc.freeze()
    # A daemon, as reading tens of gigabytes is to hold up neither the first reader nor the end of the server.
    Thread(target=_read_ahead, args=[marts], name="read-ahead", daemon=True).start()
    yield


def _read_ahead(marts: Path) -> None:
    """Reads and verifies what is large, so that the first reader need not wait for it; pages tell of damage."""
    from dashboard import reading

    # Streamlit's caches warn of a thread that draws no page.
    logging.getLogger("streamlit.runtime.scriptrunner_utils.script_run_context").setLevel(logging.ERROR)
    with suppress(NoSnapshot):
        snapshot = current(marts)
        if reading.has_roads(snapshot) and snapshot.rows("outcomes") <= MOST_READ_AHEAD:
            reading.roads(snapshot)
        snapshot.verify()
