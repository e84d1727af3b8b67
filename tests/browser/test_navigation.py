"""Clicks, keys, Back and links in a real Chromium: the view and the address agree each time."""

import re
from urllib.parse import parse_qs, urlparse

import pytest
from playwright.sync_api import expect

from tests.app_pages import TITLES
from tests.browser.reading import devices_due, opened, settled

pytestmark = pytest.mark.browser


def query(page):
    return parse_qs(urlparse(page.url).query)


def shows(page, title, filtered=None):
    """The page, its filters in words, and its address; the run that a step starts may not have begun."""
    # While a page is drawn, the heading of the run before may still stand there.
    expect(page.locator("h1").first).to_have_text(title, timeout=20_000)
    said = page.get_by_text(re.compile("Filtered to"))
    if filtered:
        expect(said).to_have_text(re.compile(f"Filtered to {re.escape(filtered)}$"), timeout=20_000)
    else:
        expect(said).to_have_count(0, timeout=20_000)
    settled(page)


def ready(page):
    """Until the script that keeps views is there, a change is no entry of the history."""
    # The page may not run text as a script, which is how Playwright waits for a function.
    for _ in range(200):
        if page.evaluate("history.keepsViews"):
            return
        page.wait_for_timeout(50)
    pytest.fail("the script that keeps views did not come")


def pick(page, name, text):
    box = page.get_by_role("combobox", name=name)
    box.press_sequentially(text)
    box.press("Enter")
    box.press("Escape")


def click_mark(page, card, mark):
    """Clicks the middle of a mark of the last series of a card's chart."""
    marks = page.locator(f".st-key-card-{card} .scatterlayer .trace").last.locator(".points path")
    expect(marks.nth(mark)).to_be_attached(timeout=20_000)
    marks.nth(mark).scroll_into_view_if_needed()
    box = marks.nth(mark).bounding_box()
    at = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(at[0] - 1, at[1])
    page.mouse.move(*at)
    page.mouse.click(*at)


def test_back_undoes_each_step(page, address):
    opened(page, address)
    ready(page)
    pick(page, "Device type", "CHF")
    shows(page, "Overview", "CHF")
    # Changes in quick succession are one step of the history.
    page.wait_for_timeout(1100)
    pick(page, "CSP region", "North")
    shows(page, "Overview", "CHF, region North")
    page.get_by_role("link", name="Causes").click()
    shows(page, "Causes", "CHF, region North")
    for step in range(2):
        page.go_back()
        shows(page, "Overview", ("CHF, region North", "CHF")[step])
        assert query(page) == ({"type": ["CHF"], "region": ["North"]}, {"type": ["CHF"]})[step]
        page.wait_for_timeout(1100)
    page.go_back()
    shows(page, "Overview")
    assert query(page) == {}
    page.go_forward()
    shows(page, "Overview", "CHF")
    assert query(page) == {"type": ["CHF"]}


def test_changes_in_quick_succession_are_one_step_back(page, address):
    """As of a slider that is moved by its keys."""
    opened(page, address)
    ready(page)
    grown = page.evaluate(
        """() => {
          const before = history.length;
          for (const month of ["Feb", "Mar", "Apr"]) history.replaceState({}, "", `/?period=${month}+2018`);
          return history.length - before;
        }"""
    )
    assert grown == 1
    assert query(page) == {"period": ["Apr 2018"]}


def test_back_undoes_a_switch_of_the_criteria(page, address):
    opened(page, address, "criteria?type=CHF")
    ready(page)
    switch = page.get_by_role("switch", name="Accept: Response timed out")
    switch.focus()
    switch.press("Space")
    expect(page).to_have_url(re.compile("accept_timeout=true"))
    settled(page)
    page.go_back()
    expect(switch).not_to_be_checked(timeout=20_000)
    shows(page, "Criteria", "CHF")
    assert query(page) == {"type": ["CHF"]}


def test_a_click_on_a_party_filters_and_its_link_shows_the_same_in_a_new_browser(page, address, browser, exported):
    opened(page, address, "parties?compare_by=CSP+region")
    shown = exported("rates", "--by", "csp_region").sort("reported_failure_rate", descending=True)
    ready(page)
    click_mark(page, "parties", 1)
    region = shown["csp_region"][1]
    shows(page, "Parties", f"region {region}")
    assert query(page) == {"compare_by": ["CSP region"], "region": [region]}
    other = browser.new_context().new_page()
    opened(other, *page.url.rsplit("/", 1))
    shows(other, "Parties", f"region {region}")
    other.context.close()
    page.go_back()
    shows(page, "Parties")
    assert query(page) == {"compare_by": ["CSP region"]}


def test_the_same_mark_can_be_clicked_again(page, address):
    opened(page, address, "parties")
    seen = []
    for _ in range(2):
        click_mark(page, "parties", 3)
        expect(page).to_have_url(re.compile("party="), timeout=20_000)
        settled(page)
        seen.append(query(page))
        page.get_by_role("button", name="Clear the filters").click()
        shows(page, "Parties")
    assert seen[0] == seen[1]


def test_a_click_on_a_quarter_sets_the_period(page, address):
    opened(page, address, "party")
    click_mark(page, "beside-peers", 2)
    expect(page).to_have_url(re.compile("period="), timeout=20_000)
    first, last = query(page)["period"]
    assert first != last
    settled(page)


def test_the_keyboards_way_to_filter(page, address, exported):
    opened(page, address, "parties?compare_by=CSP+region&type=ESME")
    box = page.get_by_role("combobox", name="Filter to").first
    box.focus()
    box.press_sequentially("North")
    box.press("Enter")
    shows(page, "Parties", "ESME, region North")
    assert query(page) == {"compare_by": ["CSP region"], "region": ["North"], "type": ["ESME"]}
    page.get_by_role("link", name="Overview").click()
    shows(page, "Overview", "ESME, region North")
    wanted = exported("rates", "--by", "device_type,csp_region").filter(device_type="ESME", csp_region="North")
    assert devices_due(page) == wanted["due"].item()


@pytest.mark.parametrize("path", TITLES)
def test_nothing_is_wider_than_a_telephone(page, address, path):
    page.set_viewport_size({"width": 390, "height": 844})
    opened(page, address, path)
    page.wait_for_load_state("networkidle")
    wide = page.evaluate(
        "Math.max(...['html', '[data-testid=stMain]'].map((one) => document.querySelector(one).scrollWidth))"
    )
    assert wide <= 390
