"""What several test files share: one demonstration estate, built once a run."""

import sys

import pytest

from analysis.pipeline import build
from data.estate import generate
from data.marts import Snapshot

DEVICES = 20_000


@pytest.fixture(autouse=True)
def main_module():
    """AppTest leaves the page it ran as the main module, which a process started by a later test would run again."""
    before = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = before


@pytest.fixture(scope="session")
def demonstration(tmp_path_factory) -> Snapshot:
    """The snapshot of a demonstration estate; its extracts and planted truth lie beside the marts."""
    home = tmp_path_factory.mktemp("demonstration")
    generate(home / "extracts", DEVICES, seed=1)
    return build(home / "extracts", home / "marts")


@pytest.fixture(scope="session")
def demonstration_home(demonstration):
    return demonstration.folder.parents[2]
