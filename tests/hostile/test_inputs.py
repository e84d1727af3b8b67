"""Each hostile input comes to its verdict, and what is not refused leaves the good Devices as they were."""

import json
import shutil

import builds
import pytest
from builds import pco, pco_build
from hostile.inputs import DEVICES, INPUTS, ROWS, good_estate
from thorough import times

from data.digests import SUMS
from data.export import outcomes_frame
from data.extracts import digests, surveyed
from data.marts import current


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """The good estate and its snapshot."""
    root = tmp_path_factory.mktemp("good")
    good_estate(root / "extracts")
    folders = builds.Folders(root / "extracts", root / "marts")
    assert pco_build(folders).status == 0
    return folders


@pytest.fixture(scope="module")
def good_outcomes(good):
    return outcomes_of(good.marts)


def outcomes_of(marts):
    return {row["device_id"]: row for row in outcomes_frame(current(marts)).to_dicts()}


def test_there_are_at_least_sixty():
    assert len(INPUTS) >= 60


# A third of them each time, all of them when there is time.
TRIED = list(INPUTS)[:: times(quick=3, thorough=1)]


@pytest.mark.parametrize("name", TRIED)
def test_a_hostile_input_comes_to_its_verdict(name, good, good_outcomes, tmp_path):
    make, verdict = INPUTS[name]
    folders = builds.Folders(tmp_path / "extracts", tmp_path / "marts")
    shutil.copytree(good.extracts, folders.extracts)
    make(folders.extracts)
    done = pco_build(folders)
    assert "Traceback" not in done.err + done.out
    if verdict.refused:
        assert done.status == 3
        assert len(done.problems) == len(verdict.refused), done.err
        for line, (file, words) in zip(done.problems, verdict.refused, strict=True):
            assert line.startswith(f"pco: {file}: ")
            assert words in line
        assert not (folders.marts / "CURRENT").exists()
        return
    assert (done.status, done.err) == (0, "")
    status = json.loads(pco("status", "--json", "--marts", folders.marts).out)
    rows = {extract: told["rows"] for extract, told in status["extracts"].items() if told["rows"] or extract in ROWS}
    assert rows == {extract: count + verdict.more_rows.get(extract, 0) for extract, count in ROWS.items()}
    found = {(row["file"], row["rule"]): row["rows"] for row in status["quarantine"]}
    assert found == verdict.quarantined
    assert status["devices_in_scope"] == DEVICES + verdict.more_devices
    outcomes = outcomes_of(folders.marts)
    assert {device: outcomes[device] for device in good_outcomes} == good_outcomes
    assert [(one.kind, one.where) for one in warnings_of(folders.extracts)] == verdict.warned


def warnings_of(extracts):
    found = surveyed(extracts)
    digests(found)
    assert found.digests_verified == (extracts / SUMS).exists()
    return found.warnings
