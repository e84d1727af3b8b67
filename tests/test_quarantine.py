"""From a bad file to its release, by `pco` and on the pages; and `pco check` says what `pco build` does."""

import json
from unittest.mock import patch

import builds
import estates
import pytest
from app_pages import APP, FILES
from builds import dsp_check, pco, pco_build, secure_devices
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest
from test_build import few, planned
from test_refresh import home, watched

from analysis.pipeline import Parameters, build
from data import digests
from data.check import checked
from data.digests import CHANGED
from data.extracts import InputRefused
from data.marts import current
from data.reduction import Reader

BAD = "dsp_checks/more.parquet"


def pages(marts, monkeypatch):
    """What each page says in warnings, by title."""
    monkeypatch.setenv("PCO_MARTS", str(marts))
    said = {}
    for title, file in FILES.items():
        app = AppTest.from_file(str(APP), default_timeout=60)
        app = app.switch_page(file).run() if file else app.run()
        assert not app.exception, title
        said[title] = " ".join(one.value for one in app.warning).replace("\\", "")
    return said


def test_a_bad_file_is_left_out_told_on_every_page_and_released_once_it_is_mended(tmp_path, monkeypatch):
    found = builds.folders(tmp_path, secure_devices(range(1, 9)))
    bad = found.extracts / BAD
    bad.write_bytes(b"PAR1 no more of it PAR1")
    refused = pco_build(found)
    assert refused.status == 3
    assert refused.problems[0].startswith(f"pco: {BAD}: cannot be read as Parquet")
    assert pco_build(found, "--quarantine-files").status == 0
    assert [title for title, said in pages(found.marts, monkeypatch).items() if BAD not in said] == []
    release = ("quarantine", "release", "--marts", found.marts, "--extracts", found.extracts)
    assert "still quarantined" in pco(*release).out
    assert current(found.marts).number == 1
    builds.write(builds.table_of("dsp_checks", [dsp_check(8, checked_at=builds.march(3, 2))]), bad)
    with patch.object(digests, "SETTLED_NANOSECONDS", 0), watched() as (files, _):
        done = pco(*release)
    assert (done.status, files) == (0, [BAD])
    assert current(found.marts).number == 2
    assert current(found.marts).manifest["extracts"]["dsp_checks"]["rows"] == 17
    assert [title for title, said in pages(found.marts, monkeypatch).items() if BAD in said] == []
    assert json.loads(pco("status", "--json", "--marts", found.marts).out)["left_out"] == []


def test_an_extract_rewritten_during_the_build_refuses_it_and_the_snapshot_before_serves(tmp_path):
    found = builds.folders(tmp_path)
    assert build(*found).number == 1
    [file] = (found.extracts / "dsp_checks").rglob("*.parquet")
    [other] = (found.extracts / "devices").rglob("*.parquet")
    builds.write(builds.table_of("dsp_checks", [*secure_devices()["dsp_checks"], dsp_check(2)]), file)
    reduce = Reader.reduce
    for changes in (file, other):
        before = changes.read_bytes()

        def reading(self, contract, batch, folder, changes=changes):
            facts = reduce(self, contract, batch, folder)
            if contract.extract == "dsp_checks":
                changes.write_bytes(changes.read_bytes())
            return facts

        with builds.in_this_process(), patch.object(Reader, "reduce", reading), pytest.raises(InputRefused) as refused:
            build(*found)
        name = changes.relative_to(found.extracts).as_posix()
        assert refused.value.problems == [f"{name}: {CHANGED}"]
        assert current(found.marts).number == 1
        assert changes.read_bytes() == before
    done = build(*found)
    assert (done.number, done.manifest["extracts"]["dsp_checks"]["rows"]) == (2, 7)


@few(3)
@given(plan=planned(st.integers(0, 8)), most=st.sampled_from([0.02, 0.2, 1.0]))
def test_check_says_what_a_build_then_does(plan, most):
    with home() as (extracts, marts):
        estates.write_estate(estates.make_estate(**plan), extracts)
        told = checked(extracts, most)
        try:
            snapshot, problems = build(extracts, marts, Parameters(most_quarantined=most)), []
        except InputRefused as refused:
            snapshot, problems = None, refused.problems
        assert set(problems) == set(told.problems)
        if snapshot is None:
            return
        kept = snapshot.manifest["extracts"]
        assert {name: one["quarantined"] for name, one in told.extracts.items()} == {
            name: one["quarantined"] for name, one in kept.items()
        }
        rows = snapshot.frame("quarantine").select("extract", "file", "rule", "rows").to_dicts()
        assert sorted(map(str, told.quarantine)) == sorted(map(str, rows))
        assert told.unrecognised == snapshot.frame("unrecognised").to_dicts()
