"""Leaves a picture of each page, light and dark, wide and narrow: `make screenshots`, then look at them.

The dashboard served is that of the demonstration in data/demo/, which `make demo` makes.
"""

import sys
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests.app_pages import TITLES
from tests.browser.get_chromium import chromium
from tests.browser.reading import settled
from tests.browser.serving import FLAGS, served

PROJECT = Path(__file__).resolve().parents[2]
OUTPUT = PROJECT / "tests" / "browser" / "output"
PAGES = {path or "overview": path for path in TITLES}
LOOKS = {"light": ("light", 1280), "dark": ("dark", 1280), "narrow": ("light", 390)}
TALLEST = 6_000


def picture(page: Page, address: str, path: str, file: Path) -> None:
    """The whole page, once its run is over and its charts are drawn."""
    width = page.viewport_size["width"]
    page.set_viewport_size({"width": width, "height": 1000})
    page.goto(f"{address}/{path}")
    expect(page.locator("h1")).to_be_visible(timeout=60_000)
    settled(page)
    height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    page.set_viewport_size({"width": width, "height": min(height + 40, TALLEST)})
    settled(page)
    expect(page.locator("[role=figure]:not(:has(.main-svg))")).to_have_count(0)
    page.screenshot(path=file)
    print(file.relative_to(PROJECT))


def main() -> None:
    home = Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT / "data" / "demo"
    OUTPUT.mkdir(exist_ok=True)
    with served(home / "marts") as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        for look, (scheme, width) in LOOKS.items():
            page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 1000})
            for name, path in PAGES.items():
                picture(page, address, path, OUTPUT / f"{name}-{look}.png")
        browser.close()


if __name__ == "__main__":
    main()
