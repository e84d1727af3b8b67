"""The served dashboard in a real Chromium, its figures read off the page and held against `pco export`."""

from urllib.parse import parse_qs, urlparse

import polars as pl
import pytest
from playwright.sync_api import expect

from tests.app_pages import TITLES
from tests.browser.reading import devices_due, figures_drawn, metric, opened, settled

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("path", TITLES)
def test_each_page_opens_by_its_address(page, address, path):
    opened(page, address, path)
    expect(page.locator("h1")).to_have_text(TITLES[path])
    expect(page.get_by_text("Demonstration estate.")).to_be_visible()
    expect(page.get_by_text("could not be drawn")).to_have_count(0)


def test_headline_on_the_page_equals_the_export(page, address, exported):
    overall = exported("rates").row(0, named=True)
    opened(page, address)
    headline = page.locator("h2").first.inner_text().replace("\u00a0", " ")
    assert headline.startswith(
        f"{overall['reported_failure_rate']:.1%} reported, {overall['actual_failure_rate']:.1%} actual".replace(
            "%", " %"
        )
    )
    assert devices_due(page) == overall["due"]
    assert metric(page, "Reported failed") == f"{overall['reported_failures']:,}"
    assert metric(page, "Missed failures") == f"{overall['missed_failures']:,}"


def test_a_filter_set_by_keyboard_changes_figures_and_address(page, address, exported):
    by_type = exported("rates", "--by", "device_type")
    opened(page, address)
    box = page.get_by_role("combobox", name="Device type")
    box.press_sequentially("CHF")
    box.press("Enter")
    expect(page.get_by_text("Filtered to CHF")).to_be_visible(timeout=20_000)
    settled(page)
    assert parse_qs(urlparse(page.url).query) == {"type": ["CHF"]}
    assert devices_due(page) == by_type.filter(device_type="CHF")["due"].item()


def test_a_link_shows_the_same_view_in_a_new_browser(page, address, exported):
    by_both = exported("rates", "--by", "device_type,csp_region")
    opened(page, address, "?type=ESME&region=North")
    wanted = by_both.filter(device_type="ESME", csp_region="North")
    assert devices_due(page) == wanted["due"].item()
    assert metric(page, "Over-reported") == f"{wanted['over_reported'].item():,}"


def test_filters_are_kept_from_page_to_page(page, address):
    opened(page, address, "?type=ESME")
    expect(page.get_by_text("Filtered to ESME")).to_be_visible()
    page.get_by_role("link", name="Causes").click()
    expect(page.locator("h1")).to_have_text("Causes")
    settled(page)
    expect(page.get_by_text("Filtered to ESME")).to_be_visible()
    expect(page).to_have_url(f"{address}/causes?type=ESME")


def test_a_downloaded_file_equals_the_export(page, address, exported, tmp_path):
    opened(page, address, "parties?compare_by=Network+operator")
    page.get_by_text("The same as a table, and as a file").first.click()
    expect(page.get_by_role("button", name="CSV", exact=True)).to_be_visible(timeout=20_000)
    settled(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV", exact=True).click()
    file = tmp_path / "parties.csv"
    download.value.save_as(file)
    assert "snapshot-1" in download.value.suggested_filename
    numbers = ["network_operator", "due", "reported_failures", "verified", "not_secure", "over_reported"]
    shown = pl.read_csv(file).select(numbers).sort("network_operator")
    wanted = exported("rates", "--by", "network_operator").filter(pl.col("due") > 0).select(numbers)
    assert shown.equals(wanted.sort("network_operator"))


def test_charts_are_drawn_and_tell_themselves_to_a_screen_reader(page, address):
    opened(page, address)
    charts = figures_drawn(page, 2)
    expect(charts.first.locator("path.js-line").first).to_be_visible()
    expect(page.get_by_role("figure", name="The table below holds the same.")).to_have_count(2)
