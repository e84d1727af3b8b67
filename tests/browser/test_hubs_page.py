"""The Communications Hubs page in a real Chromium: figures beside the extract, and the set of the Criteria page."""

import re
from urllib.parse import parse_qs, urlparse

import polars as pl
import pytest
from playwright.sync_api import expect

from tests.browser.reading import figures_drawn, metric, opened, settled

pytestmark = pytest.mark.browser


def in_address(page, wanted):
    page.wait_for_url(lambda url: parse_qs(urlparse(url).query) == wanted, timeout=20_000)


def failed_chfs(exported, extracts):
    """The exported outcome of each Incident about a CHF that is reported failed."""
    incidents = pl.read_parquet(sorted((extracts / "incidents").rglob("*.parquet"))).unique()
    outcomes = exported("outcomes").filter(device_type="CHF", reported="failed")
    return incidents.join(outcomes, on="device_id")


def test_figures_equal_the_extract_and_the_export(page, address, exported, demonstration_home):
    incidents = pl.read_parquet(sorted((demonstration_home / "extracts" / "incidents").rglob("*.parquet"))).unique()
    secure = incidents.join(exported("outcomes").filter(actual="secure"), on="device_id").height
    opened(page, address, "hubs")
    expect(page.locator("h1")).to_have_text("Communications Hubs", timeout=20_000)
    assert metric(page, "Incidents raised") == f"{incidents.height:,}"
    assert metric(page, "For a CHF that is secure") == f"{secure:,}"
    assert metric(page, "Still open") == f"{incidents['closed_at'].null_count():,}"
    figures_drawn(page, 4)


def test_a_set_chosen_on_the_criteria_page_is_chosen_here(page, address, exported, demonstration_home):
    failed = failed_chfs(exported, demonstration_home / "extracts")
    # Where one cause holds and no check is without one, its amendment alone decides.
    timeout = failed.filter(pl.col("cause") == "timeout", pl.col("causes").list.len() == 1, actual="secure")
    assert timeout.height > 0
    opened(page, address, "criteria?accept_timeout=true&evidence=true&type=CHF")
    page.get_by_role("link", name="Communications Hubs").click()
    expect(page.locator("h1")).to_have_text("Communications Hubs", timeout=20_000)
    settled(page)
    expect(page.get_by_role("switch", name="Accept: Response timed out")).to_be_checked(timeout=20_000)
    expect(page.get_by_role("switch", name="Ask for certificate evidence")).to_be_checked(timeout=20_000)
    in_address(
        page,
        {
            "accept_timeout": ["true"],
            "evidence": ["true"],
            "type": ["CHF"],
        },
    )
    title = page.get_by_role("heading", name="The chosen set would not have raised").inner_text()
    assert f"of {failed.height:,} Incidents" in title
    not_raised = int(title.split("raised ")[1].split(" of ")[0].replace(",", ""))
    # At least those; where several causes hold, each check of its own decides.
    assert timeout.height <= not_raised <= failed.filter(pl.col("causes").list.contains("timeout")).height
    assert "0 about one that is not secure" in title


def test_a_switch_by_keyboard_is_in_the_address(page, address):
    opened(page, address, "hubs")
    expect(page.get_by_role("heading", name="All four amendments together")).to_be_visible()
    switch = page.get_by_role("switch", name="Accept: Empty Execution Status")
    switch.focus()
    switch.press("Space")
    expect(page.get_by_role("heading", name="The chosen set would not have raised")).to_be_visible(timeout=20_000)
    settled(page)
    in_address(page, {"accept_empty_status": ["true"]})


def test_a_set_chosen_here_is_chosen_on_the_criteria_page(page, address):
    opened(page, address, "hubs?accept_timeout=true&evidence=true")
    page.get_by_role("link", name="Criteria").click()
    expect(page.locator("h1")).to_have_text("Criteria", timeout=20_000)
    settled(page)
    expect(page.get_by_role("switch", name="Accept: Response timed out")).to_be_checked(timeout=20_000)
    expect(page.get_by_role("switch", name="Ask for certificate evidence")).to_be_checked(timeout=20_000)
    expect(page.get_by_role("heading", name=re.compile("^Reported failures fall from"))).to_be_visible()
    in_address(page, {"accept_timeout": ["true"], "evidence": ["true"]})
