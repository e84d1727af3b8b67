"""Serves the dashboard as `pco serve` does, for the browsers of tests and measurements."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
PROJECT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass(frozen=True)
class Dashboard:
    """Where it answers, and `pco serve`, which started the server and waits for it."""

    address: str
    command: subprocess.Popen

    @property
    def server(self) -> int:
        """The id of the process that answers."""
        pid = self.command.pid
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


@contextmanager
def started(marts: Path, *options: str, port: int | None = None, **variables: str) -> Iterator[Dashboard]:
    """A dashboard of these marts, with these environment variables besides one's own; it is stopped at the end."""
    serve = ["serve", "--marts", str(marts.absolute()), "--port", str(port or free_port()), *options]
    command = [sys.executable, "-m", "dashboard.cli", *serve]
    told = {**os.environ, **variables}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=told, cwd=PROJECT) as process:
        try:
            said = next((line for line in process.stdout if line.startswith(SAYS)), None)
            if said is None:
                raise RuntimeError("the dashboard did not start")
            yield Dashboard(said.removeprefix(SAYS).strip(), process)
        finally:
            process.terminate()
            process.wait(30)


@contextmanager
def served(marts: Path) -> Iterator[str]:
    """The address of a dashboard of these marts."""
    with started(marts) as dashboard:
        yield dashboard.address
