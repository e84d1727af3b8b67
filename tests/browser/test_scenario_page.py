"""The Causes page in a real Chromium: a cause left out by keyboard, and the permalink of it in a new browser."""

from urllib.parse import parse_qs, urlparse

import polars as pl
import pytest
from playwright.sync_api import expect

from tests.browser.reading import opened, settled

pytestmark = pytest.mark.browser


def shows(page, figures):
    for label, figure in figures.items():
        shown = page.get_by_test_id("stMetric").filter(has_text=label).get_by_test_id("stMetricValue")
        expect(shown).to_have_text(figure, timeout=20_000)


def test_a_cause_left_out_is_in_the_address_and_opens_in_a_new_browser(page, address, exported, browser):
    causes = exported("causes", "--by", "device_type").filter(device_type="ESME")
    overall = exported("rates", "--by", "device_type").filter(device_type="ESME").row(0, named=True)
    kept, out = causes.filter(pl.col("cause") != "timeout"), causes.filter(cause="timeout")
    hidden = out["confirmed_failures"].item()
    opened(page, address, "causes?type=ESME")
    shows(page, {"Confirmed failures hidden": "0"})
    switch = page.get_by_role("switch", name="Leave out: Response timed out")
    switch.focus()
    switch.press("Space")
    expect(switch).to_be_checked(timeout=20_000)
    figures = {
        "Over-reported left": f"{kept['over_reported'].sum():,}",
        "Confirmed failures hidden": f"{hidden:,}",
        "Missed failures": f"{overall['missed_failures'] + hidden:,}",
    }
    shows(page, figures)
    settled(page)
    expect(page.get_by_role("heading", name="Without Response timed out")).to_contain_text(
        f"({kept['reported_failures'].sum():,} of {overall['due']:,} due)"
    )
    wanted = {"type": ["ESME"], "without_timeout": ["true"]}
    page.wait_for_url(lambda url: parse_qs(urlparse(url).query) == wanted, timeout=20_000)
    other = browser.new_context().new_page()
    opened(other, *page.url.rsplit("/", 1))
    shows(other, figures)
    other.context.close()


def test_the_scenario_is_kept_from_page_to_page(page, address):
    opened(page, address, "causes?without_unexplained=true")
    page.get_by_role("link", name="Criteria").click()
    expect(page.locator("h1")).to_have_text("Criteria", timeout=20_000)
    settled(page)
    page.get_by_role("link", name="Causes").click()
    expect(page.locator("h1")).to_have_text("Causes", timeout=20_000)
    settled(page)
    expect(page.get_by_role("switch", name="Leave out: Unexplained")).to_be_checked(timeout=20_000)
    expect(page).to_have_url(f"{address}/causes?without_unexplained=true")


def test_each_cause_has_its_small_chart_drawn(page, address):
    opened(page, address, "causes")
    charts = page.locator("img[alt*='Share of Devices due']")
    expect(charts).to_have_count(5, timeout=20_000)
    assert charts.evaluate_all("all => all.every(one => one.complete && one.naturalWidth > 0)")
