"""The Reports page in a real Chromium: a report chosen, its files downloaded, and what they say."""

import io

import docx
import openpyxl
import polars as pl
import pypdf
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.reading import opened

pytestmark = pytest.mark.browser
MONTH = "2021-05"


def downloaded(page, label):
    # The pictures are drawn once the button is pressed.
    with page.expect_download(timeout=120_000) as waited:
        page.get_by_role("button", name=label, exact=True).click()
    return waited.value


def test_the_files_of_a_region_hold_the_figures_of_the_export(page, address, exported):
    due = exported("outcomes").filter(
        pl.col("reported") != "not_due",
        pl.col("commissioned_at").dt.strftime("%Y-%m") == MONTH,
        device_type="CHF",
        csp_region="South",
    )
    failed = due.filter(reported="failed").height
    opened(page, address, "reports?audience=Communications+Service+Provider&report_month=May+2021&report_region=South")
    title = "Post Commissioning outcomes of May 2021, for the Communications Service Provider of region South"
    expect(page.get_by_role("heading", name=title)).to_be_visible(timeout=20_000)
    expect(page.get_by_text(f"Of {due.height:,} Devices commissioned in May 2021 and due")).to_be_visible()

    sheet = downloaded(page, "XLSX")
    assert sheet.suggested_filename.startswith(f"{MONTH}-csp-South-set-")
    book = openpyxl.load_workbook(io.BytesIO(sheet.path().read_bytes()), read_only=True)
    rows = list(book["figures"].iter_rows(values_only=True))
    assert rows[1][:4] == ("May 2021", "Criteria in force", due.height, failed)
    document = pypdf.PdfReader(io.BytesIO(downloaded(page, "PDF").path().read_bytes()))
    assert title in document.pages[0].extract_text().replace("\n", " ")
    assert sum(len(one.images) for one in document.pages) == 3
    word = docx.Document(io.BytesIO(downloaded(page, "DOCX").path().read_bytes()))
    assert len(word.inline_shapes) == 3
    assert [cell.text for cell in word.tables[0].rows[1].cells][2:4] == [f"{due.height:,}", f"{failed:,}"]


def test_the_html_opens_by_itself_asks_for_nothing_and_is_accessible(page, address, browser, tmp_path):
    opened(page, address, "reports?audience=SEC+Panel&report_month=May+2021")
    title = "Post Commissioning outcomes of May 2021, for the SEC Panel"
    expect(page.get_by_role("heading", name=title)).to_be_visible(timeout=20_000)
    file = tmp_path / "report.html"
    downloaded(page, "HTML").save_as(file)
    context = browser.new_context(bypass_csp=True)
    report, asked = context.new_page(), []
    report.on("request", lambda request: asked.append(request.url))
    report.goto(file.as_uri())
    expect(report.get_by_role("heading", level=1)).to_have_text(title)
    expect(report.locator("img")).to_have_count(2)
    assert report.locator("img").evaluate_all("images => images.every(one => one.naturalWidth > 0)")
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    found = Axe().run(report)
    assert [violation["id"] for violation in found.response["violations"]] == []
    context.close()
