"""The files of the business case: a workbook that LibreOffice recalculates, a document, and the command line."""

import csv
import io
import subprocess
from dataclasses import replace
from io import BytesIO
from itertools import takewhile

import openpyxl
import polars as pl
import pytest
import typer
from docx import Document
from docx.oxml.ns import qn
from test_business_case import case_of
from typer.testing import CliRunner

from analysis import assumptions, tables
from analysis.amendments import AMENDMENTS
from analysis.assumptions import Assumption
from analysis.report import checksum, version
from dashboard import case_document, case_pictures, cli_business_case, workbook
from dashboard import words_business_case as words
from data.export import outcomes_frame
from data.extracts import InputRefused
from tests.get_libreoffice import soffice

SUPPLIER, HANDOVER, EMPTY, TIMEOUT = AMENDMENTS
ABOUT = {"title": "Business case", "snapshot": "1", "filters": "all Devices"}
CHANGED = {
    "user_hours": 3.25,
    "growth": -0.07,
    "years": 9,
    "discount_rate": 0.06,
    "change_once": 12_345.67,
    "volume": 2,
}
needs_libreoffice = pytest.mark.skipif(soffice() is None, reason="no LibreOffice: python -m tests.get_libreoffice")


def recalculated(file, folder):
    """The workbook as LibreOffice has it after its own calculation: the copy that it opens holds no value."""
    bare = folder / "bare.xlsx"
    openpyxl.load_workbook(file).save(bare)
    assert openpyxl.load_workbook(bare, data_only=True)["Summary"]["B6"].value is None
    command = [soffice(), f"-env:UserInstallation=file://{folder}/profile", "--headless", "--convert-to", "ods:calc8"]
    subprocess.run([*command, "--outdir", folder, bare], check=True, capture_output=True, timeout=120)
    command[-1] = "xlsx"
    (folder / "again").mkdir()
    subprocess.run(
        [*command, "--outdir", folder / "again", folder / "bare.ods"], check=True, capture_output=True, timeout=120
    )
    return openpyxl.load_workbook(folder / "again" / "bare.xlsx", data_only=True)


def figures(book):
    rows = [[cell.value for cell in row] for row in book["Summary"].iter_rows(min_row=6, max_col=2)]
    return dict(takewhile(lambda row: row[0], rows))


def shown(case):
    """What the page shows of the case, by the names of its table of figures."""
    found = case.summary
    return {
        "Cost of doing nothing, year 1": found["cost_now"],
        "Cost under the set, year 1": found["cost_after"],
        "Saving, year 1": found["saving"],
        "Savings, present value": found["present_value_of_savings"],
        "Cost of the change, present value": found["present_value_of_cost"],
        "Net present value": found["net_present_value"],
        "Payback, years": words.NEVER if found["payback_years"] is None else found["payback_years"],
        "Benefit-cost ratio": found["benefit_cost_ratio"],
        "Missed failures created a year": found["missed_created"],
    }


def same(found, wanted):
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert found[name] == (value if isinstance(value, str) else pytest.approx(value, abs=0.005)), name


@pytest.fixture(scope="module")
def book(demonstration, tmp_path_factory):
    case = case_of(demonstration, (EMPTY, TIMEOUT), False)
    file = tmp_path_factory.mktemp("book") / "case.xlsx"
    file.write_bytes(workbook.workbook(case, ABOUT))
    return case, file


def test_the_workbook_shows_the_pages_figures_before_any_calculation(book):
    case, file = book
    opened = openpyxl.load_workbook(file, data_only=True)
    same(figures(opened), shown(case))
    assert opened.sheetnames == [
        "Summary",
        "Inputs",
        "Devices by cause",
        "Calculation",
        "Sensitivity",
        "All sets",
        "Glossary",
        "Provenance",
    ]
    for sheet in opened:
        assert "No unit cost is known: every £ is from assumptions to be confirmed" in sheet["A2"].value
    inputs = [[cell.value for cell in row] for row in opened["Inputs"].iter_rows(min_row=5, max_row=21)]
    wanted = [(one.name, case.assumptions[one.name]) for one in assumptions.drivers()]
    assert [(row[7], Assumption(*row[1:4], row[6])) for row in inputs] == wanted


def test_every_figure_of_the_calculation_is_a_formula(book):
    _, file = book
    opened = openpyxl.load_workbook(file)
    for name in ("Summary", "Calculation"):
        numbers = [
            cell.coordinate
            for row in opened[name].iter_rows()
            for cell in row
            if isinstance(cell.value, int | float) and cell.column > 1
        ]
        assert numbers == []
    assert sum(str(cell.value).startswith("=") for row in opened["Calculation"].iter_rows() for cell in row) > 300


@needs_libreoffice
def test_libreoffice_recalculates_to_the_pages_figures(book, tmp_path):
    case, file = book
    again = recalculated(file, tmp_path)
    same(figures(again), shown(case))
    checks(again, case)


@needs_libreoffice
@pytest.mark.parametrize("evidence", [True, False])
def test_changed_inputs_give_what_the_page_gives(demonstration, tmp_path, evidence):
    """The inputs are changed in the workbook, of which the page knows nothing."""
    case = case_of(demonstration, (SUPPLIER, TIMEOUT), evidence)
    file = tmp_path / "case.xlsx"
    file.write_bytes(workbook.workbook(case, ABOUT))
    opened = openpyxl.load_workbook(file)
    sheet = opened["Inputs"]
    for row in sheet.iter_rows(min_row=5, max_row=21):
        if row[7].value in CHANGED:
            row[2].value = CHANGED[row[7].value]
    opened.save(file)
    given = {name: replace(one, central=CHANGED.get(name, one.central)) for name, one in assumptions.defaults().items()}
    wanted = case.under(given)
    again = recalculated(file, tmp_path)
    same(figures(again), shown(wanted))
    assert figures(again)["Net present value"] != pytest.approx(case.summary["net_present_value"], abs=1)
    checks(again, wanted, same_rows=False)


def checks(book, case, same_rows=True):
    """The workbook's own check is nought, no cell is an error, and the tornado is that of the page."""
    values = [cell.value for sheet in book for row in sheet.iter_rows() for cell in row]
    assert [value for value in values if isinstance(value, str) and value.startswith(("#", "Err:"))] == []
    by_name = {row[0].value: row[1].value for row in book["Calculation"].iter_rows(min_row=40, max_col=2)}
    assert by_name["Difference of the two"] == 0
    rows = {row[0].value: row for row in book["Sensitivity"].iter_rows(min_row=5, max_col=6)}
    for swing in case.tornado.to_dicts():
        row = rows[swing["label"]]
        assert [row[3].value, row[4].value] == pytest.approx([swing["npv_at_low"], swing["npv_at_high"]], abs=0.005)
    years = book["Calculation"]
    for year in case.years.to_dicts():
        row = years[14 + year["year"]]
        assert row[13].value == pytest.approx(year["present_value_so_far"], abs=0.005)


def test_the_sheet_of_devices_is_the_export(book, demonstration):
    """Over the months of the window, against `pco export causes --by commissioned_month,device_type`."""
    case, file = book
    table = tables.frame(demonstration, "causes", ("commissioned_month", "device_type"))
    table = table.filter(table["commissioned_month"].is_between(case.months.first, case.months.last))
    sheet = openpyxl.load_workbook(file, data_only=True)["Devices by cause"]
    rows = [[cell.value for cell in row] for row in sheet.iter_rows(min_row=5)]
    rows = list(takewhile(lambda row: row[0] != "All", rows))
    for device_type in ("ESME", "GSME", "GPF", "CHF"):
        of_type = table.filter(device_type=device_type)
        assert sum(row[3] for row in rows if row[0] == device_type) == of_type["reported_failures"].sum()
        assert sum(row[4] for row in rows if row[0] == device_type) == of_type["over_reported"].sum()


# --- the document ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def opened(demonstration):
    case = case_of(demonstration, (EMPTY, TIMEOUT), False)
    return case, Document(BytesIO(case_document.document(case, ABOUT)))


def cells(document, *headings):
    """The rows of the one table that begins with these headings."""
    found = [[[cell.text for cell in row.cells] for row in table.rows] for table in document.tables]
    (table,) = [rows for rows in found if tuple(rows[0][: len(headings)]) == headings]
    return table[1:]


def test_the_document_has_the_shape_of_an_impact_section(opened):
    case, document = opened
    headings = [p.text for p in document.paragraphs if p.style.name == "Heading 1"]
    assert headings == [
        "Summary",
        "The issue in figures",
        "Options",
        "Costs and benefits by party",
        "Risks",
        "Assumptions",
        "Sources",
    ]
    said = "\n".join(p.text for p in document.paragraphs)
    assert "No unit cost is known." in said
    assert words.headline(case) in said
    for paragraph in document.paragraphs:
        assert "£" not in paragraph.text or words.FROM in paragraph.text, paragraph.text


def test_the_documents_figures_are_those_of_the_export(opened, demonstration):
    _, document = opened
    (row,) = cells(document, "Devices due")
    found = tables.frame(demonstration, "rates").row(0, named=True)
    names = ("due", "reported_failures", "over_reported", "missed_failures", "verified", "not_secure")
    assert row == [f"{found[name]:,}" for name in names]
    causes = tables.frame(demonstration, "causes").to_dicts()
    rows = cells(document, "Cause")
    names = ("reported_failures", "over_reported", "confirmed_failures", "unverified_failures")
    assert [row[1:] for row in rows] == [[f"{cause[name]:,}" for name in names] for cause in causes]
    sets = tables.frame(demonstration, "amendments").to_dicts()
    rows = cells(document, "Set", "Evidence")
    names = ("reported_failures", "over_reported", "missed_failures")
    assert [row[2:5] for row in rows] == [[f"{one[name]:,}" for name in names] for one in sets]
    assert [row[1] for row in rows] == ["yes" if one["evidence"] else "no" for one in sets]


def test_the_documents_pounds_are_those_of_the_workbook(opened, book):
    case, document = opened
    same(figures(openpyxl.load_workbook(book[1], data_only=True)), shown(case))
    explained = {row[0]: row[1] for row in cells(document, "Figure", "Value", "How it is made")}
    for name, value in figures(openpyxl.load_workbook(book[1], data_only=True)).items():
        if name not in ("Payback, years", "Benefit-cost ratio", "Missed failures created a year"):
            assert explained[name] == words.pounds(value, 2)


def test_tables_have_captions_and_break_over_pages_and_pictures_have_words(opened):
    _, document = opened
    captions = [p for p in document.paragraphs if p.style.name == "Caption"]
    kinds = [p.text.split()[0] for p in captions]
    assert kinds.count("Table") == len(document.tables) >= 10
    assert kinds.count("Figure") == len(document.inline_shapes) == 2
    fields = [field.get(qn("w:instr")).split()[1] for p in captions for field in p._p.iter(qn("w:fldSimple"))]
    assert fields == kinds
    for table in document.tables:
        first, *others = table.rows
        assert first._tr.trPr.find(qn("w:tblHeader")) is not None
        assert all(row._tr.trPr.find(qn("w:cantSplit")) is not None for row in [first, *others])
        assert table._tbl.getprevious().find(qn("w:pPr")).find(qn("w:keepNext")) is not None
    assert case_pictures.plain("NPV, £, \u2212£5") == "NPV, GBP, -GBP 5"
    for picture in document.inline_shapes:
        assert len(picture._inline.docPr.get("descr")) > 100


# --- the command line --------------------------------------------------------------------------------------------


def run(*arguments):
    return CliRunner().invoke(app(), [str(argument) for argument in arguments])


def app():
    """`pco business-case` as cli.py registers it."""
    found = typer.Typer()
    found.command("business-case")(cli_business_case.business_case)
    found.callback()(lambda: None)
    return found


def test_the_command_writes_both_files_with_the_pages_figures(demonstration, demonstration_home, tmp_path):
    given = {**assumptions.defaults(), "user_rate": Assumption(20, 47, 60, "Survey")}
    case = case_of(demonstration, (HANDOVER, TIMEOUT), False, given)
    (tmp_path / "mine.csv").write_text(assumptions.write_scenarios({"Mine": given}), encoding="utf-8")
    options = (
        "--assumptions",
        tmp_path / "mine.csv",
        "--amendments",
        "accept_timeout,accept_handover",
        "--no-evidence",
    )
    for name in ("case.xlsx", "case.docx"):
        ran = run("business-case", "--marts", demonstration_home / "marts", "--to", tmp_path / name, *options)
        assert ran.exit_code == 0, ran.output
        assert f"loses {words.pounds(-case.summary['net_present_value'])} over" in ran.output
        assert words.FROM in ran.output
    same(figures(openpyxl.load_workbook(tmp_path / "case.xlsx", data_only=True)), shown(case))
    explained = cells(Document(str(tmp_path / "case.docx")), "Figure", "Value", "How it is made")
    assert words.pounds(case.summary["net_present_value"], 2) in [row[1] for row in explained]


def test_without_options_it_is_all_amendments_with_evidence(demonstration, demonstration_home, tmp_path):
    run("business-case", "--marts", demonstration_home / "marts", "--to", tmp_path / "case.xlsx")
    same(figures(openpyxl.load_workbook(tmp_path / "case.xlsx", data_only=True)), shown(case_of(demonstration)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("driver,low,central,high\nuser_rate,50,40,60\n", "(user_rate): low 50 is above central 40"),
        ("driver,low,central,high\nvisit_cost,-5,40,60\n", "(visit_cost), low: -5 is negative"),
        ("driver,low,central,high\nvisit_share,0,0.1,2\n", "(visit_share), high: 2 is above 1"),
        ("driver,low,central,high\ncsp_rate,1,lots,2\n", "(csp_rate), central: 'lots' is no number"),
    ],
)
def test_bad_assumptions_are_refused_by_name_and_nothing_is_lost(demonstration_home, tmp_path, text, said):
    (tmp_path / "bad.csv").write_text(text, encoding="utf-8")
    (tmp_path / "case.xlsx").write_bytes(b"an older file")
    options = ("--to", tmp_path / "case.xlsx", "--assumptions", tmp_path / "bad.csv")
    ran = run("business-case", "--marts", demonstration_home / "marts", *options)
    assert isinstance(ran.exception, InputRefused)
    assert said in ran.exception.problems[0]
    assert (tmp_path / "case.xlsx").read_bytes() == b"an older file"


def test_the_command_narrows_to_devices_and_says_so(demonstration, demonstration_home, tmp_path):
    party = demonstration.frame("counts")["supplier"].drop_nulls()[0]
    name = dict(demonstration.frame("parties").select("party_id", "party_name").rows())[party]
    options = ["--device-type", "ESME, CHF", "--region", "North", "--party", party, "--party-role", "supplier"]
    ran = run("business-case", "--marts", demonstration_home / "marts", "--to", tmp_path / "case.docx", *options)
    assert ran.exit_code == 0, ran.output
    outcomes = outcomes_frame(demonstration).filter(
        pl.col("device_type").is_in(["ESME", "CHF"]), csp_region="North", supplier=party
    )
    document = Document(str(tmp_path / "case.docx"))
    (row,) = cells(document, "Devices due")
    due = outcomes.filter(pl.col("reported") != "not_due")
    failed = due.filter(reported="failed")
    over = failed.filter(actual="secure").height
    assert row[:3] == [f"{due.height:,}", f"{failed.height:,}", f"{over:,}"]
    said = f"ESME and CHF, region North, present supplier {name}"
    assert f"The Devices that this case is about: {said}." in [p.text for p in document.paragraphs]
    foot = document.sections[0].footer.paragraphs[0]
    for fact in (said, checksum(demonstration), version(), "Classification: "):
        assert fact in foot.text
    assert [field.get(qn("w:instr")).strip() for field in foot._p.iter(qn("w:fldSimple"))] == ["PAGE", "NUMPAGES"]


def test_every_figure_says_how_it_is_made_and_of_what(opened):
    """Nothing is left to be looked for: each has inputs with numbers, and they make the figure."""
    case, document = opened
    rows = {row[0]: row[1:] for row in cells(document, "Figure", "Value", "How it is made")}
    assert all(all(row) and any(one.isdigit() for one in row[2]) for row in rows.values())
    pounds = [row for row in rows.values() if "£" in "".join(row)]
    assert len(pounds) >= 13
    assert all(words.FROM in row[2] for row in pounds)
    assert case.summary["missed_break_even"] is not None
    value, _, of = rows["Price of a missed failure that takes all that is gained"]
    growing = sum(1.035**-year for year in range(1, 6))
    npv, missed = case.summary["net_present_value"], case.of.missed_created
    assert f"net present value {words.pounds(npv, 2)}" in of
    assert value == words.pounds(npv / (missed * growing), 2)


def test_inputs_are_shown_as_they_were_given():
    shown = {1e9: "1,000,000,000", 0.035: "0.035", -0.1: "\u22120.1", 0: "0", 1e-7: "0.0000001", 1234.56: "1,234.56"}
    assert {value: words.plain_number(value) for value in shown} == shown
    assert words.plain_number(29979.6, 4) == "29,980"


def test_the_axis_of_a_picture_has_a_few_round_numbers():
    for low, high in ((0, 793), (-170_011, -20_011), (-1e9, 2e9), (0, 1), (5, 5)):
        ticks = case_pictures.ticks(low, high)
        assert len(ticks) <= 7
        assert all(low <= one <= high for one in ticks)
        assert low == high or len(ticks) >= 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--to", "case.xlsx", "--region", "Mars"], "no Device has 'Mars'"),
        (["--to", "case.xlsx", "--device-type", ","], "names nothing"),
        (["--to", "case.xlsx", "--party", "NOBODY"], "no Device has 'NOBODY'"),
        (["--to", "case.xlsx", "--party-role", "owner"], "no role 'owner'"),
        (["--to", "case.pdf"], ".xlsx or .docx"),
        (["--to", "case.xlsx", "--amendments", "accept_all"], "accept_all"),
        (["--to", "case.xlsx", "--scenario", "Mine"], "--assumptions"),
    ],
)
def test_wrong_usage_names_what_is_wrong(demonstration_home, tmp_path, monkeypatch, options, said):
    monkeypatch.chdir(tmp_path)
    ran = run("business-case", "--marts", demonstration_home / "marts", *options)
    assert ran.exit_code == 2
    assert said in " ".join(ran.output.split())
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_several_scenarios_asks_which(demonstration_home, tmp_path):
    usual = assumptions.defaults()
    (tmp_path / "two.csv").write_text(assumptions.write_scenarios({"A": usual, "B": usual}), encoding="utf-8")
    options = ["--marts", demonstration_home / "marts", "--to", tmp_path / "case.xlsx"]
    ran = run("business-case", *options, "--assumptions", tmp_path / "two.csv")
    assert (ran.exit_code, (tmp_path / "case.xlsx").exists()) == (2, False)
    assert run("business-case", *options, "--assumptions", tmp_path / "two.csv", "--scenario", "B").exit_code == 0


def test_no_text_of_a_scenario_is_taken_for_a_formula_and_each_comes_back():
    usual = assumptions.defaults()
    hostile = ["=1+1", "+1", "-1", "@SUM(A1)", "\uff1dx", "'=1+1", "''@x", "'plain", "plain", '=HYPERLINK("http://x")']
    named = {text: {**usual, "user_rate": replace(usual["user_rate"], source=text)} for text in hostile}
    written = assumptions.write_scenarios(named)
    texts = [(row["scenario"], row["source"]) for row in csv.DictReader(io.StringIO(written))]
    cells = [cell for row in texts for cell in row]
    assert [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\uff1d")] == []
    assert {"'=1+1", "''=1+1", "'plain"} <= set(cells)
    assert assumptions.read_scenarios(written) == named
