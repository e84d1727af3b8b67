"""Serves the dashboard as `pco serve` does, for the browsers of tests and measurements."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SAYS = "Dashboard: "


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def served(marts: Path) -> Iterator[str]:
    """The address of a dashboard of these marts; it is stopped at the end."""
    command = [sys.executable, "-m", "dashboard.cli", "serve", "--port", str(free_port()), "--marts", str(marts)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            said = next((line for line in server.stdout if line.startswith(SAYS)), None)
            if said is None:
                raise RuntimeError("the dashboard did not start")
            yield said.removeprefix(SAYS).strip()
        finally:
            server.terminate()
