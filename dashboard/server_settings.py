"""How the dashboard is served: from the command line of `pco serve` to the server's own process."""

import argparse
import importlib
import ipaddress
import os
from dataclasses import dataclass

LOOPBACK = "127.0.0.1"
# Names the file of the login provider's secrets, where it is not Streamlit's own.
SECRETS = "PCO_SECRETS"
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Settings:
    """address, port: where to listen. hosts: names besides loopback's by which readers may call the server.

    tls: a reverse proxy in front of the server speaks TLS. runs: pages drawn at once. patience: seconds that a run
    waits for its turn before its reader is told. sessions: readers connected at once. stop_within: seconds that
    pages being drawn have to finish once the server is told to stop.
    """

    port: int
    address: str = LOOPBACK
    hosts: tuple[str, ...] = ()
    tls: bool = False
    runs: int = 3
    patience: float = 10.0
    sessions: int = 400
    stop_within: float = 10.0

    @property
    def allowed_hosts(self) -> frozenset[str]:
        """Names that a Host header may have; its port does not matter."""
        return frozenset(name.lower().rstrip(".") for name in (*LOOPBACK_NAMES, *self.hosts))

    @property
    def is_private(self) -> bool:
        """Whether only this machine can ask: by loopback, and by no name but loopback's."""
        return is_loopback(self.address) and not self.hosts

    def arguments(self) -> list[str]:
        """What `from_arguments` reads."""
        pairs = [("--port", self.port), ("--address", self.address), ("--runs", self.runs)]
        pairs += [("--patience", self.patience), ("--sessions", self.sessions), ("--stop-within", self.stop_within)]
        pairs += [("--host", name) for name in self.hosts]
        return [str(part) for pair in pairs for part in pair] + ["--tls"] * self.tls


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches the address; raises ValueError for what is no IP address."""
    return ipaddress.ip_address(address).is_loopback


def use_secrets() -> None:
    """Tells Streamlit of the file of secrets; its own variables hold for `streamlit run` alone."""
    if named := os.environ.get(SECRETS):
        importlib.import_module("streamlit.config").set_option("secrets.files", [named])


def from_arguments(arguments: list[str]) -> Settings:
    parser = argparse.ArgumentParser(prog="python -m dashboard.server")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--address", default=LOOPBACK)
    parser.add_argument("--host", action="append", default=[], dest="hosts")
    parser.add_argument("--tls", action="store_true")
    for name, kind in (("runs", int), ("sessions", int), ("patience", float), ("stop_within", float)):
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=getattr(Settings, name))
    found = vars(parser.parse_args(arguments))
    return Settings(**found | {"hosts": tuple(found["hosts"])})
