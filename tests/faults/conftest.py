"""One small estate and one snapshot of it, made once a run; each test of faults has a copy of its own."""

import shutil

import faulty
import pytest

from analysis import pipeline


@pytest.fixture(scope="session")
def extracts(tmp_path_factory):
    return faulty.small_estate(tmp_path_factory.mktemp("faults") / "extracts")


@pytest.fixture(scope="session")
def one_snapshot(extracts):
    """Its grace period is 7 days; never changed by a test."""
    marts = extracts.parent / "marts"
    pipeline.build(extracts, marts)
    return marts


@pytest.fixture
def marts(one_snapshot, tmp_path):
    return shutil.copytree(one_snapshot, tmp_path / "marts")
