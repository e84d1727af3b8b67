"""The Criteria page in a real Chromium: a set chosen by keyboard, and its permalink in a new browser."""

from urllib.parse import parse_qs, urlparse

import pytest
from playwright.sync_api import expect

from tests.browser.reading import opened, settled

pytestmark = pytest.mark.browser
CHOSEN = ("accept_handover", "accept_timeout")


def row(table, amendments, evidence):
    return next(row for row in table.to_dicts() if (row["amendments"], row["evidence"]) == (amendments, evidence))


def shows(page, figures):
    """Each figure comes to stand on the page: a run that a switch starts may not have begun when it is asked for."""
    for label, figure in figures.items():
        shown = page.get_by_test_id("stMetric").filter(has_text=label).get_by_test_id("stMetricValue")
        expect(shown).to_have_text(figure, timeout=20_000)


def test_a_set_chosen_by_keyboard_is_in_the_address_and_opens_in_a_new_browser(page, address, exported, browser):
    table = exported("amendments")
    wanted, in_force = row(table, list(CHOSEN), False), row(table, [], False)
    opened(page, address, "criteria")
    for name in ("Accept: DCC credential handover", "Accept: Response timed out"):
        switch = page.get_by_role("switch", name=name)
        switch.focus()
        switch.press("Space")
        expect(switch).to_be_checked()
        settled(page)
    figures = {
        "Over-reported left": f"{wanted['over_reported']:,}",
        "Missed failures created": f"{wanted['missed_failures'] - in_force['missed_failures']:,}",
    }
    shows(page, figures)
    expect(page.get_by_role("heading", name="Over-reported failures fall from")).to_be_visible()
    assert parse_qs(urlparse(page.url).query) == {name: ["true"] for name in CHOSEN}
    other = browser.new_context().new_page()
    opened(other, *page.url.rsplit("/", 1))
    shows(other, figures)
    other.context.close()


def test_a_link_with_evidence_order_and_filter_shows_that_view(page, address):
    opened(
        page,
        address,
        "criteria?accept_timeout=true&accept_handover=true&evidence=true&order=Response+timed+out&type=ESME",
    )
    expect(page.get_by_role("switch", name="Ask for certificate evidence")).to_be_checked()
    expect(page.get_by_text("Filtered to ESME")).to_be_visible()
    shows(page, {"Missed failures created": "0"})
    labels = page.locator(".js-plotly-plot").first.locator(".ytick text")
    # The rows of the upper panel, once the chart is drawn.
    expect(labels).to_have_count(4, timeout=20_000)
    from_the_top = sorted(labels.all(), key=lambda label: label.bounding_box()["y"])
    assert [label.text_content() for label in from_the_top[:3]] == [
        "Criteria in force",
        "Response timed out",
        "DCC credential handover",
    ]


def test_the_set_is_kept_from_page_to_page(page, address):
    opened(page, address, "criteria?accept_timeout=true")
    page.get_by_role("link", name="Causes").click()
    expect(page.locator("h1")).to_have_text("Causes")
    settled(page)
    page.get_by_role("link", name="Criteria").click()
    expect(page.locator("h1")).to_have_text("Criteria")
    settled(page)
    expect(page.get_by_role("switch", name="Accept: Response timed out")).to_be_checked()
