"""What tests of the pages in a browser share: a page is opened, waited for, and read."""

import re

from playwright.sync_api import expect

# True once no run is under way and, for a quarter of a second, the page neither grew nor was scrolled: a list that is
# open shuts when what it lies on is scrolled, and a press misses a button that moves under it.
AT_REST = """() => {
  const state = document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState
  const main = document.querySelector('[data-testid="stMain"]')
  const now = [state, main?.scrollHeight, main?.scrollTop].join(' ')
  if (window.lastLook?.now !== now) window.lastLook = { now, since: performance.now() }
  return state === 'notRunning' && performance.now() - window.lastLook.since > 250
}"""


def opened(page, address, path=""):
    page.goto(f"{address}/{path}")
    expect(page.locator("h1")).to_be_visible(timeout=30_000)
    settled(page)
    return page


def settled(page):
    """Waits until the run is over and the page at rest."""
    page.wait_for_function(AT_REST, timeout=30_000)


def figures_drawn(page, count):
    """The charts of the page once each was gone to, as they are drawn where they are seen."""
    figures = page.get_by_role("figure")
    expect(figures).to_have_count(count, timeout=20_000)
    for figure in figures.all():
        figure.scroll_into_view_if_needed()
        expect(figure.locator(".main-svg").first).to_be_visible(timeout=20_000)
    return page.locator(".js-plotly-plot")


def devices_due(page):
    """The number in the Overview's first sentence."""
    text = page.get_by_text(re.compile(r"^Of [\d,]+ Devices due")).inner_text()
    return int(re.match(r"Of ([\d,]+) Devices due", text)[1].replace(",", ""))


def metric(page, label):
    found = page.get_by_test_id("stMetric").filter(has_text=label)
    return found.get_by_test_id("stMetricValue").inner_text().strip()
