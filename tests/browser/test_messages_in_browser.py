"""From messages to the Device page in a real Chromium: an event is opened, its outcome read in words and as octets."""

from datetime import timedelta

import builds
import pytest
from builds import march
from messages import encoder
from playwright.sync_api import expect

from analysis import pipeline
from data.messages.ingest import ingest
from tests.browser.reading import opened, settled
from tests.browser.serving import served
from tests.browser.test_accessibility import grave

pytestmark = pytest.mark.browser

DEVICE, SUPPLIER = (int(text.replace("-", ""), 16) for text in (builds.eui(1), builds.SUPPLIER))
CELLS = [
    encoder.replaced((2, "DigitalSigning", None), 0, (SUPPLIER, 0xA1), (SUPPLIER, 0xB1)),
    encoder.replaced((2, "KeyAgreement", 1), 10, (SUPPLIER, 0xA2), (SUPPLIER, 0xB2)),
]
OUTCOME = encoder.outcome(7, 2, [encoder.counter_change(2, 0)], CELLS)
REPLY = encoder.message(2, 7, DEVICE, SUPPLIER, 0x0102, encoder.cells_response(OUTCOME))


def hexed(octets):
    return octets.hex().upper()


def lines():
    """A 6.15.1 asked for, and answered with one cell of two replaced."""
    identifier = encoder.request_id(SUPPLIER, DEVICE, 7)
    asked, told = march(4, 9), march(4, 9, 1)
    body = encoder.update_cells_body("Supplier", encoder.replacement(b"a", b"b"))
    yield encoder.line(asked, encoder.request(identifier, "6.15.1", 5, body))
    yield encoder.line(asked + timedelta(seconds=5), encoder.response(identifier, "I99", asked, "6.15.1"))
    yield encoder.line(told, encoder.response(identifier, "I0", told, "6.15.1", REPLY))


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Where the dashboard of an estate is served whose Responses are from message logs."""
    home = tmp_path_factory.mktemp("messages")
    encoder.write_log(home / "logs" / "log.ndjson.gz", list(lines()))
    made = ingest(home / "logs", home / "extracts")
    assert (made.messages, made.quarantined) == (3, {})
    for extract, rows in builds.secure_devices((1,)).items():
        if not (home / "extracts" / extract).exists():
            builds.write(builds.table_of(extract, rows), home / "extracts" / extract / "part-0.parquet")
    pipeline.build(home / "extracts", home / "marts")
    with served(home / "marts") as address:
        yield address


@pytest.fixture(params=["light", "dark"])
def looking(request, browser):
    context = browser.new_context(viewport={"width": 390, "height": 1000}, color_scheme=request.param)
    yield context.new_page()
    context.close()


def test_an_event_opens_by_keyboard_to_its_outcome_in_words_and_its_octets(looking, told):
    page = looking
    opened(page, told, f"device?device={builds.eui(1)}")
    card = page.locator(".st-key-card-messages")
    expect(card.get_by_role("heading", name="The messages behind these events: 3")).to_be_visible(timeout=20_000)
    event = card.locator("summary", has_text="4 March 2021, 09:01:00 UTC · Response · 6.15.1 · partial")
    event.focus()
    event.press("Enter")
    row = card.locator("tr", has_text="Cell: Supplier, key agreement, for prepayment top-up")
    expect(row).to_contain_text("failure: noTrustAnchor (10)", timeout=20_000)
    assert hexed(CELLS[1]) in row.inner_text().replace(" ", "").replace("\n", "")
    row = card.locator("tr", has_text="Cell: Supplier, digital signing")
    expect(row).to_contain_text("success")
    assert hexed(CELLS[0]) in row.inner_text().replace(" ", "").replace("\n", "")
    # What comes last is the whole message, octet for octet.
    expect(card.locator("pre").last).to_be_visible(timeout=20_000)
    whole = [text.replace(" ", "").replace("\n", "") for text in card.locator("pre").all_inner_texts()]
    assert hexed(REPLY) in whole
    settled(page)
    assert grave(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_what_the_dcc_said_without_the_device_is_shown_as_xml(looking, told):
    page = looking
    opened(page, told, f"device?device={builds.eui(1)}")
    card = page.locator(".st-key-card-messages")
    event = card.locator("summary", has_text="· Response · 6.15.1 · I99")
    event.focus()
    event.press("Enter")
    expect(card.locator("pre").last).to_contain_text("<sr:ResponseCode>I99</sr:ResponseCode>", timeout=20_000)


def test_without_messages_there_is_no_such_card(page, address, exported):
    device = exported("outcomes")["device_id"].sort()[0]
    opened(page, address, f"device?device={device}")
    expect(page.get_by_role("heading", name="The rows that this rests on")).to_be_visible(timeout=20_000)
    settled(page)
    assert page.locator(".st-key-card-messages").count() == 0
