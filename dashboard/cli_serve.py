"""`pco serve`: who may be served, and the server's process from its start to its end."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import typer

from dashboard.cli_progress import say_aside
from dashboard.server_settings import LOOPBACK, Settings, is_loopback, use_secrets
from data.marts import BuildUnderWay
from data.mirror import Published

PROJECT = Path(__file__).resolve().parent.parent
# Seconds that the server has to answer for the first time.
STARTS_WITHIN = 60
# Seconds until it is asked again whether something was published.
ASKS_EVERY = 60


def refuse_strangers(settings: Settings) -> None:
    """Raises wrong usage where readers of other machines would come without a login, or by a name unknown."""
    # Half a second to import, which no other command should wait for.
    from dashboard import access

    try:
        loopback = is_loopback(settings.address)
    except ValueError as error:
        raise typer.BadParameter(f"{settings.address!r} is no IP address", param_hint="--address") from error
    if not settings.is_private and not access.is_configured():
        asked = "--host" if loopback else "--address"
        reason = "readers of other machines must log in, and no access control is configured (docs/deployment.md)"
        raise typer.BadParameter(reason, param_hint=asked)
    use_secrets()
    try:
        access.refuse_unfit()
    except access.WrongAccess as error:
        raise typer.BadParameter(str(error), param_hint=access.VARIABLE) from error
    if not loopback and not settings.hosts:
        raise typer.BadParameter("name the host that readers call, or every call is refused", param_hint="--host")


def run(marts: Published, settings: Settings, say: Callable[[str], None]) -> None:
    """Serves until told to stop; raises RuntimeError when the server ends otherwise.

    What is published elsewhere meanwhile is fetched, and readers see it at their next look.
    """
    reached = settings.address if is_loopback(settings.address) else LOOPBACK
    address = f"http://[{reached}]:{settings.port}" if ":" in reached else f"http://{reached}:{settings.port}"
    refuse_taken_port(reached, settings.port)
    server = subprocess.Popen(
        [sys.executable, "-m", "dashboard.server", *settings.arguments()],
        cwd=PROJECT,
        env=without_keys() | {"PCO_MARTS": str(marts.folder.absolute()), "PCO_STOPS_WITH_PARENT": "1"},
        # Never written to: it ends with this process, however that ends, and the server ends with it.
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    end = threading.Event()
    with server.stdin:
        try:
            await_health(server, address)
            say(f"Dashboard: {address}")
            threading.Thread(target=follow, args=[marts, end], name="follow", daemon=True).start()
            status = server.wait()
        except KeyboardInterrupt:
            server.terminate()
            status = server.wait()
        finally:
            end.set()
            marts.stop()
    if status > 0:
        raise RuntimeError(f"the dashboard stopped with status {status}")


def without_keys() -> dict[str, str]:
    """The environment, without an object store's: the process that readers reach asks no store."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}


def follow(marts: Published, end: threading.Event) -> None:
    """Keeps the folder as it is published; what cannot be had is told once, and readers keep what they have."""
    told = None
    while not end.wait(ASKS_EVERY):
        try:
            marts.pull()
            told = None
        except BuildUnderWay:
            pass
        except Exception as error:
            if str(error) != told:
                told = str(error)
                say_aside(f"pco: {' '.join(told.split())}; what was fetched before is served")


def refuse_taken_port(address: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        if probe.connect_ex((address, port)) == 0:
            raise RuntimeError(f"port {port} on {address} is taken; choose another with --port")


def await_health(server: subprocess.Popen, address: str) -> None:
    """Waits until the server answers at all; whether its snapshot is whole is for `/healthz` to say."""
    give_up = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < give_up and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=1) as answer:
                if answer.read() == b"ok":
                    return
        except OSError:
            time.sleep(0.1)
    # Told to stop while it started: that is no failure.
    if server.poll() in (0, -signal.SIGTERM):
        return
    server.terminate()
    raise RuntimeError("the dashboard did not start")
