"""A table is the same table as Parquet, as CSV and as Excel."""

import csv
import re
from datetime import date, datetime, timedelta

import builds
import openpyxl
import polars as pl
import pyarrow.parquet as pq
import pytest
from builds import march, pco, pco_build

from data import export
from data.export import write_sheet

LISTS = {"unmet_checks", "faults", "causes", "amendments", "samples"}
TABLES = {
    "outcomes": ["outcomes"],
    "rates": ["rates"],
    "rates by two": ["rates", "--by", "csp_region,manufacturer"],
    "causes": ["causes"],
    "causes by one": ["causes", "--by", "supplier"],
    "amendments": ["amendments"],
    "quarantine": ["quarantine"],
}


def estate():
    """Devices that pass, that fail for two causes, that are not due, and that are not as they are reported."""
    extracts = builds.secure_devices(range(1, 6))
    devices = extracts["devices"]
    devices[0] |= {"manufacturer": "=1+1", "model": "+44 20", "firmware_version": "{=1}"}
    devices[1] |= {"manufacturer": 'Semicolon; "quote", comma', "model": "two\nlines", "firmware_version": "1.10"}
    devices[2] |= {"manufacturer": None, "model": "-5", "firmware_version": "007"}
    devices[3] |= {"manufacturer": "http://example.org", "model": "@x", "firmware_version": "1e5"}
    devices.append(builds.device(6, commissioned_at=march(19)))
    failing = [builds.eui(2), builds.eui(3)]
    extracts["service_responses"] = [
        row | {"execution_status": ""} if row["device_id"] in failing and row["srv"] == "6.17" else row
        for row in extracts["service_responses"]
    ]
    extracts["registrations"].append(builds.spell(3, supplier_id="S-TWO", effective_from=date(2021, 3, 10)))
    extracts["credential_reads"][-1]["subject_key_identifier"] = "C0-00-00-00-00-00-00-FF"
    extracts["dsp_checks"].append(builds.dsp_check(passed=None))
    return extracts


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folders = builds.folders(tmp_path_factory.mktemp("export"), estate())
    assert pco_build(folders).status == 0
    return folders


@pytest.fixture(scope="module")
def exported(folders, tmp_path_factory):
    """(table, ending) -> the file that `pco export` wrote."""
    root = tmp_path_factory.mktemp("files")
    files = {}
    for name, (table, *options) in TABLES.items():
        for ending in ("parquet", "csv", "xlsx"):
            files[name, ending] = root / f"{name}.{ending}"
            done = pco("export", table, *options, "--marts", folders.marts, "--to", files[name, ending])
            assert done.status == 0
    return files


def rows_of_parquet(file):
    return pq.ParquetFile(file).read().to_pylist()


def rows_of_csv(file):
    """Texts; without a value an unquoted nothing, which csv does not tell from the empty text."""
    with file.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def rows_of_sheet(file):
    workbook = openpyxl.load_workbook(file)
    [sheet] = workbook.worksheets
    header, *rows = sheet.iter_rows(values_only=True)
    return [dict(zip(header, row, strict=True)) for row in rows]


def in_csv(value):
    if value is None:
        return ""
    if isinstance(value, list):
        return "; ".join(value)
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    # A sheet would take it for a formula.
    is_text = isinstance(value, str) and not re.fullmatch(r"[+-]?\d+(\.\d+)?", text)
    return "'" + text if is_text and text[:1] in tuple("=+-@\t\r\n") else text


def in_sheet(value):
    """A cell holds no empty text."""
    if isinstance(value, list):
        value = "; ".join(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    return None if value == "" else value


def close(found, expected):
    """Excel counts a time in days and a number in 15 digits."""
    if isinstance(expected, datetime):
        return abs(found - expected) < timedelta(milliseconds=1)
    if isinstance(expected, float):
        return float(found) == pytest.approx(expected, abs=1e-12)
    return found == expected and isinstance(found, bool) == isinstance(expected, bool)


@pytest.mark.parametrize("name", TABLES)
def test_csv_holds_what_parquet_holds(exported, name):
    parquet, lines = rows_of_parquet(exported[name, "parquet"]), rows_of_csv(exported[name, "csv"])
    assert list(lines[0]) == list(parquet[0])
    assert len(lines) == len(parquet)
    for line, row in zip(lines, parquet, strict=True):
        for column, value in row.items():
            assert close(line[column], value if isinstance(value, float) else in_csv(value)), column


@pytest.mark.parametrize("name", TABLES)
def test_a_sheet_holds_what_parquet_holds(exported, name):
    parquet, sheet = rows_of_parquet(exported[name, "parquet"]), rows_of_sheet(exported[name, "xlsx"])
    assert list(sheet[0]) == list(parquet[0])
    assert len(sheet) == len(parquet)
    for cells, row in zip(sheet, parquet, strict=True):
        for column, value in row.items():
            assert close(cells[column], in_sheet(value)), column


def by_device(rows):
    return {row["device_id"]: row for row in rows}


def test_lists_are_lists_in_parquet_and_joined_elsewhere(exported):
    unmet = ["issue_digital_signature", "issue_key_agreement"]
    causes = ["empty_status", "change_of_supplier"]
    third = [
        by_device(rows(exported["outcomes", ending]))[builds.eui(3)]
        for rows, ending in [(rows_of_parquet, "parquet"), (rows_of_csv, "csv"), (rows_of_sheet, "xlsx")]
    ]
    assert (third[0]["unmet_checks"], third[0]["causes"]) == (unmet, causes)
    for row in third[1:]:
        assert (row["unmet_checks"], row["causes"]) == ("; ".join(unmet), "; ".join(causes))


def test_an_empty_list_is_no_null_in_parquet(exported):
    first = by_device(rows_of_parquet(exported["outcomes", "parquet"]))[builds.eui(1)]
    assert (first["unmet_checks"], first["faults"], first["causes"]) == ([], [], None)


def test_text_that_looks_like_a_formula_is_text(exported):
    [sheet] = openpyxl.load_workbook(exported["outcomes", "xlsx"]).worksheets
    cells = {cell.value: cell.data_type for row in sheet.iter_rows() for cell in row}
    texts = ["=1+1", "+44 20", "{=1}", "-5", "@x", "http://example.org", "007", "1e5", "1.10"]
    assert {text: cells[text] for text in texts} == dict.fromkeys(texts, "s")


def test_times_and_dates_are_dates_in_a_sheet(exported):
    third = by_device(rows_of_sheet(exported["outcomes", "xlsx"]))[builds.eui(3)]
    assert third["commissioned_at"] == march(1)
    assert third["changed_supplier_at"] == march(10)


def test_a_shown_device_id_is_in_the_duis_form(exported):
    ids = [row["device_id"] for row in rows_of_csv(exported["outcomes", "csv"])]
    assert sorted(ids) == [builds.eui(number) for number in range(1, 7)]


def test_all_thirty_two_amendments_are_written(exported):
    rows = rows_of_parquet(exported["amendments", "parquet"])
    assert len({(*row["amendments"], row["evidence"]) for row in rows}) == 32


def test_a_group_without_devices_that_are_due_has_null_rates(folders, tmp_path):
    """Of 19 March 2021 the sixth Device is not due until the 26th."""
    extracts = builds.secure_devices([1])
    extracts["devices"].append(builds.device(6, commissioned_at=march(19), csp_region="South"))
    folders = builds.folders(tmp_path, extracts)
    pco_build(folders)
    names = ["reported_failure_rate", "actual_failure_rate", "actual_low", "actual_high", "over_reporting"]
    for ending, rows_of, nothing in [("csv", rows_of_csv, ""), ("xlsx", rows_of_sheet, None)]:
        to = tmp_path / f"rates.{ending}"
        pco("export", "rates", "--by", "csp_region", "--marts", folders.marts, "--to", to)
        north, south = rows_of(to)
        assert (north["csp_region"], south["csp_region"], int(south["due"])) == ("North", "South", 0)
        assert {south[name] for name in [*names, "verified_share"]} == {nothing}


# --- what cannot be exported --------------------------------------------------------------------------------


def test_more_rows_than_a_sheet_holds_are_refused_with_the_other_formats(folders, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "SHEET_ROWS", 5)
    for table, rows in [("outcomes", "6"), ("amendments", "32")]:
        to = tmp_path / f"{table}.xlsx"
        done = pco("export", table, "--marts", folders.marts, "--to", to)
        assert (done.status, len(done.problems)) == (2, 1)
        for word in (rows, "5", ".parquet", ".csv"):
            assert word in done.err
        assert not to.exists()
        assert pco("export", table, "--marts", folders.marts, "--to", to.with_suffix(".csv")).status == 0


def test_as_many_rows_as_a_sheet_holds_are_written(folders, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "SHEET_ROWS", 6)
    to = tmp_path / "full.xlsx"
    assert pco("export", "outcomes", "--marts", folders.marts, "--to", to).status == 0
    assert len(rows_of_sheet(to)) == 6


def test_a_sheet_has_1048576_rows_and_the_first_is_the_header():
    assert export.SHEET_ROWS == 2**20 - 1


WRONG = {
    "no such table": (["outcome"], "x.csv", "outcomes, rates, causes, amendments, quarantine"),
    "no such ending": (["rates"], "x.json", ".parquet, .csv, .xlsx"),
    "no ending": (["outcomes"], "x", ".parquet, .csv, .xlsx"),
    "no such column": (["rates", "--by", "colour"], "x.csv", "device_type, csp_region"),
    "one such column of two": (["causes", "--by", "supplier,colour"], "x.csv", "colour"),
    "a column twice": (["rates", "--by", "supplier,supplier"], "x.csv", "twice"),
    "a table that is not grouped": (["amendments", "--by", "supplier"], "x.csv", "rates and causes"),
    "outcomes are not grouped": (["outcomes", "--by", "supplier"], "x.csv", "rates and causes"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_usage_is_told_in_one_line_and_writes_nothing(folders, tmp_path, name):
    arguments, to, words = WRONG[name]
    done = pco("export", *arguments, "--marts", folders.marts, "--to", tmp_path / to)
    assert (done.status, len(done.problems)) == (2, 1)
    assert words in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_told_in_one_line(folders, tmp_path):
    for table in ("outcomes", "rates"):
        for ending in ("parquet", "csv", "xlsx"):
            done = pco("export", table, "--marts", folders.marts, "--to", tmp_path / "none" / f"x.{ending}")
            assert (done.status, len(done.problems)) == (1, 1)


@pytest.mark.parametrize("name", ["LOUD.CSV", "a b.xlsx", "[1].parquet", "x*.csv", "ü.parquet"])
@pytest.mark.parametrize("table", ["outcomes", "rates"])
def test_a_file_of_an_odd_name_is_written_under_that_name(folders, tmp_path, table, name):
    assert pco("export", table, "--marts", folders.marts, "--to", tmp_path / name).status == 0
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_file_that_is_there_is_replaced(folders, tmp_path):
    to = tmp_path / "rates.csv"
    to.write_text("x" * 10_000)
    pco("export", "rates", "--marts", folders.marts, "--to", to)
    assert [int(row["due"]) for row in rows_of_csv(to)] == [5]


def test_text_longer_than_a_cell_is_cut_and_says_so(tmp_path):
    write_sheet([pl.DataFrame({"text": ["x" * 32_767, "y" * 32_768]})], tmp_path / "x.xlsx", "text")
    whole, cut = (row["text"] for row in rows_of_sheet(tmp_path / "x.xlsx"))
    assert whole == "x" * 32_767
    assert cut == "y" * 32_766 + "…"
