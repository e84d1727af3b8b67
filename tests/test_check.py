"""`pco check`, oddities of the set of files, bad files left out, and quarantine that is looked at again."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import builds
import pytest
from builds import march, pco, pco_build

from analysis import pipeline
from dashboard import cli_quarantine, missing_data
from data import set_rules
from data.digests import settled
from data.extracts import (
    CHANGED,
    ExtractFile,
    InputRefused,
    Problem,
    Survey,
    changed,
    digests,
    surveyed,
    what_ails,
)
from data.marts import current


def file_of(name, rows=100, extract="dsp_checks"):
    return ExtractFile(extract, Path(name), f"{extract}/{name}", rows, 1, (("device_id", "VARCHAR"),))


def months(*rows):
    """One file a month from January 2021; None for a month without a file."""
    named = [(f"month=2021-{number:02d}/part.parquet", count) for number, count in enumerate(rows, 1)]
    return {"dsp_checks": [file_of(name, count) for name, count in named if count is not None]}


@pytest.mark.parametrize(
    ("rows", "odd"),
    [
        ([100, 100, 100, 100], []),
        ([100, None, 100, 100], [("month missing", "2021-02")]),
        ([100, None, None, 100], [("month missing", "2021-02"), ("month missing", "2021-03")]),
        ([1000, 1000, 199, 1000], [("small month", "2021-03")]),
        ([1000, 1000, 200, 1000], []),
        ([1000, 1000, 1000, 10], [("small month", "2021-04")]),
        ([10, 1000, 1000, 1000], []),
        ([99, 99, 1, 99], []),
        ([1000, 0, 1000], [("small month", "2021-02")]),
        ([5], []),
        ([], []),
    ],
)
def test_months_are_odd_by_the_months_around_them(rows, odd):
    assert [(one.kind, one.where) for one in set_rules.warnings(months(*rows))] == odd


@pytest.mark.parametrize(("most", "refused"), [(0.26, False), (0.25, False), (0.24, True), (1.0, False), (0.0, True)])
def test_more_missing_than_is_allowed_refuses(most, refused):
    # One month of 100 rows of four is missing: a quarter.
    problems = set_rules.too_much_missing(months(100, 100, None, 100), most)
    assert len(problems) == refused
    assert all("25.0%" in line and "2021-03" in line for line in problems)


@pytest.mark.parametrize(
    ("names", "twice"),
    [
        (["month=2021-01/a.parquet", "month=2021-01/b.parquet"], []),
        (["month=2021-01/a.parquet", "again/month=2021-01/a.parquet"], ["2021-01"]),
        (["month=2021-01/a.parquet", "month=2021-01 (1)/a.parquet"], ["2021-01"]),
        (["region=N/month=2021-01/a.parquet", "region=S/month=2021-01/a.parquet"], []),
        (["month=2021-01/day=1/a.parquet", "month=2021-01/day=2/a.parquet"], []),
        (["month=2021-13/a.parquet", "again/month=2021-13/a.parquet"], []),
    ],
)
def test_a_month_stands_twice_where_no_key_sets_its_folders_apart(names, twice):
    found = set_rules.warnings({"dsp_checks": [file_of(name) for name in names]})
    assert [one.where for one in found if one.kind == set_rules.MONTH_TWICE] == twice


@pytest.mark.parametrize(
    "copy", ["x (1).parquet", "x(2).parquet", "x - Copy.parquet", "Copy of x.parquet", "x copy 2.parquet"]
)
def test_copies_are_known_by_their_names(copy):
    files = [file_of("x.parquet"), file_of(copy)]
    assert [one.where for one in set_rules.warnings({"dsp_checks": files})] == [f"dsp_checks/{copy}"]
    files[1] = replace(files[1], rows=99)
    assert set_rules.warnings({"dsp_checks": files}) == []


def test_a_survey_survives_json(tmp_path):
    folders = builds.folders(tmp_path)
    found = surveyed(folders.extracts)
    found.leave_out([Problem("dsp_checks/x: y.parquet", "is odd")])
    assert Survey.from_plain(json.loads(json.dumps(found.plain()))) == found


def test_a_file_that_changes_after_the_survey_is_named(tmp_path):
    folders = builds.folders(tmp_path)
    found = surveyed(folders.extracts)
    assert changed(found) == []
    part = folders.extracts / "parties" / "part-0.parquet"
    part.write_bytes(part.read_bytes())
    assert changed(found) == [f"parties/part-0.parquet: {CHANGED}"]
    with pytest.raises(InputRefused, match="changed while it was read"):
        digests(found)


def test_a_known_file_is_not_digested_again(tmp_path):
    folders = builds.folders(tmp_path)
    found = surveyed(folders.extracts)
    told = digests(found)
    known = {file.name: (list(file.identity), "known") for file in found.all_files() if file.extract == "parties"}
    assert digests(found, known) == {**told, "parties/part-0.parquet": "known"}
    part = folders.extracts / "parties" / "part-0.parquet"
    os.utime(part, (1, 1))
    assert digests(surveyed(folders.extracts), known) == told


def test_an_identity_stands_for_the_content_only_when_it_has_settled():
    assert settled((1, 10**9, 10**9, 1), now=4 * 10**9)
    assert not settled((1, 10**9, 3 * 10**9, 1), now=4 * 10**9)
    assert not settled((1, 9 * 10**9, 10**9, 1), now=4 * 10**9)


def test_only_a_file_at_rest_is_known_again_by_its_identity(tmp_path):
    folders = builds.folders(tmp_path)
    found = surveyed(folders.extracts)
    [file] = found.files["parties"]
    assert found.lasting_identity(file) is None
    found.seen_at += 3 * 10**9
    assert found.lasting_identity(file) == file.identity


# -- pco check ---------------------------------------------------------------------------------------


def spoil(folders):
    """Two bad files, a bad row, a missing month and a copy."""
    (folders.extracts / "parties" / "zero.parquet").write_bytes(b"")
    (folders.extracts / "devices" / "link.parquet").symlink_to("part-0.parquet")
    bad = builds.table_of("registrations", [builds.spell(supplier_id=None)])
    builds.write(bad, folders.extracts / "registrations" / "bad.parquet")
    for month in ("2021-01", "2021-03"):
        checks = builds.table_of("dsp_checks", [builds.dsp_check(checked_at=march(int(month[-1])))])
        builds.write(checks, folders.extracts / "dsp_checks" / f"month={month}" / "x.parquet")


def test_check_says_all_at_once_and_builds_nothing(tmp_path):
    folders = builds.folders(tmp_path)
    spoil(folders)
    before = sorted(tmp_path.rglob("*"))
    done = pco("check", "--extracts", folders.extracts)
    assert done.status == 3
    assert sorted(line.split(": ")[1] for line in done.problems) == [
        "devices/link.parquet",
        "parties/zero.parquet",
        "registrations",
    ]
    assert "1 of 4 rows break the contract, more than 1.00% (supplier_id_is_present)" in done.err
    assert "warning: dsp_checks: no file of month 2021-02, of which others lie around it (month missing)" in done.out
    assert "quarantined: 1 rows of registrations/bad.parquet break supplier_id_is_present" in done.out
    assert sorted(tmp_path.rglob("*")) == before


def test_check_tells_programs_the_same(tmp_path):
    folders = builds.folders(tmp_path)
    good = pco("check", "--json", "--extracts", folders.extracts)
    told = json.loads(good.out)
    assert (good.status, told["good"], told["problems"], told["digests_verified"]) == (0, True, [], False)
    assert told["extracts"]["devices"] == {"files": 1, "rows": 3, "quarantined": 0}
    spoil(folders)
    bad = pco("check", "--json", "--extracts", folders.extracts, "--max-quarantined", 1)
    told = json.loads(bad.out)
    assert (bad.status, told["good"], len(told["problems"])) == (3, False, 2)
    assert told["quarantine"] == [
        {"extract": "registrations", "file": "registrations/bad.parquet", "rule": "supplier_id_is_present", "rows": 1}
    ]
    assert [(one["kind"], one["where"]) for one in told["warnings"]] == [("month missing", "2021-02")]


def test_check_names_the_file_that_cannot_be_read_and_goes_on_to_the_rows_of_others(tmp_path):
    folders = builds.folders(tmp_path)
    spoil(folders)
    for bad in ("parties/zero.parquet", "devices/link.parquet"):
        (folders.extracts / bad).unlink()
    page = folders.extracts / "dsp_checks" / "month=2021-01" / "x.parquet"
    content = bytearray(page.read_bytes())
    content[4:40] = bytes(36)
    page.write_bytes(content)
    done = pco("check", "--extracts", folders.extracts)
    assert [line.split(": ")[1] for line in done.problems] == ["dsp_checks/month=2021-01/x.parquet", "registrations"]


def test_check_can_refuse_for_months_that_are_missing(tmp_path):
    folders = builds.folders(tmp_path)
    spoil(folders)
    for bad in ("parties/zero.parquet", "devices/link.parquet", "registrations/bad.parquet"):
        (folders.extracts / bad).unlink()
    assert pco("check", "--extracts", folders.extracts).status == 0
    done = pco("check", "--extracts", folders.extracts, "--max-missing", 0.05)
    assert (done.status, len(done.problems)) == (3, 1)
    assert "seem to be missing" in done.err


def test_check_of_no_folder_is_refused_in_a_line(tmp_path):
    done = pco("check", "--extracts", tmp_path / "nowhere")
    assert (done.status, done.problems) == (3, [f"pco: {tmp_path / 'nowhere'}: no such folder"])


# -- bad files left out ------------------------------------------------------------------------------


def test_bad_files_can_be_left_out_by_name_and_reason(tmp_path):
    folders = builds.folders(tmp_path)
    spoil(folders)
    found = surveyed(folders.extracts, leave_out_bad=True)
    assert [problem.name for problem in found.left_out] == ["devices/link.parquet", "parties/zero.parquet"]
    assert [file.name for file in found.files["parties"]] == ["parties/part-0.parquet"]


def test_an_extract_of_which_no_good_file_is_left_refuses_all_the_same(tmp_path):
    folders = builds.folders(tmp_path)
    (folders.extracts / "parties" / "part-0.parquet").write_bytes(b"")
    with pytest.raises(InputRefused) as refused:
        surveyed(folders.extracts, leave_out_bad=True)
    assert [line.split(": ")[0] for line in refused.value.problems] == ["parties/part-0.parquet", "parties"]


def test_a_good_file_ails_nothing(tmp_path):
    folders = builds.folders(tmp_path)
    assert [what_ails(file) for file in surveyed(folders.extracts).all_files()[:2]] == [None, None]


def test_the_banner_names_what_is_missing_and_is_no_markup():
    assert missing_data.banner({}) is None
    assert missing_data.banner({"left_out": []}) is None
    said = missing_data.banner({"left_out": [["devices/[x](javascript:1).parquet", "is a link"]] * 7})
    assert "7 files were left out" in said
    assert "and 2 more" in said
    assert "](" not in said


def test_status_lines_tell_left_out_warnings_and_digests():
    warned = set_rules.Warned("month missing", "dsp_checks", "2021-02", "no file of month 2021-02")._asdict()
    manifest = {"left_out": [["a", "b"]], "warnings": [warned], "digests_verified": False}
    assert missing_data.status_lines(manifest) == [
        "left out: a: b",
        "warning: dsp_checks: no file of month 2021-02 (month missing)",
        "digests: no SHA256SUMS came with the extracts, so a file that was damaged on its way may have passed.",
    ]
    assert missing_data.warnings_table(manifest).to_dicts() == [
        {"kind": "month missing", "extract": "dsp_checks", "where": "2021-02", "what": "no file of month 2021-02"}
    ]


# -- quarantine --------------------------------------------------------------------------------------


def test_quarantine_is_listed_and_released_once_the_file_is_put_right(tmp_path):
    folders = builds.folders(tmp_path)
    file = folders.extracts / "registrations" / "bad.parquet"
    builds.write(builds.table_of("registrations", [builds.spell(supplier_id=None)]), file)
    assert pco_build(folders, "--grace-days", 9).status == 0
    assert "rows: registrations/bad.parquet: 1 rows break supplier_id_is_present" in listed(folders)
    release = ("quarantine", "release", "--marts", folders.marts, "--extracts", folders.extracts)
    still = pco(*release)
    assert (still.status, current(folders.marts).number) == (0, 1)
    assert "still quarantined: registrations/bad.parquet" in still.out
    builds.write(builds.table_of("registrations", [builds.spell()]), file)
    done = pco(*release)
    assert (done.status, current(folders.marts).number) == (0, 2)
    assert "good to be read: registrations/bad.parquet" in done.out
    assert current(folders.marts).manifest["grace_days"] == 9
    assert listed(folders) == "Nothing is quarantined.\n"
    assert pco(*release).out == "Nothing is quarantined.\n"


def listed(folders):
    return pco("quarantine", "list", "--marts", folders.marts).out


def test_a_file_that_was_left_out_is_looked_at_again(tmp_path):
    folders = builds.folders(tmp_path)
    assert pco_build(folders).status == 0
    snapshot = current(folders.marts)
    name = "dsp_checks/more.parquet"
    with_left_out = replace(snapshot, manifest={**snapshot.manifest, "left_out": [[name, "cannot be read"]]})
    assert cli_quarantine.held(with_left_out) == {name}
    assert cli_quarantine.lines(with_left_out) == [f"file: {name}: cannot be read"]
    (folders.extracts / name).write_bytes(b"")
    better, still = cli_quarantine.looked_at_again(with_left_out, folders.extracts)
    assert (better, list(still)) == ([], [name])
    shutil.copy(folders.extracts / "dsp_checks" / "part-0.parquet", folders.extracts / name)
    assert cli_quarantine.looked_at_again(with_left_out, folders.extracts) == ([name], {})
    (folders.extracts / name).unlink()
    assert cli_quarantine.looked_at_again(with_left_out, folders.extracts) == ([name], {})


def test_a_release_asks_for_what_the_last_build_was_asked_for(tmp_path):
    folders = builds.folders(tmp_path)
    assert pco_build(folders, "--as-at", "2021-03-30", "--grace-days", 3).status == 0
    asked = cli_quarantine.parameters(current(folders.marts).manifest)
    assert asked == pipeline.Parameters(march(30), 3, 1.0)
