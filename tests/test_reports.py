"""Reports: what they say beside `pco export`, whose Devices they name, their files, and what is refused."""

import io
import re
import sys
import zipfile
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import docx
import openpyxl
import polars as pl
import pypdf
import pytest
import typer
from docx.oxml.ns import qn
from streamlit.testing.v1 import AppTest
from thorough import times

from analysis import report as contents
from analysis import tables
from analysis.disclosure import policy
from analysis.report import Asked, Section, Table, all_asked, checksum, report, source
from dashboard import chromium, cli_report
from dashboard.reports import batch, html, model, pictures
from dashboard.reports.widths import BESIDE, widths
from data.export import outcomes_frame
from tests.app_pages import FILES

MONTH = "2021-05"
STAMP = datetime(2026, 11, 23, 10, 0, 0)
EUI = re.compile(r"(?:[0-9A-F]{2}-){7}[0-9A-F]{2}")
APP = Path(__file__).resolve().parent.parent / "dashboard" / "streamlit_app.py"


@pytest.fixture(scope="module")
def given(demonstration):
    return source(demonstration)


@pytest.fixture(scope="module")
def outcomes(demonstration):
    """`pco export outcomes`, with the month of commissioning."""
    return outcomes_frame(demonstration).with_columns(month=pl.col("commissioned_at").dt.strftime("%Y-%m"))


@pytest.fixture
def without_chromium(monkeypatch):
    monkeypatch.setenv("CHROMIUM", "")


def table(told, name):
    return next(one.frame for one in told.tables() if one.name == name)


def of(outcomes, asked):
    """The exported outcomes that a report speaks of, up to its month."""
    kept = outcomes.filter(pl.col("month") <= asked.month)
    if asked.party:
        kept = kept.filter(pl.any_horizontal(pl.col("supplier", "network_operator") == asked.party))
    if asked.region:
        kept = kept.filter(csp_region=asked.region)
    return kept.filter(device_type="CHF") if asked.audience == contents.CSP else kept


def exact(given):
    """Every report that names parties or Devices."""
    return [one for one in all_asked(MONTH, given) if one.audience not in contents.AGGREGATED]


def has(reported=None, actual=None):
    conditions = [pl.col(name) == value for name, value in (("reported", reported), ("actual", actual)) if value]
    return pl.all_horizontal(conditions)


# --- content -------------------------------------------------------------------------------------------------


def test_figures_of_every_report_that_names_parties_are_those_of_the_export(given, outcomes):
    for asked in exact(given):
        figures = table(report(asked, given), "figures")
        own = of(outcomes, asked)
        for place, rows in ((0, own.filter(month=MONTH)), (3, own)):
            due = rows.filter(pl.col("reported") != "not_due")
            failed = due.filter(has("failed"))
            over = failed.filter(has(actual="secure")).height
            missed = due.filter(has("passed", "not_secure")).height
            in_force, by_certificates, amended = figures[place : place + 3].to_dicts()
            assert (in_force["due"], in_force["failures"]) == (due.height, failed.height)
            assert (in_force["over_reported"], in_force["missed_failures"]) == (over, missed)
            assert by_certificates["failures"] == due.filter(has(actual="not_secure")).height
            # With evidence a failure passes when it is secure and every check not met has a cause.
            explained = failed.filter(has(actual="secure") & (pl.col("cause") != "unexplained")).height
            assert (amended["failures"], amended["over_reported"]) == (failed.height - explained, over - explained)
            assert amended["missed_failures"] == missed


def test_the_set_chosen_is_that_of_the_exported_amendments(given, demonstration):
    last = given.months()[-1]
    chosen = ("accept_timeout", "accept_handover")
    asked = Asked(contents.SSC, last, accepted=chosen, evidence=False)
    amended = table(report(asked, given), "figures").row(-1, named=True)
    exported = tables.frame(demonstration, "amendments").filter(
        (pl.col("amendments").list.sort() == sorted(chosen)) & ~pl.col("evidence")
    )
    assert amended["failures"] == exported["reported_failures"].item()
    assert amended["over_reported"] == exported["over_reported"].item()
    assert amended["missed_failures"] == exported["missed_failures"].item()


def test_the_trend_and_the_causes_are_those_of_the_export(given, demonstration):
    told = report(Asked(contents.SSC, MONTH), given)
    months = tables.frame(demonstration, "rates", ("commissioned_month",))
    wanted = months.filter(pl.col("commissioned_month").is_between(pl.lit("2020-05"), pl.lit(MONTH)))
    trend = table(told, "trend")
    columns = ["commissioned_month", "due", "reported_failures", "actual_failure_rate", "actual_low", "actual_high"]
    assert trend.height == 13
    assert trend.select(columns).equals(wanted.select(columns))
    causes = tables.frame(demonstration, "causes", ("commissioned_month",)).filter(commissioned_month=MONTH)
    assert table(told, "causes")["reported_failures"].to_list() == causes["reported_failures"].to_list()


def test_the_sscs_funnel_has_every_supplier_of_the_month(given, demonstration):
    found = table(report(Asked(contents.SSC, MONTH), given), "funnel_supplier_at_commissioning")
    exported = tables.frame(demonstration, "rates", ("supplier_at_commissioning", "commissioned_month")).filter(
        (pl.col("commissioned_month") == MONTH) & (pl.col("due") > 0)
    )
    failures = dict(exported.select("supplier_at_commissioning", "reported_failures").rows())
    assert dict(found.select("party_id", "reported_failures").rows()) == failures
    assert found["low_95"].null_count() == 0


def test_a_user_gets_its_devices_to_mend_confirmed_first_and_the_over_reported_apart(given, outcomes):
    for asked in all_asked(MONTH, given):
        if asked.audience != contents.DCC_USER:
            continue
        told, own = report(asked, given), of(outcomes, asked)
        mend, over = table(told, "to_mend"), table(told, "over_reported")
        confirmed, missed = (
            own.filter(finding=finding)["device_id"].to_list() for finding in ("confirmed_failure", "missed_failure")
        )
        listed = mend["device_id"].to_list()
        assert (set(listed[: len(confirmed)]), set(listed[len(confirmed) :])) == (set(confirmed), set(missed))
        reasons = dict(own.filter(finding="over_reported").select("device_id", "cause").rows())
        assert set(over["device_id"]) == reasons.keys()
        is_unexplained = {one for one, reason in over.select("device_id", "reason").rows() if reason == "Unexplained"}
        assert is_unexplained == {one for one, cause in reasons.items() if cause == "unexplained"}


def test_a_csp_gets_the_incidents_about_its_chfs_that_are_secure(given, demonstration, outcomes):
    incidents = demonstration.frame("incidents").filter(pl.col("raised_at") <= given.as_at)
    for region in given.regions():
        asked = Asked(contents.CSP, MONTH, region=region)
        secure = outcomes.filter(has(actual="secure"), csp_region=region, device_type="CHF")["device_id"]
        raised = {
            (row["incident_id"], row["device_key"].to_bytes(8).hex("-").upper())
            for row in incidents.to_dicts()
            if f"{row['raised_at']:%Y-%m}" <= MONTH
        }
        wanted = {one for one in raised if one[1] in set(secure)}
        found = table(report(asked, given), "needless_incidents")
        assert set(found.select("incident_id", "device_id").rows()) == wanted
        assert wanted
        assert found["still_open"].to_list() == sorted(found["still_open"], reverse=True)


@pytest.mark.parametrize("audience", contents.AGGREGATED)
def test_aggregates_hold_no_small_number_no_party_and_no_device(given, audience, without_chromium):
    told = report(Asked(audience, MONTH), given)
    for one in told.tables():
        for name, kind in one.frame.schema.items():
            if kind.is_integer():
                for number in one.frame[name].drop_nulls():
                    assert number == 0 or (number % 5 == 0 and number >= policy().threshold), (one.name, name)
    said = texts(batch.files(told, {}, STAMP, batch.FORMATS))
    for text in said.values():
        assert not EUI.search(text)
        assert not [name for name in given.names.values() if name in text]


def test_the_picture_of_causes_shows_no_more_and_no_less_than_is_shown(given):
    """A bar of parts would be too short where some part is not shown."""
    told = report(Asked(contents.PANEL, MONTH), given)
    (figure,) = [one for one in told.figures() if one.name == "causes"]
    shown = table(told, "causes").filter(pl.col("reported_failures") > 0)
    (bars,) = pictures.chart(figure).data
    assert dict(zip(bars.y, bars.x, strict=True)) == dict(shown.select("label", "reported_failures").rows())
    assert shown.height > 1


def test_aggregates_are_the_exports_numbers_rounded(given, outcomes):
    figures = table(report(Asked(contents.PANEL, MONTH), given), "figures")
    due = outcomes.filter(pl.col("reported") != "not_due", month=MONTH)
    failed = due.filter(has("failed")).height
    assert figures["due"][0] == pytest.approx(due.height, abs=2.5)
    assert figures["failures"][0] == pytest.approx(failed, abs=2.5)
    assert figures["failure_rate"][0] == pytest.approx(failed / due.height, abs=0.005)


# --- whose Devices -------------------------------------------------------------------------------------------


def texts(files):
    """Name of each file -> all the text in it."""
    return {name: text_of(name, content) for name, content in files.items()}


def text_of(name, content):
    if name.endswith(".html"):
        return re.sub(r"base64,[A-Za-z0-9+/=]+", "", content.decode())
    if name.endswith(".pdf"):
        return "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(content)).pages)
    if name.endswith(".parquet"):
        frame, facts = pl.read_parquet(io.BytesIO(content)), pl.read_parquet_metadata(io.BytesIO(content))
        return frame.write_csv() + "\n".join(value for key, value in facts.items() if key != "ARROW:schema")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        named = [one for one in archive.namelist() if one.endswith((".xml", ".rels"))]
        pictures_only = {Path(one).suffix for one in archive.namelist() if one not in named}
        assert pictures_only <= {".png", ".jpeg"}, name
        return "\n".join(archive.read(one).decode() for one in named)


def test_no_report_of_a_user_holds_another_partys_device(given, outcomes, demonstration, without_chromium):
    """Over all users and formats; typst takes a third of a second a report, so PDF over all when thorough only."""
    users = [asked for asked in all_asked(MONTH, given) if asked.audience == contents.DCC_USER]
    assert len(users) > 40
    largest = sorted(users, key=lambda asked: -of(outcomes, asked).height)[: times(quick=2, thorough=len(users))]
    keys = {key.to_bytes(8).hex("-").upper(): key for key in demonstration.frame("outcomes")["device_key"]}
    named = 0
    for asked in users:
        own = set(of(outcomes, asked)["device_id"])
        others = {key for name, key in keys.items() if name not in own}
        formats = [name for name in batch.FORMATS if name != "pdf" or asked in largest]
        files = batch.files(report(asked, given), {}, STAMP, formats)
        assert {name.rpartition(".")[2] for name in files} == set(formats)
        for name, text in texts(files).items():
            found = set(EUI.findall(text))
            assert found <= own, name
            named += len(found)
            # Nor as the number that the data keep it as, or without its hyphens.
            words = re.findall(r"\b[0-9A-Fa-f]{15,20}\b", text)
            bare = {int(word) for word in words if word.isdigit()} | {int(word, 16) for word in words}
            assert not bare & others, name
    assert named > 1000


# --- files ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def told(given, outcomes):
    """The report of the user with most over-reported Devices: longer than a document shows."""
    most = outcomes.filter(pl.col("month") <= MONTH, finding="over_reported").group_by("supplier").len().sort("len")
    return report(Asked(contents.DCC_USER, MONTH, party=most["supplier"][-1]), given)


@pytest.fixture(scope="module")
def files(told):
    return batch.files(told, {figure.name: PNG for figure in told.figures()}, STAMP, batch.FORMATS)


PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8ffff3f0005fe02fe0def46b8"
    "0000000049454e44ae426082"
)


def test_every_page_says_what_it_is(told, files, demonstration):
    wanted = [checksum(demonstration), contents.version(), "23 November 2026, 10:00:00 UTC", "commissioned in May 2021"]
    pages = [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(files[f"{told.stem}.pdf"])).pages]
    assert len(pages) > 3
    for place, page in enumerate(pages, 1):
        bare = page.replace("\n", "").replace(" ", "")
        assert [one for one in [*wanted, f"Page {place} of {len(pages)}"] if one.replace(" ", "") not in bare] == []
    footer = docx.Document(io.BytesIO(files[f"{told.stem}.docx"])).sections[0].footer.paragraphs[0]
    assert all(one in footer.text for one in wanted)
    assert [field.get(qn("w:instr")).strip() for field in footer._p.iter(qn("w:fldSimple"))] == ["PAGE", "NUMPAGES"]
    assert all(one in files[f"{told.stem}.html"].decode().split("<footer>")[1] for one in wanted)
    assert all(one in text_of("x.parquet", files[f"{told.stem}-trend.parquet"]) for one in wanted)


def test_the_checksum_is_over_the_manifests_files(demonstration):
    import hashlib

    lines = [f"{file['sha256']}  {file['name']}\n" for file in demonstration.manifest["files"]]
    assert checksum(demonstration) == hashlib.sha256("".join(lines).encode()).hexdigest()


def test_the_docx_has_captions_alternative_texts_and_header_rows_that_repeat(told, files):
    word = docx.Document(io.BytesIO(files[f"{told.stem}.docx"]))
    assert len(word.tables) == len(told.tables())
    for shown, one in zip(word.tables, told.tables(), strict=True):
        first = shown._tbl.tr_lst[0]
        assert first.trPr.find(qn("w:tblHeader")) is not None
        assert len(shown._tbl.tr_lst) == 1 + max(1, min(one.frame.height, contents.MOST_ROWS))
    captions = [line.text for line in word.paragraphs if line.style.name == "Caption"]
    assert set(captions) == {one.title for one in [*told.tables(), *told.figures()]}
    alternatives = [shape._inline.find(qn("wp:docPr")).get("descr") for shape in word.inline_shapes]
    assert [text.split(". The table")[0] for text in alternatives] == [one.title for one in told.figures()]
    figures = word.tables[0]
    cells = [cell.text for cell in figures.rows[1].cells]
    row = table(told, "figures").row(0, named=True)
    assert cells[2:4] == [f"{row['due']:,}", f"{row['failures']:,}"]


def test_columns_are_as_wide_as_their_words_and_tables_fit_the_page(told, files):
    heads, rows = ["Device", "What is wrong", "Checks"], [["6E-5D-1A-01-02-03-04-05", "a word " * 30, "1"]] * 3
    found = widths(heads, rows, 80)
    assert sum(found) == pytest.approx(1)
    assert found[0] * 80 >= 23 + BESIDE
    assert found[2] * 80 >= len("Checks") + BESIDE
    assert found[1] == max(found)
    # A table of little takes little; one that cannot fit takes the whole line.
    assert sum(widths(["A"], [["1"]], 100)) < 0.1
    assert sum(widths(["A" * 300, "B"], [["1", "2"]], 100)) == pytest.approx(1)
    word = docx.Document(io.BytesIO(files[f"{told.stem}.docx"]))
    section = word.sections[0]
    for shown in word.tables:
        grid = [int(column.get(qn("w:w"))) for column in shown._tbl.iter(qn("w:gridCol"))]
        assert len(grid) == len(shown.columns)
        room = (section.page_width - section.left_margin - section.right_margin) / 635
        assert 0 < sum(grid) <= room + len(grid)
    # No heading nor sentence before a table or a picture can be the last of a page.
    for one, following in pairwise(word.paragraphs):
        if one.style.name.startswith("Heading") or (following.style.name == "Caption" and one.style.name == "Normal"):
            is_kept = one.paragraph_format.keep_with_next or one.style.paragraph_format.keep_with_next
            assert is_kept or "pic:pic" in one._p.xml, one.text


def test_no_section_of_the_pdf_begins_at_the_foot_of_a_page(told, files):
    """Each title stands on a page with its sentences and with the caption of what follows them."""
    pages = [
        page.extract_text().replace("\n", " ") for page in pypdf.PdfReader(io.BytesIO(files[f"{told.stem}.pdf"])).pages
    ]
    bare = ["".join(page.split()) for page in pages]

    def page_of(text):
        (found,) = [place for place, page in enumerate(bare) if "".join(text.split()) in page]
        return found

    for section in told.sections:
        captions = [one.title for one in [*section.figures, *section.tables][:1]]
        wanted = section.title + "".join(section.sentences) + "".join(captions)
        assert page_of(wanted) >= 0, section.title


def test_the_pdf_holds_the_figures(told, files):
    text = text_of("x.pdf", files[f"{told.stem}.pdf"])
    row = table(told, "figures").row(3, named=True)
    assert re.search(rf"Criteria in force\s+{row['due']:,}\s+{row['failures']:,}", text)
    document = pypdf.PdfReader(io.BytesIO(files[f"{told.stem}.pdf"]))
    assert document.metadata.title == told.title
    assert "/StructTreeRoot" in document.trailer["/Root"]


def test_the_html_asks_for_nothing_and_has_captions_and_scopes(told, files):
    page = files[f"{told.stem}.html"].decode()
    assert "<script" not in page
    assert set(re.findall(r'(?:src|href)="([^":]+:)', page)) == {"data:"}
    assert "http" not in re.sub(r'http-equiv="[^"]+"', "", page)
    assert page.count("<caption>") == len(told.tables())
    assert page.count("<th ") == page.count("<th scope=")
    assert page.count("<img alt=") == len(told.figures()) > 0


def test_text_of_the_data_is_never_markup_nor_formula(told, without_chromium):
    nasty = "=1+1<b>&#x41;</b>#strong[x]\x07"
    frame = pl.DataFrame({"name": [nasty], "due": [3]})
    spoilt = replace(told, sections=(Section("S", (nasty,), (Table("t", nasty, frame),)),))
    made = batch.files(spoilt, {}, STAMP, batch.FORMATS)
    page = made[f"{told.stem}.html"].decode()
    assert "<b>" not in page
    assert "=1+1&lt;b&gt;" in page
    sheet = openpyxl.load_workbook(io.BytesIO(made[f"{told.stem}.xlsx"]))["t"]
    assert (sheet["A2"].data_type, sheet["A2"].value[:4], sheet["B2"].value) == ("s", "=1+1", 3)
    assert "#strong[x]" in text_of("x.pdf", made[f"{told.stem}.pdf"])
    assert docx.Document(io.BytesIO(made[f"{told.stem}.docx"])).tables[0].rows[1].cells[0].text.startswith("=1+1<b>")
    assert pl.read_parquet(io.BytesIO(made[f"{told.stem}-t.parquet"])).equals(frame)


def test_sheets_and_parquet_hold_every_row_and_documents_say_where_they_are(told, without_chromium):
    over = table(told, "over_reported")
    long = pl.concat([over] * (contents.MOST_ROWS // over.height + 2)).with_row_index("row")
    longer = replace(told, sections=(Section("S", (), (Table("long", "Long", long),)),))
    files = batch.files(longer, {}, STAMP, batch.FORMATS)
    book = openpyxl.load_workbook(io.BytesIO(files[f"{told.stem}.xlsx"]), read_only=True)
    rows = list(book["long"].iter_rows(values_only=True))
    parquet = pl.read_parquet(io.BytesIO(files[f"{told.stem}-long.parquet"]))
    assert parquet.equals(long)
    assert list(rows[0]) == parquet.columns
    assert [row[:2] for row in rows[1:]] == parquet.select("row", "device_id").rows()
    said = f"{contents.MOST_ROWS:,} of {long.height:,} rows are shown"
    for name in ("html", "pdf", "docx"):
        assert said in text_of(f"x.{name}", files[f"{told.stem}.{name}"])
    assert files[f"{told.stem}.html"].decode().count('<th scope="row">') == contents.MOST_ROWS


def test_two_runs_differ_in_the_stamp_alone(told, files, given):
    again = batch.files(
        report(told.asked, source(given.snapshot)), {f.name: PNG for f in told.figures()}, STAMP, batch.FORMATS
    )
    assert again == files
    later = batch.files(told, {f.name: PNG for f in told.figures()}, STAMP.replace(minute=1), batch.FORMATS)
    assert all(later[name] != content for name, content in files.items())


@pytest.mark.skipif(chromium.installed() is None, reason="no Chromium is installed")
def test_pictures_are_the_same_bytes_twice(given):
    drawn = report(Asked(contents.PANEL, MONTH), given).figures()
    found = [pictures.draw([(figure.name, figure) for figure in drawn]) for _ in range(2)]
    assert found[0] == found[1]
    assert found[0][1] == ""
    assert all(image.startswith(b"\x89PNG") for image in found[0][0].values())


def test_without_chromium_the_report_comes_with_tables_and_says_so(told, without_chromium):
    drawn, why = pictures.draw([(figure.name, figure) for figure in told.figures()])
    assert drawn == {}
    page = html.render(model.document(told, drawn, STAMP, why)).decode()
    assert "No Chromium was found" in page
    assert "<img" not in page
    assert page.count("<caption>") == len(told.tables())


# --- the command ---------------------------------------------------------------------------------------------


@pytest.fixture
def pco_report(demonstration_home, tmp_path, without_chromium):
    """Runs the command with these options beside the usual ones; the folder it writes to."""
    from dashboard import cli

    app = typer.Typer(pretty_exceptions_enable=False)
    cli_report.register(app, cli.progress_bar, cli.say)

    def run(*options, out=tmp_path / "out"):
        given = ["--marts", str(demonstration_home / "marts"), "--out", str(out), "--stamp", "2026-11-23T10:00:00"]
        app([*given, *map(str, options)], standalone_mode=False)
        return out

    return run


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--audience", "board", "--month", MONTH], "--audience board"),
        (["--audience", "ssc", "--month", "2021-13"], "--month 2021-13"),
        (["--audience", "ssc", "--month", "1999-01"], "--month 1999-01"),
        (["--audience", "dcc-user", "--month", MONTH], "--party"),
        (["--audience", "dcc-user", "--party", "NOBODY", "--month", MONTH], "--party NOBODY"),
        (["--audience", "panel", "--party", "SUP01", "--month", MONTH], "--party SUP01"),
        (["--audience", "panel", "--region", "North", "--month", MONTH], "--region North"),
        (["--audience", "csp", "--month", MONTH], "--region"),
        (["--audience", "csp", "--region", "Mars", "--month", MONTH], "--region Mars"),
        (["--audience", "all", "--party", "SUP01", "--month", MONTH], "--party SUP01"),
        (["--audience", "ssc", "--month", MONTH, "--accept", "accept_all"], "--accept accept_all"),
        (["--audience", "ssc", "--month", MONTH, "--format", "odt"], "--format odt"),
        (["--audience", "ssc", "--month", MONTH, "--stamp", "noon"], "--stamp noon"),
    ],
)
def test_wrong_arguments_are_refused_by_name_and_nothing_is_written(pco_report, tmp_path, options, named):
    with pytest.raises(typer.BadParameter, match=re.escape(named)):
        pco_report(*options)
    assert list(tmp_path.iterdir()) == []


def test_a_report_replaces_its_own_files_only_and_one_that_fails_none(pco_report, monkeypatch, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    pco_report("--audience", "industry", "--month", MONTH)
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    assert {name.split(".")[-1] for name in before} == {"txt", "html", "pdf", "docx", "xlsx", "parquet"}

    def broken(document):
        raise OSError("no space left")

    monkeypatch.setattr("dashboard.reports.docx.render", broken)
    with pytest.raises(OSError, match="no space left"):
        pco_report("--audience", "industry", "--month", MONTH, "--stamp", "2027-01-01")
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before


def test_all_reports_of_a_month_are_those_made_one_by_one(pco_report, given, tmp_path, capsys, monkeypatch):
    # A page tested before leaves itself as the main module, which the processes would begin with.
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    out = pco_report("--audience", "all", "--month", MONTH, "--format", "html,xlsx")
    asked = all_asked(MONTH, given)
    assert len(asked) == 3 + len(given.regions()) + len(given.users)
    assert len(list(out.iterdir())) == 2 * len(asked)
    assert f"Making the reports: {len(asked)} of {len(asked)}" in capsys.readouterr().out
    one = pco_report(
        "--audience", "csp", "--region", "South", "--month", MONTH, "--format", "html", out=tmp_path / "one"
    )
    name = f"{MONTH}-csp-South.html"
    assert (one / name).read_bytes() == (out / name).read_bytes()


# --- the page ------------------------------------------------------------------------------------------------


@pytest.fixture
def page(demonstration, demonstration_home, monkeypatch):
    monkeypatch.setenv("PCO_MARTS", str(demonstration_home / "marts"))
    app = AppTest.from_file(APP, default_timeout=60).run()
    return app.switch_page(FILES["Reports"]).run()


def test_the_page_shows_the_report_chosen_whatever_the_filters(page, given, outcomes):
    page.multiselect(key="type").set_value(["GSME"]).run()
    page.selectbox(key="audience").set_value(contents.DCC_USER).run()
    party = given.users[-1]
    page.selectbox(key="report_party").set_value(party).run()
    page.selectbox(key="report_month").set_value(MONTH).run()
    assert not page.exception
    assert not page.error
    assert page.header[0].value == report(Asked(contents.DCC_USER, MONTH, party=party), given).title
    asked = Asked(contents.DCC_USER, MONTH, party=party)
    due = of(outcomes, asked).filter(pl.col("reported") != "not_due")
    shown = page.table[0].value
    assert shown["Devices due"].to_list()[3] == f"{due.height:,}"


def test_the_page_makes_each_format(given, demonstration_home, monkeypatch, without_chromium):
    from dashboard import report_choice, words_reports

    told = report(Asked(contents.INDUSTRY, MONTH), given)
    starts = {"html": b"<!DOCTYPE", "pdf": b"%PDF", "docx": b"PK", "xlsx": b"PK", "parquet": b"PK"}
    assert words_reports.FORMAT_NAMES.keys() == starts.keys()
    for name, start in starts.items():
        assert report_choice.made(told, name).startswith(start)


def test_every_format_of_the_command_says_its_classification_and_scope(
    demonstration, tmp_path, without_chromium, monkeypatch
):
    monkeypatch.setenv("PCO_CLASSIFICATION", "CANARY-CLASS")
    scopes = {
        Asked(contents.PANEL, MONTH): "aggregates through the disclosure policy; no Devices, no parties",
        Asked(contents.SSC, MONTH): "all parties, all Devices",
    }
    for asked, scope in scopes.items():
        out = tmp_path / asked.audience
        made = batch.make([asked], demonstration, out, STAMP)
        for name, text in texts({file.name: file.read_bytes() for file in made if file.suffix != ".parquet"}).items():
            assert "CANARY-CLASS" in text, name
            assert scope in " ".join(text.split()), name
        for file in out.glob("*.parquet"):
            assert pl.read_parquet_metadata(file)["Scope"] == scope
            assert pl.read_parquet_metadata(file)["Classification"] == "CANARY-CLASS"
