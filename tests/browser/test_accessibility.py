"""axe-core at WCAG 2.2 AA on every page that the app lists, in both themes."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.app_pages import TITLES
from tests.browser.reading import opened, settled

pytestmark = pytest.mark.browser
STANDARD = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
OPTIONS = {"runOnly": {"type": "tag", "values": STANDARD}, "resultTypes": ["violations"]}
GRAVE = ("serious", "critical")
# Rule, part of the element's markup, and why Streamlit's own markup is the cause.
ALLOWED = (
    ("color-contrast", '<span class="token ', "st.code has its own colours for the words of a language"),
    ("scrollable-region-focusable", "<pre ", "what st.code scrolls cannot take the focus"),
)


def grave(page):
    """What is serious or critical and not allowed: rule, its help, and the element."""
    violations = Axe().run(page, options=OPTIONS).response["violations"]
    found = [
        (rule["id"], rule["help"], node["html"])
        for rule in violations
        if rule["impact"] in GRAVE
        for node in rule["nodes"]
    ]
    return [one for one in found if not any(rule == one[0] and part in one[2] for rule, part, _ in ALLOWED)]


@pytest.fixture(scope="module", params=["light", "dark"])
def looking(request, browser):
    """A page of a browser that prefers the theme."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000}, color_scheme=request.param)
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("path", TITLES)
def test_nothing_serious_or_critical_and_one_h1_first(looking, address, path):
    opened(looking, address, path)
    assert_begins_with_its_h1(looking)
    # What is in an expander may be made only once it is open; a page that is being drawn anew is pale.
    looking.evaluate("document.querySelectorAll('details:not([open]) > summary').forEach(one => one.click())")
    looking.wait_for_timeout(1_000)
    settled(looking)
    looking.wait_for_load_state("networkidle")
    assert looking.locator("details:not([open])").count() == 0
    assert grave(looking) == []


def assert_begins_with_its_h1(page):
    """One h1, before every other heading."""
    levels = (
        page.get_by_test_id("stMain")
        .locator("h1, h2, h3, h4, h5, h6")
        .evaluate_all("headings => headings.map(heading => Number(heading.tagName[1]))")
    )
    assert levels[0] == 1
    assert levels.count(1) == 1


def test_what_is_wrong_is_found(looking, address):
    """A button without a name and a text too pale are found, so that none found means none there."""
    opened(looking, address)
    looking.evaluate(
        """document.querySelector("[data-testid=stMain]").insertAdjacentHTML("afterbegin",
        "<button></button><p style='color:#bbb;background:#fff'>pale</p>")"""
    )
    assert {"button-name", "color-contrast"} <= {rule for rule, _, _ in grave(looking)}


def test_the_pages_are_those_of_the_menu(page, address):
    opened(page, address)
    menu = page.get_by_test_id("stSidebarNavLink")
    expect(menu).to_have_count(len(TITLES))
    paths = [link.get_attribute("href").rstrip("/").rpartition("/")[2] for link in menu.all()]
    assert [path.partition("?")[0] for path in paths[1:]] == [*TITLES][1:]
