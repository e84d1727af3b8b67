"""The Pathways page in a real Chromium: its figures beside the export, its address, and a narrow page."""

import re
from urllib.parse import parse_qs, urlparse

import polars as pl
import pytest
from playwright.sync_api import expect

from tests.browser.reading import figures_drawn, opened, settled

pytestmark = pytest.mark.browser


def heading(page, anchor):
    return page.locator(f"h3#{anchor}")


def roads_drawn(page):
    """The numbers at the end of each road's row, from the top."""
    notes = page.locator(".st-key-chart-roads .annotation-text")
    expect(notes.filter(has_text="other roads")).to_be_visible(timeout=30_000)
    texts = [note.text_content() for note in notes.all()]
    return [int(text.replace(",", "")) for text in texts if re.fullmatch(r"[\d,]+", text)]


def test_the_roads_add_up_to_the_export(page, address, exported):
    outcomes = exported("outcomes")
    opened(page, address, "pathways?flow=true")
    expect(heading(page, "roads")).to_contain_text(f"{outcomes.height:,} Devices took", timeout=20_000)
    assert sum(roads_drawn(page)) == outcomes.height
    passed, failed = (outcomes.filter(reported=reported).height for reported in ("passed", "failed"))
    said = f"{passed:,} of {outcomes.height:,} Devices met every check, {failed:,} were reported failed"
    expect(heading(page, "roads-flow")).to_contain_text(said)
    handed_over = outcomes.filter(pl.col("causes").list.contains("dcc_credential_handover")).height
    expect(page.get_by_role("listitem").filter(has_text="6.21 in place of 6.15.1")).to_contain_text(f"{handed_over:,}")
    expect(heading(page, "defined")).to_have_text("Defined: 7 checks for ESME and GPF; 6 checks for GSME and CHF")


def test_the_widgets_are_in_the_address_which_opens_in_a_new_browser(page, address, exported, browser):
    opened(page, address, "pathways?type=ESME")
    switch = page.get_by_role("switch", name="With the DSP's two checks")
    switch.focus()
    switch.press("Space")
    expect(switch).to_be_checked()
    settled(page)
    page.get_by_role("combobox", name="Roads of").click()
    page.get_by_role("option", name="Reported failed").click()
    failed = exported("outcomes").filter(device_type="ESME", reported="failed").height
    expect(heading(page, "roads")).to_contain_text(f"{failed:,} Devices took", timeout=20_000)
    assert parse_qs(urlparse(page.url).query) == {"type": ["ESME"], "dsp": ["true"], "roads_of": ["Reported failed"]}
    other = browser.new_context().new_page()
    opened(other, *page.url.rsplit("/", 1))
    expect(heading(other, "roads")).to_contain_text(f"{failed:,} Devices took", timeout=20_000)
    expect(other.get_by_role("switch", name="With the DSP's two checks")).to_be_checked()
    assert sum(roads_drawn(other)) == failed
    other.context.close()


def test_no_label_is_cut_on_a_narrow_page(page, address):
    page.set_viewport_size({"width": 390, "height": 900})
    opened(page, address, "pathways?flow=true")
    roads_drawn(page)
    charts = figures_drawn(page, 3)
    expect(page.locator(".st-key-chart-defined .sankey-node")).not_to_have_count(0, timeout=30_000)
    for chart in charts.all():
        frame = chart.bounding_box()
        labels = chart.locator(".node-label, .textpoint, .annotation-text, .legendtext")
        assert labels.count() > 0
        for label in labels.all():
            box = label.bounding_box()
            if box and label.text_content():
                assert box["x"] >= frame["x"]
                assert box["x"] + box["width"] <= frame["x"] + frame["width"] + 1


def test_the_roads_are_kept_from_page_to_page(page, address):
    opened(page, address, "pathways?roads_of=Reported+failed&attempts=true&flow=true")
    page.get_by_role("link", name="Causes").click()
    expect(page.locator("h1")).to_have_text("Causes")
    settled(page)
    page.get_by_role("link", name="Pathways").click()
    expect(page.locator("h1")).to_have_text("Pathways")
    settled(page)
    expect(page.get_by_role("switch", name="Tell retries, attempts in vain and unmet checks apart")).to_be_checked()
    expect(heading(page, "roads-flow")).to_contain_text("reported failed came")
