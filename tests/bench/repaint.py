"""Times the dashboard in a real Chromium: the first chart after navigation, and a filter change until the last repaint.

    python -m tests.bench.repaint MARTS [--changes N] [--pages PAGE ...]

Every time is taken in the page itself. A repaint is over with the last change to the page's content that is not
followed by another within QUIET_MS; what the reader waits for is from the key press to that change. The first chart of
the page is in the middle of what is seen.
"""

import argparse
import json
from pathlib import Path
from statistics import median, quantiles

from playwright.sync_api import Page, sync_playwright

from tests.browser.get_chromium import chromium
from tests.browser.serving import FLAGS, served

# All that answer the filters with charts.
PAGES = ("", "parties", "party", "causes", "pathways", "criteria", "hubs", "business_case", "data_and_method")
QUIET_MS = 500
TYPES = ("ESME", "GSME", "GPF", "CHF")
# Each reader begins with other filters: the server holds what it was asked for, and would be measured at remembering.
BEGINNINGS = (
    "",
    "?region=North",
    "?region=Central",
    "?region=South",
    "?region=North&region=Central",
    "?region=North&region=South",
    "?region=Central&region=South",
)
# Notes when a key was last pressed, when the content last changed and when the first chart was there.
WATCH = """
window.firstChart = null;
window.lastChange = 0;
window.pressed = null;
addEventListener('keydown', event => { if (event.key === 'Enter') window.pressed = performance.now(); }, true);
new MutationObserver(() => {
    window.lastChange = performance.now();
    if (window.firstChart === null && document.querySelector('.js-plotly-plot .main-svg'))
        window.firstChart = performance.now();
}).observe(document, {childList: true, subtree: true, characterData: true, attributes: true});
"""
IS_OVER = f"""() => {{
    const app = document.querySelector('[data-testid=stApp]');
    return app && app.dataset.testScriptState === 'notRunning' && window.lastChange > (window.pressed ?? 0)
        && performance.now() - window.lastChange > {QUIET_MS};
}}"""


def first_chart(page: Page, address: str) -> float:
    """Milliseconds from navigation to the first chart, in a browser that knows nothing."""
    page.goto(address)
    # Charts are drawn where they are seen: this reader goes to the first at once, and stays there.
    page.locator("[role=figure]").first.wait_for(state="attached", timeout=60_000)
    page.evaluate("() => document.querySelector('[role=figure]').scrollIntoView({block: 'center'})")
    page.wait_for_function("() => window.firstChart !== null", timeout=60_000)
    page.wait_for_function(IS_OVER, timeout=60_000)
    return page.evaluate("() => window.firstChart")


def repaint(page: Page, device_type: str) -> float:
    """Milliseconds from the key that adds a Device type to the filter to the last change of the page."""
    box = page.get_by_role("combobox", name="Device type")
    box.press_sequentially(device_type)
    page.wait_for_timeout(100)
    box.press("Enter")
    page.wait_for_function(IS_OVER, timeout=60_000)
    return page.evaluate("() => window.lastChange - window.pressed")


def measure(marts: Path, pages: tuple[str, ...], changes: int) -> dict[str, dict]:
    found = {}
    with served(marts) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        for name in ("" if page == "overview" else page for page in pages):
            starts, repaints = [], []
            # The server has read the snapshot for the first reader; the first of all pays for it.
            while len(repaints) < changes:
                # The page may not run text as a script, which is how Playwright waits for a function.
                context = browser.new_context(viewport={"width": 1280, "height": 1000}, bypass_csp=True)
                context.add_init_script(WATCH)
                page = context.new_page()
                starts.append(first_chart(page, f"{address}/{name}{BEGINNINGS[len(starts) % len(BEGINNINGS)]}"))
                for _, device_type in zip(range(changes - len(repaints)), TYPES, strict=False):
                    repaints.append(repaint(page, device_type))
                context.close()
            found[name or "overview"] = {"first_chart_ms": starts, "repaint_ms": repaints}
        browser.close()
    return {name: summary(**times) for name, times in found.items()}


def summary(first_chart_ms: list[float], repaint_ms: list[float]) -> dict:
    return {
        "first_chart_ms": round(median(first_chart_ms)),
        "first_chart_max_ms": round(max(first_chart_ms)),
        "repaint_median_ms": round(median(repaint_ms)),
        "repaint_p95_ms": round(quantiles(repaint_ms, n=20, method="inclusive")[-1]),
        "changes": len(repaint_ms),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("marts", type=Path)
    parser.add_argument("--changes", type=int, default=20, help="filter changes a page")
    parser.add_argument("--pages", nargs="*", default=PAGES)
    given = parser.parse_args()
    print(json.dumps(measure(given.marts.resolve(), tuple(given.pages), given.changes), indent=1))


if __name__ == "__main__":
    main()
