"""A dashboard served as `pco serve` serves it, and a Chromium that looks at it."""

import polars as pl
import pytest
from builds import pco
from playwright.sync_api import sync_playwright

from tests.browser.get_chromium import chromium
from tests.browser.logins import Visitor
from tests.browser.serving import FLAGS, served


@pytest.fixture(scope="session")
def address(demonstration, demonstration_home):
    """Where the demonstration's dashboard is served; only for this run."""
    with served(demonstration_home / "marts") as address:
        yield address


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def exported(demonstration_home, tmp_path_factory):
    """Runs `pco export` and reads the file back."""

    def export(table, *options):
        file = tmp_path_factory.mktemp("exported") / f"{table}.parquet"
        ran = pco("export", table, "--marts", demonstration_home / "marts", "--to", file, *options)
        assert (ran.status, ran.err) == (0, "")
        return pl.read_parquet(file)

    return export


@pytest.fixture
def page(browser, address):
    """A page in a new browser that knows nothing; it fails when anything was asked for outside this machine."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000}, accept_downloads=True)
    page = context.new_page()
    outside = []
    page.on("request", lambda request: outside.append(request.url) if leaves_the_machine(request.url) else None)
    yield page
    context.close()
    assert outside == []


@pytest.fixture
def visitor(browser):
    """Makes visitors, each a browser of its own."""
    visitors = []

    def new(**options):
        visitors.append(Visitor(browser, **options))
        return visitors[-1]

    yield new
    for one in visitors:
        one.context.close()


def leaves_the_machine(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:", "about:"))
