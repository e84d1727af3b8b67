"""`pco` from outside: exit statuses, help, one line a problem, and what `status` tells."""

import io
import json
import re
import socket
import subprocess
import sys
from contextlib import contextmanager
from unittest.mock import patch

import builds
import pytest
from builds import march, pco, pco_build, pco_process
from rich.console import Console

from dashboard import cli, cli_progress
from data.export import outcomes_frame
from data.marts import current

# Command -> the options of it that CONTRACT section 8 and its own work ask for.
OPTIONS = {
    "demo": [],
    "generate": ["--devices", "--seed", "--out", "--months"],
    "build": ["--extracts", "--marts", "--as-at", "--grace-days", "--max-quarantined"],
    "serve": ["--marts", "--port"],
    "export": ["--marts", "--to", "--by"],
    "status": ["--marts", "--json"],
    "business-case": ["--marts", "--to", "--assumptions", "--scenario", "--amendments", "--no-evidence"],
    "report": ["--audience", "--month", "--marts", "--out", "--party", "--region", "--format", "--stamp"],
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """One good build of three secure Devices with one bad row and one unknown code."""
    extracts = builds.secure_devices()
    extracts["devices"][0]["csp_region"] = "Atlantis"
    extracts["dsp_checks"].append(builds.dsp_check(passed=None))
    folders = builds.folders(tmp_path_factory.mktemp("cli"), extracts)
    assert pco_build(folders).status == 0
    return folders


def outcomes(folders):
    return outcomes_frame(current(folders.marts)).to_dicts()


# --- help ---------------------------------------------------------------------------------------------------


@pytest.fixture
def wide(monkeypatch):
    """A terminal in which help breaks no word."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERMINAL_WIDTH", "200")


def helped(*command):
    done = pco(*command, "--help")
    assert (done.status, done.err) == (0, "")
    return done.out


def test_help_lists_every_command_with_a_sentence(wide):
    told = helped()
    for command in OPTIONS:
        assert re.search(rf"{command} +\w+.* \w+.*\.", told)


@pytest.mark.parametrize("command", OPTIONS)
def test_help_of_a_command_explains_each_option(wide, command):
    told = helped(command)
    for option in OPTIONS[command]:
        assert re.search(rf"{option} .*\w+ \w+ \w+", told) or option == "--json"
        assert option in told


def test_help_of_export_names_every_table_column_and_ending(wide):
    told = " ".join(helped("export").split())
    words = "outcomes rates causes amendments quarantine .parquet .csv .xlsx device_type csp_region supplier"
    words += " supplier_at_commissioning network_operator manufacturer model commissioned_month"
    assert [word for word in words.split() if word not in told] == []


def test_without_a_command_help_is_shown(wide):
    done = pco()
    assert done.status == 2
    assert "pco demo" in done.out + done.err


# --- wrong usage: exit 2, one line on stderr ----------------------------------------------------------------

BUILD = ["build", "--extracts", "e", "--marts", "m"]
WRONG = {
    "no such command": (["bulid"], "bulid"),
    "no such option": ([*BUILD, "--force"], "--force"),
    "a required option is missing": (["build", "--extracts", "e"], "--marts"),
    "an option without its value": (["status", "--marts"], "--marts"),
    "too many arguments": (["status", "--marts", "m", "n"], "n"),
    "no argument": (["export", "--marts", "m", "--to", "x.csv"], "table"),
    "a time that is none": ([*BUILD, "--as-at", "yesterday"], "yesterday"),
    "a time before time": ([*BUILD, "--as-at", "0001-01-01T00:00+14:00"], "--as-at"),
    "grace that is no number": ([*BUILD, "--grace-days", "week"], "--grace-days"),
    "grace below zero": ([*BUILD, "--grace-days", "-1"], "--grace-days"),
    "grace beyond any calendar": ([*BUILD, "--grace-days", "999999999999"], "--grace-days"),
    "a share above one": ([*BUILD, "--max-quarantined", "1.5"], "--max-quarantined"),
    "no devices": (["generate", "--out", "x", "--devices", "0"], "--devices"),
    "a port that is none": (["serve", "--marts", "m", "--port", "65536"], "--port"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_usage_is_one_line_on_stderr(name, tmp_path, monkeypatch):
    arguments, word = WRONG[name]
    monkeypatch.chdir(tmp_path)
    done = pco(*arguments)
    assert (done.status, done.out, len(done.problems)) == (2, "", 1)
    assert done.err.startswith("pco: ")
    assert word in done.err
    assert list(tmp_path.iterdir()) == []


# --- statuses, as the shell sees them -----------------------------------------------------------------------


def test_a_process_ends_with_0_2_3_and_1(tmp_path):
    folders = builds.folders(tmp_path)
    build = ["build", "--extracts", folders.extracts, "--marts", folders.marts]
    done = {
        0: pco_process(*build),
        2: pco_process(*build, "--as-at", "yesterday"),
        3: pco_process("build", "--extracts", tmp_path / "none", "--marts", folders.marts),
        1: pco_process("status", "--marts", tmp_path / "none"),
    }
    assert [ran.status for ran in done.values()] == list(done)
    assert [len(ran.problems) for ran in done.values()] == [0, 1, 1, 1]
    assert "Traceback" not in "".join(ran.err + ran.out for ran in done.values())
    assert current(folders.marts).number == 1


def test_an_error_that_nobody_foresaw_is_one_line_and_1(tmp_path):
    folders = builds.folders(tmp_path)
    with patch.object(cli.pipeline, "build", side_effect=LookupError("of two\nlines")):
        done = pco_build(folders)
    assert (done.status, done.problems) == (1, ["pco: LookupError: of two lines"])


def test_an_interrupt_is_1_without_a_traceback(tmp_path):
    with patch.object(cli.pipeline, "build", side_effect=KeyboardInterrupt):
        done = pco(*BUILD)
    assert (done.status, "Traceback" in done.err) == (1, False)


def test_a_taken_port_is_told(folders):
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = pco("serve", "--marts", folders.marts, "--port", server.getsockname()[1])
    assert (done.status, len(done.problems)) == (1, 1)
    assert "taken" in done.err


def test_serving_before_the_first_build_is_told(tmp_path):
    done = pco("serve", "--marts", tmp_path)
    assert (done.status, len(done.problems)) == (1, 1)
    assert "pco build" in done.err


# --- progress -----------------------------------------------------------------------------------------------


def test_progress_elsewhere_than_on_a_terminal_is_plain_lines(tmp_path):
    done = pco_build(builds.folders(tmp_path))
    *progress, last = done.out.splitlines()
    assert [line for line in progress if not re.fullmatch(r"[A-Z][\w ]+: [\d,]+ of [\d,]+", line)] == []
    assert "Snapshot 1" in last
    assert "\r" not in done.out
    assert "\x1b" not in done.out
    assert done.err == ""


def test_progress_of_a_stage_ends_with_all_of_it(tmp_path):
    done = pco_build(builds.folders(tmp_path))
    stages = {}
    for line in done.out.splitlines()[:-1]:
        stage, counts = line.split(": ")
        stages[stage] = counts.split(" of ")
    assert stages == {stage: [total, total] for stage, (_, total) in stages.items()}


def test_progress_is_a_few_lines_however_long_the_work():
    lines = io.StringIO()
    with patch("sys.stdout", lines):
        show = cli_progress.PlainLines()
        for done in range(10_001):
            show("Working", done, 10_000)
    assert 2 <= len(lines.getvalue().splitlines()) <= 12


def test_progress_on_a_terminal_is_a_bar(tmp_path):
    terminal = Console(file=io.StringIO(), force_terminal=True, width=100)
    with patch.object(cli_progress, "out", terminal):
        done = pco_build(builds.folders(tmp_path))
    assert done.status == 0
    assert "Reading the extracts: " not in done.out
    assert "━" in terminal.file.getvalue()


# --- build --------------------------------------------------------------------------------------------------


@contextmanager
def built_with(folders, *options):
    assert pco_build(folders, *options).status == 0
    yield current(folders.marts).manifest


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2021-03-02", "2021-03-02T00:00:00"),
        ("2021-03-02T12:30", "2021-03-02T12:30:00"),
        ("2021-03-02T12:30:00Z", "2021-03-02T12:30:00"),
        ("2021-06-02T00:30+01:00", "2021-06-01T23:30:00"),
    ],
)
def test_as_at_is_utc_and_one_with_a_zone_is_converted(tmp_path, text, instant):
    with built_with(builds.folders(tmp_path), "--as-at", text) as manifest:
        assert manifest["as_at"] == instant


@pytest.mark.parametrize(("days", "reported"), [(7, "failed"), (19, "failed"), (20, "not_due")])
def test_grace_days_say_when_a_device_is_due(tmp_path, days, reported):
    """Commissioned on 1 March, as at the 20th; at the very instant it is due."""
    extracts = builds.secure_devices([1]) | {"dsp_checks": []}
    folders = builds.folders(tmp_path, extracts)
    with built_with(folders, "--grace-days", days):
        assert [row["reported"] for row in outcomes(folders)] == [reported]


def test_grace_is_seven_days_unless_told(folders):
    assert current(folders.marts).manifest["grace_days"] == 7
    assert {row["due_at"] for row in outcomes(folders)} == {march(8)}


# --- status -------------------------------------------------------------------------------------------------


def test_status_for_programs_tells_all_of_it(folders):
    done = pco("status", "--json", "--marts", folders.marts)
    told = json.loads(done.out)
    assert (done.status, done.err) == (0, "")
    assert (told["snapshot"], told["as_at"], told["devices_in_scope"]) == (1, "2021-03-20T00:00:00", 3)
    assert {name: extract["rows"] for name, extract in told["extracts"].items()} == {
        "devices": 3,
        "service_responses": 15,
        "dsp_checks": 7,
        "registrations": 3,
        "credential_reads": 15,
        "certificates": 5,
        "parties": 4,
        "incidents": 0,
        "messages": 0,
    }
    assert {name: extract["quarantined"] for name, extract in told["extracts"].items() if extract["quarantined"]} == {
        "dsp_checks": 1
    }
    assert told["quarantine"] == [
        {"extract": "dsp_checks", "file": "dsp_checks/part-0.parquet", "rule": "passed_is_present", "rows": 1}
    ]
    assert told["unrecognised"] == [{"extract": "devices", "column": "csp_region", "value": "Atlantis", "rows": 1}]


def test_status_in_words_tells_the_same(folders):
    done = pco("status", "--marts", folders.marts)
    assert (done.status, done.err) == (0, "")
    for words in (
        "Snapshot 1",
        "as at 2021-03-20T00:00:00 UTC",
        "3 Devices in scope",
        "quarantined: 1 rows of dsp_checks break passed_is_present",
        "unrecognised: devices.csp_region 'Atlantis' in 1 rows",
    ):
        assert words in done.out
    assert re.search(r"service_responses\W+1\W+15\W+0\W", done.out)


def test_status_says_when_the_snapshot_was_built(folders):
    told = json.loads(pco("status", "--json", "--marts", folders.marts).out)
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?", told["built_at"])
    assert told["built_at"] > told["as_at"]


# --- generate -----------------------------------------------------------------------------------------------


def test_generated_extracts_can_be_built(tmp_path):
    made = pco("generate", "--devices", 2000, "--seed", 3, "--months", 12, "--out", tmp_path / "extracts")
    assert (made.status, made.err) == (0, "")
    marts = tmp_path / "marts"
    done = pco("build", "--extracts", tmp_path / "extracts", "--marts", marts)
    assert (done.status, done.err) == (0, "")
    assert current(marts).manifest["is_demonstration"] is True
    assert "demonstration estate" in pco("status", "--marts", marts).out


def test_a_command_does_not_wait_for_what_only_pages_need():
    """Streamlit and plotly take longer to import than a build with nothing changed."""
    code = "import sys, dashboard.cli; print([m for m in ('streamlit', 'plotly', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
