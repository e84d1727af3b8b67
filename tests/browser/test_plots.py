"""Charts in a real Chromium: drawn once for each change, where they are seen, in the page's colours."""

import pytest
from playwright.sync_api import expect

from tests.browser.reading import devices_due, opened, settled

pytestmark = pytest.mark.browser

COUNT_DRAWS = """chart => { window.draws = 0; chart.on('plotly_afterplot', () => window.draws += 1) }"""
BOX = "[role=figure]"
DRAWN = f"{BOX} .js-plotly-plot"


def chart(page, name):
    return page.locator(f".st-key-chart-{name} .js-plotly-plot")


def only(page, device_type):
    box = page.get_by_role("combobox", name="Device type")
    box.press_sequentially(device_type)
    box.press("Enter")
    expect(page.get_by_text("Filtered to")).to_contain_text(device_type, timeout=20_000)
    settled(page)


def reported(figure):
    """What the lines and bars of a chart show."""
    return figure.evaluate("chart => chart._fullData.map(trace => [...(trace.y ?? []), ...(trace.x ?? [])].join())")


def test_a_chart_is_drawn_once_one_comes_near_it(page, address):
    page.set_viewport_size({"width": 1280, "height": 500})
    opened(page, address, "causes")
    boxes = page.locator(BOX)
    expect(boxes).to_have_count(3)
    first, last = boxes.first, boxes.last
    first.scroll_into_view_if_needed()
    expect(first.locator(".main-svg").first).to_be_visible()
    expect(last.locator(".main-svg")).to_have_count(0)
    height = last.bounding_box()["height"]
    last.scroll_into_view_if_needed()
    expect(last.locator(".main-svg").first).to_be_visible()
    assert last.bounding_box()["height"] == height


def test_a_chart_of_other_filters_is_not_seen_and_is_drawn_anew_when_one_comes_to_it(page, address):
    page.set_viewport_size({"width": 1280, "height": 500})
    opened(page, address, "causes")
    last, app = page.locator(BOX).last, page.get_by_test_id("stMain")
    last.scroll_into_view_if_needed()
    figure = last.locator(".js-plotly-plot")
    expect(figure.locator(".main-svg").first).to_be_visible()
    before = reported(figure)
    app.evaluate("main => main.scrollTo(0, 0)")
    only(page, "CHF")
    expect(figure).to_be_hidden()
    last.scroll_into_view_if_needed()
    expect(figure).to_be_visible()
    assert reported(figure) != before


def test_a_change_is_drawn_once_and_in_place(page, address):
    opened(page, address)
    figure = chart(page, "rates-by-month")
    expect(figure.locator("path.js-line").first).to_be_visible()
    figure.evaluate(COUNT_DRAWS)
    only(page, "ESME")
    page.wait_for_function("() => window.draws > 0")
    page.wait_for_timeout(500)
    assert page.evaluate("window.draws") == 1
    # The same page once more, with a table opened, draws none.
    page.get_by_text("The same as a table, and as a file").first.click()
    expect(page.get_by_role("button", name="CSV").first).to_be_visible(timeout=20_000)
    settled(page)
    assert page.evaluate("window.draws") == 1


def test_what_is_printed_is_every_chart(page, address):
    page.set_viewport_size({"width": 1280, "height": 500})
    opened(page, address, "causes")
    expect(page.locator(BOX)).to_have_count(3)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator(f"{DRAWN} .main-svg").count() >= 3
    assert page.locator(DRAWN).count() == 3


def test_a_chart_is_as_wide_as_its_card(page, address):
    opened(page, address)
    figure = chart(page, "rates-by-month")
    expect(figure.locator("path.js-line").first).to_be_visible()
    drawn = """before => {
        const frame = document.querySelector('[role=figure]')
        const { width } = frame.querySelector('.js-plotly-plot')._fullLayout
        return width === frame.clientWidth && width !== before && frame.clientWidth <= innerWidth && width
    }"""
    widths = [0]
    for width in (1280, 700, 390, 1000):
        page.set_viewport_size({"width": width, "height": 900})
        widths.append(page.wait_for_function(drawn, arg=widths[-1]).json_value())
    assert sorted(set(widths)) == sorted(widths)


def test_a_chart_follows_the_page_from_light_to_dark(page, address):
    page.emulate_media(color_scheme="light")
    opened(page, address)
    figure = chart(page, "rates-by-month")
    expect(figure.locator("path.js-line").first).to_be_visible()
    colours = "chart => [chart._fullLayout.paper_bgcolor, chart._fullLayout.font.color]"
    light = figure.evaluate(colours)
    page.emulate_media(color_scheme="dark")
    expect(page.get_by_test_id("stApp")).to_have_css("background-color", "rgb(14, 17, 23)", timeout=10_000)
    page.wait_for_function(
        "([light]) => document.querySelector('.js-plotly-plot')._fullLayout.paper_bgcolor !== light", arg=[light[0]]
    )
    assert [colour.lower() for colour in light] == ["#ffffff", "#0d1117"]
    assert [colour.lower() for colour in figure.evaluate(colours)] == ["#0e1117", "#f0f2f6"]


def test_a_click_on_a_mark_filters_again_and_again(page, address):
    opened(page, address, "parties")
    whole = reported(chart(page, "parties"))
    for _ in range(2):
        mark = chart(page, "parties").locator(".scatterlayer .point").first
        mark.scroll_into_view_if_needed()
        box = mark.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.up()
        expect(page.get_by_text("Filtered to")).to_be_visible(timeout=20_000)
        settled(page)
        assert "party=" in page.url
        page.get_by_role("button", name="Clear the filters").click()
        expect(page.get_by_text("Filtered to")).to_have_count(0, timeout=20_000)
        settled(page)
        assert reported(chart(page, "parties")) == whole


def test_full_screen_and_back(page, address):
    opened(page, address)
    figure = chart(page, "rates-by-month")
    expect(figure.locator("path.js-line").first).to_be_visible()
    height = figure.evaluate("chart => chart._fullLayout.height")
    figure.hover()
    figure.locator('[data-title="Full screen"]').click()
    page.wait_for_function("() => document.fullscreenElement !== null")
    frame = "() => document.querySelector('.js-plotly-plot')"
    page.wait_for_function(f"{frame}._fullLayout.height === document.documentElement.clientHeight")
    page.evaluate("() => document.exitFullscreen()")
    page.wait_for_function(f"{frame}._fullLayout.height === {height}")
    assert devices_due(page) > 0


def test_a_chart_that_cannot_be_drawn_says_so(page, address):
    page.route("**/plotly-*.min.js", lambda route: route.abort())
    opened(page, address, "causes")
    boxes = page.locator(BOX)
    expect(boxes.first).to_contain_text("The chart is not there", timeout=20_000)
    expect(boxes.first).to_contain_text("the table has the same figures")
    assert boxes.first.bounding_box()["height"] > 100
