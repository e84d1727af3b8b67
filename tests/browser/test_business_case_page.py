"""The business case in a real Chromium: inputs in the address, files that agree with the page, refusals."""

import re
from urllib.parse import parse_qs, urlparse

import pytest
from openpyxl import load_workbook
from playwright.sync_api import expect

from tests.browser.reading import opened, settled
from tests.browser.test_criteria_page import shows
from tests.browser.test_files import downloaded

pytestmark = pytest.mark.browser
PAGE = "business_case"
ALL_SETS = "accept_change_of_supplier=true&accept_handover=true&accept_empty_status=true&accept_timeout=true"


def open_group(page, name):
    page.get_by_text(f"Assumptions: {name}").click()


def box(page, name):
    return page.get_by_label(name, exact=True)


def over_reported(exported, months):
    """Over-reported Devices and CHFs among them, commissioned in the months, from the export."""
    table = exported("causes", "--by", "commissioned_month,device_type")
    table = table.filter(table["commissioned_month"].is_between(*months))
    hubs = table.filter(device_type="CHF")["over_reported"].sum()
    return table["over_reported"].sum(), hubs


def test_an_input_changes_the_cost_is_in_the_address_and_opens_elsewhere(page, address, exported, browser):
    """The default assumptions make 36 a Device and 40 more a CHF; then a DCC User's hour costs 52 in place of 40."""
    devices, hubs = over_reported(exported, ("2020-08", "2021-07"))
    opened(page, address, PAGE)
    shows(page, {"Doing nothing costs, in year 1": f"£{devices * 36 + hubs * 40:,.0f}"})
    open_group(page, "Investigations")
    rate = box(page, "User rate, central")
    rate.fill("52")
    rate.press("Enter")
    wanted = {"Doing nothing costs, in year 1": f"£{devices * 42 + hubs * 40:,.0f}"}
    shows(page, wanted)
    settled(page)
    assert parse_qs(urlparse(page.url).query) == {"user_rate": ["52"]}
    other = browser.new_context().new_page()
    opened(other, *page.url.rsplit("/", 1))
    shows(other, wanted)
    other.context.close()


def test_text_in_the_address_is_refused_by_name(page, address, exported):
    devices, hubs = over_reported(exported, ("2020-08", "2021-07"))
    opened(page, address, f"{PAGE}?user_rate=lots")
    refusal = page.get_by_test_id("stAlert").filter(has_text="Not taken from the address")
    expect(refusal).to_contain_text("user_rate in the address: 'lots' is no number; 40 stands")
    shows(page, {"Doing nothing costs, in year 1": f"£{devices * 36 + hubs * 40:,.0f}"})


def test_a_low_above_its_high_is_refused_by_name_and_kept(page, address):
    opened(page, address, f"{PAGE}?user_rate_low=99&visit_share=3")
    refusal = page.get_by_test_id("stAlert").filter(has_text="make no sense")
    expect(refusal).to_contain_text("DCC User's cost per hour (user_rate): low 99 is above central 40")
    expect(refusal).to_contain_text("(visit_share), central: 3 is above 1")
    open_group(page, "Investigations")
    expect(box(page, "User rate, low")).to_have_value("99")
    expect(page.get_by_test_id("stMetric")).to_have_count(0)


def test_the_workbook_holds_what_the_page_shows(page, address, tmp_path):
    opened(page, address, f"{PAGE}?{ALL_SETS}&evidence=true&type=ESME&years=7")
    file = downloaded(page, tmp_path, page.get_by_role("button", name="Workbook (XLSX)").click)
    rows = load_workbook(file, data_only=True)["Summary"].iter_rows(min_row=6, max_row=14, max_col=2, values_only=True)
    found = dict(rows)
    npv = found["Net present value"]
    sign = "\u2212" if npv < 0 else ""
    shows(
        page,
        {
            "Doing nothing costs, in year 1": f"£{found['Cost of doing nothing, year 1']:,.0f}",
            "Net present value": f"{sign}£{abs(npv):,.0f}",
        },
    )
    document = downloaded(page, tmp_path, page.get_by_role("button", name="Document (DOCX)").click)
    assert document.read_bytes()[:2] == b"PK"


def test_scenarios_go_out_as_a_file_and_come_back(page, address, tmp_path):
    opened(page, address, f"{PAGE}?incident_cost=77")
    name = page.get_by_label("Name of the scenario")
    name.fill("Dear Incidents")
    name.press("Enter")
    page.get_by_role("button", name="Save the assumptions above").click()
    expect(page.get_by_role("heading", name="Side by side")).to_be_visible(timeout=20_000)
    settled(page)
    file = downloaded(page, tmp_path, page.get_by_role("button", name="Scenarios as a file (CSV)").click)
    assert "Dear Incidents,incident_cost,20.0,77.0,80.0" in file.read_text(encoding="utf-8")
    # A new tab knows nothing of it until the file is given.
    opened(page, address, PAGE)
    expect(page.get_by_role("heading", name="Side by side")).to_have_count(0)
    page.locator("input[type=file]").set_input_files(file)
    expect(page.get_by_role("heading", name="Side by side")).to_be_visible(timeout=20_000)
    page.get_by_role("button", name="Put it into the boxes").click()
    settled(page)
    open_group(page, "Investigations")
    expect(box(page, "Incident cost, central")).to_have_value("77", timeout=20_000)


def test_a_reload_keeps_the_inputs_and_the_scenarios(page, address):
    opened(page, address, f"{PAGE}?incident_cost=77")
    name = page.get_by_label("Name of the scenario")
    name.fill("Dear Incidents")
    name.press("Enter")
    page.get_by_role("button", name="Save the assumptions above").click()
    expect(page.get_by_role("heading", name="Side by side")).to_be_visible(timeout=20_000)
    expect(page).to_have_url(re.compile("scenarios="))
    page.reload()
    expect(page.get_by_role("heading", name="Side by side")).to_be_visible(timeout=20_000)
    open_group(page, "Investigations")
    expect(box(page, "Incident cost, central")).to_have_value("77")
    # An input changed, and another page looked at, leave them where they are.
    box(page, "Incident cost, central").fill("78")
    box(page, "Incident cost, central").press("Enter")
    expect(page).to_have_url(re.compile("incident_cost=78"))
    page.get_by_role("link", name="Causes").click()
    expect(page.locator("h1")).to_have_text("Causes")
    settled(page)
    page.get_by_role("link", name="Business case").click()
    expect(page.get_by_role("heading", name="Side by side")).to_be_visible(timeout=20_000)
    expect(page).to_have_url(re.compile("scenarios="))
    expect(page).to_have_url(re.compile("incident_cost=78"))
    page.get_by_role("button", name="Remove it").click()
    expect(page.get_by_role("heading", name="Side by side")).to_have_count(0)
    expect(page).not_to_have_url(re.compile("scenarios="))


def test_the_inputs_are_kept_from_page_to_page(page, address):
    opened(page, address, f"{PAGE}?years=8&distribution=Triangular")
    expect(page.get_by_text("from its own Triangular distribution")).to_be_visible()
    expect(page.get_by_role("heading", name="over 8 years")).to_be_visible()
    page.get_by_role("link", name="Causes").click()
    expect(page.locator("h1")).to_have_text("Causes")
    settled(page)
    page.get_by_role("link", name="Business case").click()
    expect(page.locator("h1")).to_have_text("Business case")
    expect(page.get_by_role("heading", name="over 8 years")).to_be_visible(timeout=20_000)
