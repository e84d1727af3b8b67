"""Data and method in a real Chromium: a number's road with its checksums, and two snapshots from an address."""

import re
from collections import Counter
from datetime import datetime

import pytest
from playwright.sync_api import expect

from analysis.pipeline import Parameters, build
from data.estate import generate
from data.export import outcomes_frame
from data.marts import snapshots
from tests.browser.reading import opened, settled
from tests.browser.serving import served

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """Marts of three snapshots of one estate, and where their dashboard is served."""
    home = tmp_path_factory.mktemp("several")
    generate(home / "own", 3_000, seed=5)
    for as_at in ("2021-03-31", "2021-05-31", None):
        build(home / "own", home / "marts", Parameters(as_at=datetime.fromisoformat(as_at) if as_at else None))
    with served(home / "marts") as address:
        yield home / "marts", address


def test_an_address_of_two_snapshots_shows_what_changed_between_them(page, several):
    marts, address = several
    first, _, last = (outcomes_frame(one) for one in snapshots(marts))
    both = first.select("device_id", before="finding").join(last.select("device_id", now="finding"), on="device_id")
    pairs = Counter(both.select("before", "now").rows())
    changed = sum(number for (before, now), number in pairs.items() if before != now)
    opened(page, address, "data_and_method?before=1")
    title = page.get_by_role("heading", name="since snapshot 1")
    expect(title).to_contain_text(f"{changed:,} of the {both.height:,} Devices in both have another finding")
    card = page.locator(".st-key-card-findings-1-3")
    card.get_by_role("figure").scroll_into_view_if_needed()
    unchanged = re.compile(f"^{pairs['over_reported', 'over_reported']}$")
    expect(card.locator(".textpoint text", has_text=unchanged).first).to_be_visible(timeout=20_000)
    expect(page.get_by_text("31 March 2021, 00:00 UTC").first).to_be_visible()


def test_the_overview_draws_a_point_for_each_report(page, several):
    _, address = several
    opened(page, address, "")
    page.locator(".st-key-card-rates-by-report").get_by_role("figure").scroll_into_view_if_needed()
    points = page.locator(".st-key-card-rates-by-report .scatterlayer .point")
    expect(points).to_have_count(6, timeout=20_000)
    expect(page.get_by_role("heading", name="since snapshot 2")).to_be_visible()


def test_the_road_of_a_number_is_chosen_by_keyboard_and_kept_in_the_address(page, address, exported):
    missed = exported("rates")["missed_failures"].item()
    opened(page, address, "data_and_method")
    box = page.get_by_role("combobox", name="Number")
    box.scroll_into_view_if_needed()
    settled(page)
    box.press("ArrowDown")
    expect(page.get_by_role("option", name="Missed failures")).to_be_visible()
    page.keyboard.type("Missed")
    page.keyboard.press("Enter")
    settled(page)
    ends = page.get_by_text(f"Devices with reported = passed and actual = not_secure: {missed:,}")
    expect(ends).to_be_visible(timeout=20_000)
    expect(page).to_have_url(re.compile(r"\?number=Missed\+failures$"))
    page.reload()
    settled(page)
    expect(ends).to_be_visible(timeout=20_000)
    page.get_by_text(re.compile(r"^SQL \(\d+ files\)$")).click()
    expect(page.get_by_text("data/sql/holders.sql")).to_be_visible()


def test_definitions_are_reached_from_the_menu_and_from_the_page(page, address):
    opened(page, address, "data_and_method?type=ESME")
    page.get_by_test_id("stMain").get_by_role("link", name="What the words, codes and columns mean").click()
    expect(page.locator("h1")).to_have_text("Definitions")
    settled(page)
    expect(page.get_by_text("Filtered to ESME")).to_be_visible()
    page.get_by_role("link", name="Data and method").click()
    expect(page.locator("h1")).to_have_text("Data and method")
