"""The server in a real Chromium: every page under its policy, and a busy dashboard that asks again by itself."""

import asyncio
import os
import subprocess
import sys
import threading
import urllib.request
from contextlib import contextmanager, suppress

import app_pages
import pytest
from playwright.sync_api import expect

from tests.browser.reading import settled
from tests.browser.serving import free_port
from tests.load.reader import Reader

pytestmark = pytest.mark.browser
LISTENS = """
window.violations = [];
document.addEventListener("securitypolicyviolation", event =>
  window.violations.push(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}`));
"""
DRAWN = ".js-plotly-plot, [data-testid=stDataFrame], [data-testid=stTable], [data-testid=stMarkdown]"


@pytest.fixture
def listening(page):
    page.add_init_script(LISTENS)
    page.said = []
    page.on("console", lambda message: page.said.append(message.text) if "Content Security" in message.text else None)
    return page


def assert_kept_the_policy(page):
    assert page.evaluate("window.violations") == []
    assert page.said == []


@pytest.mark.parametrize("name", app_pages.TITLES, ids=lambda name: name or "overview")
def test_every_page_keeps_the_policy(listening, address, name):
    listening.goto(f"{address}/{name}")
    expect(listening.locator("h1").first).to_be_visible(timeout=30_000)
    settled(listening)
    expect(listening.locator(DRAWN).first).to_be_visible()
    table = listening.get_by_text("The same as a table, and as a file").locator("visible=true")
    if table.count():
        table.first.click()
        settled(listening)
    assert_kept_the_policy(listening)


def test_files_and_pictures_keep_the_policy(listening, address):
    listening.goto(f"{address}/parties")
    expect(listening.locator(".js-plotly-plot").first).to_be_visible(timeout=30_000)
    settled(listening)
    listening.get_by_text("The same as a table, and as a file").first.click()
    expect(listening.get_by_role("button", name="CSV", exact=True).first).to_be_visible(timeout=20_000)
    settled(listening)
    for button in (listening.get_by_role("button", name="CSV", exact=True), listening.get_by_text("PNG", exact=True)):
        with listening.expect_download():
            button.first.click()
    assert_kept_the_policy(listening)


def test_the_policy_is_in_force(listening, address):
    """Without it the tests above would see nothing."""
    listening.goto(address)
    expect(listening.locator("h1").first).to_be_visible(timeout=30_000)
    listening.evaluate(
        "document.body.appendChild(Object.assign(document.createElement('script'), {textContent: 'window.ran = 1'}))"
    )
    assert listening.evaluate("window.ran") is None
    assert [one.split()[0] for one in listening.evaluate("window.violations")] == ["script-src-elem"]


@contextmanager
def narrow(marts):
    """A server that draws one page at a time and lets others wait for a tenth of a second."""
    port = free_port()
    options = ["--port", str(port), "--runs", "1", "--patience", "0.1"]
    with subprocess.Popen(
        [sys.executable, "-m", "dashboard.server", *options], env=os.environ | {"PCO_MARTS": str(marts)}
    ) as server:
        try:
            for _ in range(300):
                with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1):
                    break
                threading.Event().wait(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


@contextmanager
def crowd(address, readers=16):
    """Readers who ask without a pause."""
    is_over = threading.Event()

    async def one():
        reader = await Reader.comes(address)
        while not is_over.is_set():
            await reader.reads("parties" if reader.pages else "")
        await reader.leaves()

    async def all_of_them():
        await asyncio.gather(*(one() for _ in range(readers)))

    thread = threading.Thread(target=asyncio.run, args=[all_of_them()])
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join(60)


def test_a_busy_page_says_so_and_comes_back_by_itself_as_it_was(listening, demonstration_home):
    busy = listening.get_by_text("Busy.", exact=True)
    with narrow(demonstration_home / "marts") as address:
        listening.goto(f"{address}/parties?type=ESME")
        expect(listening.get_by_text("Filtered to")).to_be_visible(timeout=30_000)
        settled(listening)
        with crowd(address):
            for _ in range(20):
                listening.keyboard.press("r")
                with suppress(AssertionError):
                    expect(busy).to_be_visible(timeout=2_000)
                    break
            expect(busy).to_be_visible(timeout=1_000)
        expect(busy).not_to_be_visible(timeout=60_000)
        expect(listening.get_by_text("Filtered to")).to_contain_text("ESME")
        assert "type=ESME" in listening.url
        expect(listening.locator(".js-plotly-plot").first).to_be_visible()
    assert_kept_the_policy(listening)
