"""The dashboard's server: `python -m dashboard.server --port PORT` (see `server_settings.py`).

What pages need is imported before the first reader comes: readers who arrive together while a library is
half imported meet its ruins.
"""

import asyncio
import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from dashboard import access, server_settings
from dashboard.server_settings import Settings

LIBRARIES = ("pandas", "polars", "plotly.graph_objects", "pyarrow.parquet", "duckdb", "xlsxwriter")
PROJECT = Path(__file__).resolve().parent.parent
# The largest message, in bytes, that a browser may send; the largest of ours is some thousand.
MOST_MESSAGE = 1 << 20
SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Server(uvicorn.Server):
    """Told to stop, it takes nobody new, lets pages being drawn finish, says goodbye, and ends with 0."""

    def __init__(self, config: uvicorn.Config, settings: Settings, health, turns):
        super().__init__(config)
        self.settings = settings
        self.health = health
        self.turns = turns

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """uvicorn's own would raise the signal once more at the end."""
        earlier = {number: signal.signal(number, self.handle_exit) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)

    async def shutdown(self, sockets=None) -> None:
        self.health.is_stopping = True
        for server in self.servers:
            server.close()
        gate = self.turns.gate
        gate.close()
        give_up = asyncio.get_running_loop().time() + self.settings.stop_within
        while gate.running and not self.force_exit and asyncio.get_running_loop().time() < give_up:
            await asyncio.sleep(0.05)
        # What the last run drew is on its way.
        await asyncio.sleep(0.1)
        await super().shutdown(sockets)


def stops_with_parent(server: Server) -> None:
    """Ends the server when standard input does: `pco serve` holds the other end, and may be killed."""
    # Without a buffer, whose lock the interpreter would miss at its end.
    while os.read(0, 1):
        pass
    server.should_exit = True


def main() -> None:
    settings = server_settings.from_arguments(sys.argv[1:])
    os.chdir(PROJECT)
    for library in LIBRARIES:
        importlib.import_module(library)
    config = importlib.import_module("streamlit.config")
    config.set_option("server.address", settings.address)
    config.set_option("server.port", settings.port)
    config.set_option("server.allowedHosts", sorted(settings.allowed_hosts))
    server_settings.use_secrets()
    access.refuse_unfit()
    asgi, health, turns = (importlib.import_module(f"dashboard.{name}") for name in ("asgi", "health", "turns"))
    checked = health.Health(Path(os.environ["PCO_MARTS"]))
    serving = uvicorn.Config(
        asgi.application(settings, checked),
        host=settings.address,
        port=settings.port,
        ws="websockets-sansio",
        ws_max_size=MOST_MESSAGE,
        ws_ping_interval=30,
        ws_ping_timeout=30,
        ws_per_message_deflate=False,
        access_log=False,
        log_level="warning",
        server_header=False,
        # Only a proxy that is ours says who asks.
        proxy_headers=settings.tls,
        timeout_graceful_shutdown=2,
    )
    server = Server(serving, settings, checked, turns)
    if os.environ.get("PCO_STOPS_WITH_PARENT"):
        threading.Thread(target=stops_with_parent, args=[server], daemon=True).start()
    server.run()
    # Whatever a thread or a library would still do or say at the interpreter's end is no concern of readers.
    logging.shutdown()
    os._exit(0)


if __name__ == "__main__":
    main()
