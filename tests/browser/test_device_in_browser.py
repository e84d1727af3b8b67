"""The Device page in a real Chromium: found by a part, its verdicts held against `pco export`, its permalink."""

from urllib.parse import parse_qs, urlparse

import polars as pl
import pytest
from playwright.sync_api import expect

from tests.browser.reading import figures_drawn, opened, settled

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def missed(exported):
    """A Device that is a missed failure, as the export has it."""
    return exported("outcomes").filter(finding="missed_failure").sort("device_id").row(0, named=True)


def says_what_the_export_does(page, row):
    expect(page.locator("h2").first).to_contain_text(f"{row['device_id']} is a missed failure", timeout=20_000)
    expect(page.get_by_text("Reported passed.")).to_be_visible()
    faulty = [fault for fault in row["faults"] if not fault.startswith("Device")]
    required = 5 if row["device_type"] in ("ESME", "GPF") else 3
    expect(page.get_by_role("heading", name=f"Cells: {required - len(faulty)} of {required} hold")).to_be_visible()
    # The last marks of the chart are those of reads: a mark of a Request is a line without a width.
    figures_drawn(page, 1)
    expect(page.locator(".js-plotly-plot .scatterlayer path.point").last).to_be_visible(timeout=20_000)


def test_a_device_is_found_without_hyphens_and_its_link_opens_in_a_new_browser(page, address, missed, browser):
    opened(page, address, "device")
    expect(page.get_by_role("button", name="Missed failure")).to_be_visible()
    box = page.get_by_role("textbox", name="EUI-64 of a Device")
    box.fill(missed["device_id"].replace("-", "").lower())
    box.press("Enter")
    says_what_the_export_does(page, missed)
    assert parse_qs(urlparse(page.url).query) == {"device": [missed["device_id"].replace("-", "").lower()]}
    page.get_by_text("Until it is due", exact=True).click()
    settled(page)
    page.wait_for_url("**span=**")
    other = browser.new_context().new_page()
    opened(other, *page.url.rsplit("/", 1))
    says_what_the_export_does(other, missed)
    other.context.close()


def test_the_last_digits_are_enough_and_a_button_completes_them(page, address, missed):
    opened(page, address, f"device?device={missed['device_id'].replace('-', '')[-8:]}")
    button = page.get_by_role("button", name=missed["device_id"])
    button.focus()
    button.press("Enter")
    says_what_the_export_does(page, missed)
    page.wait_for_url(f"**device={missed['device_id']}*")


def test_what_is_not_found_says_so(page, address):
    opened(page, address, "device?device=ffffffffffffffff")
    expect(page.get_by_text("FF-FF-FF-FF-FF-FF-FF-FF is not in this snapshot")).to_be_visible()


def test_the_device_is_kept_from_page_to_page(page, address, missed):
    opened(page, address, f"device?device={missed['device_id']}")
    page.get_by_role("link", name="Causes").click()
    expect(page.locator("h1")).to_have_text("Causes")
    settled(page)
    page.get_by_role("link", name="Device", exact=True).click()
    expect(page.locator("h1")).to_have_text("Device")
    settled(page)
    says_what_the_export_does(page, missed)
    expect(page).to_have_url(f"{address}/device?device={missed['device_id']}")


def test_downloaded_cells_are_those_of_the_export(page, address, missed, tmp_path):
    opened(page, address, f"device?device={missed['device_id']}")
    says_what_the_export_does(page, missed)
    cells = page.locator(".st-key-card-cells")
    cells.get_by_text("Every column, and as a file").click()
    settled(page)
    button = cells.get_by_role("button", name="CSV", exact=True)
    expect(button).to_be_visible(timeout=20_000)
    with page.expect_download() as download:
        button.click()
    file = tmp_path / "cells.csv"
    download.value.save_as(file)
    assert missed["device_id"] in download.value.suggested_filename
    bad = pl.read_csv(file).filter(~pl.col("verdict").is_in(["right", "not_read", "not_judged"]))
    faults = [fault for fault in missed["faults"] if not fault.startswith("Device")]
    assert [f"{cell}: {verdict}" for cell, verdict in bad.select("cell", "verdict").rows()] == faults


@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_runs_out_of_the_page(page, address, missed, width):
    page.set_viewport_size({"width": width, "height": 900})
    opened(page, address, f"device?device={missed['device_id']}")
    says_what_the_export_does(page, missed)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
