"""A card's files in a real Chromium: CSV, XLSX and PNG say title, filters, snapshot and times in themselves."""

import struct

import polars as pl
import pytest
from openpyxl import load_workbook
from playwright.sync_api import expect

from tests.browser.reading import opened, settled

pytestmark = pytest.mark.browser
FILTERED = "parties?compare_by=Network+operator&type=ESME&region=North"
PNG_BUTTON = "PNG of the chart: By Network operator: in"


def files_of_first_card(page):
    page.get_by_text("The same as a table, and as a file").first.click()
    expect(page.get_by_role("button", name="CSV", exact=True).first).to_be_visible(timeout=20_000)
    # A press while the page is still being drawn was lost once.
    settled(page)


def downloaded(page, tmp_path, press):
    with page.expect_download() as download:
        press()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    return file


def test_csv_says_what_it_is(page, address, exported, tmp_path):
    opened(page, address, FILTERED)
    files_of_first_card(page)
    title = page.locator("h3").filter(has_text="By Network operator").first.inner_text()
    file = downloaded(page, tmp_path, page.get_by_role("button", name="CSV", exact=True).first.click)
    table = pl.read_csv(file)
    assert table["about_title"].unique().to_list() == [title]
    assert table["about_filters"].unique().to_list() == ["ESME, region North"]
    assert table["about_snapshot"].unique().to_list() == [1]
    assert all(said.endswith("UTC") for said in table.select("about_as_at", "about_file_made").row(0))
    by_type = exported("rates", "--by", "network_operator,device_type,csp_region")
    wanted = by_type.filter(device_type="ESME", csp_region="North").filter(pl.col("due") > 0)
    assert table["reported_failures"].sum() == wanted["reported_failures"].sum()
    assert sorted(table["due"]) == sorted(wanted["due"])


def test_xlsx_says_what_it_is_on_a_second_sheet(page, address, tmp_path):
    opened(page, address, FILTERED)
    files_of_first_card(page)
    file = downloaded(page, tmp_path, page.get_by_role("button", name="XLSX", exact=True).first.click)
    book = load_workbook(file)
    assert book.sheetnames == ["data", "About"]
    facts = dict(book["About"].values)
    assert (facts["Filters"], facts["Snapshot"]) == ("ESME, region North", "1")


def watch_what_is_drawn(page):
    """Keeps the drawings that the browser turns into pictures."""
    page.evaluate(
        """() => {
          window.drawn = [];
          const create = URL.createObjectURL;
          URL.createObjectURL = (blob) => {
            if (blob.type.includes("svg")) blob.text().then((text) => window.drawn.push(text));
            return create.call(URL, blob);
          };
          const source = Object.getOwnPropertyDescriptor(HTMLImageElement.prototype, "src");
          Object.defineProperty(HTMLImageElement.prototype, "src", {
            ...source,
            set(value) {
              if (value.startsWith("data:image/svg")) window.drawn.push(decodeURIComponent(value));
              source.set.call(this, value);
            },
          });
        }"""
    )


def test_png_is_made_by_keyboard_and_says_what_it_is(page, address, tmp_path):
    opened(page, address, FILTERED)
    files_of_first_card(page)
    watch_what_is_drawn(page)
    chart = page.locator(".js-plotly-plot").first
    before = chart.evaluate("chart => JSON.stringify([chart.layout.annotations, chart.layout.margin])")
    page.get_by_role("button", name="XLSX", exact=True).first.focus()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name=PNG_BUTTON)).to_be_focused()
    file = downloaded(page, tmp_path, lambda: page.keyboard.press("Enter"))
    assert file.name.startswith("parties-snapshot-1-")
    content = file.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", content[16:24])
    assert width == 2000
    assert height > 2 * chart.bounding_box()["height"]
    said = " ".join(page.evaluate("window.drawn"))
    for words in ("By Network operator: in", "Devices: ESME, region North.", "Snapshot 1, as at", "Picture made 20"):
        assert words in said, words
    assert chart.evaluate("chart => JSON.stringify([chart.layout.annotations, chart.layout.margin])") == before


def test_the_cameras_own_picture_says_it_too(page, address, tmp_path):
    opened(page, address, "parties?type=CHF")
    watch_what_is_drawn(page)
    files_of_first_card(page)
    expect(page.get_by_role("button", name="PNG of the chart").first).to_be_visible()
    camera = page.locator('.js-plotly-plot [data-title*="PNG"]').first
    downloaded(page, tmp_path, lambda: camera.dispatch_event("click"))
    assert "Devices: CHF." in " ".join(page.evaluate("window.drawn"))


def test_a_changed_filter_is_in_the_next_picture(page, address, tmp_path):
    opened(page, address, "parties?type=CHF")
    files_of_first_card(page)
    page.get_by_role("button", name="Clear the filters").click()
    expect(page.get_by_text("Filtered to")).to_have_count(0, timeout=20_000)
    settled(page)
    watch_what_is_drawn(page)
    downloaded(page, tmp_path, page.get_by_role("button", name="PNG of the chart").first.click)
    assert "Devices: all Devices." in " ".join(page.evaluate("window.drawn"))
