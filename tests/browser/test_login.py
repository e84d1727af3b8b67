"""Logging in and out in a real Chromium, by a provider on this machine; all bytes that are sent are searched."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

import polars as pl
import pytest
from playwright.sync_api import expect
from test_access import PAGES, canaries, told_of

from data.marts import Snapshot
from tests.app_pages import TITLES
from tests.browser.logins import INSECURE, served, wait_for
from tests.browser.reading import settled
from tests.browser.serving import PROJECT, free_port
from tests.browser.test_accessibility import assert_begins_with_its_h1, grave

pytestmark = pytest.mark.browser
ROLES = ("ssc", "secas", "party", "operator")
TOKEN_SECONDS = 8


@contextmanager
def provider(*options):
    """The address of an OpenID provider that knows nobody yet; whoever names himself there is logged in."""
    port = free_port()
    command = [sys.executable, "-m", "oidc_provider_mock", "-p", str(port), "-n", "true", *options]
    told = {**os.environ, **INSECURE}
    with subprocess.Popen(command, env=told, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            yield wait_for(f"http://127.0.0.1:{port}", "/.well-known/openid-configuration")
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def outcomes(demonstration: Snapshot):
    return demonstration.frame("outcomes")


@pytest.fixture(scope="module")
def party(outcomes):
    is_moved = pl.col("supplier") != pl.col("supplier_at_commissioning")
    return outcomes.filter(is_moved)["supplier_at_commissioning"].value_counts(sort=True, name="n").row(3)[0]


@pytest.fixture(scope="module")
def identity():
    with provider() as address:
        yield address


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("login")


@pytest.fixture(scope="module")
def site(identity, home, demonstration_home):
    with served(home, demonstration_home / "marts", identity) as address:
        yield address


def gives(identity, who, **claims):
    """What the provider says of a reader from now on."""
    body = json.dumps({"sub": who, **claims}).encode()
    request = urllib.request.Request(
        f"{identity}/users/{who}", body, {"Content-Type": "application/json"}, method="PUT"
    )
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert answer.status == 204


def claims_of(role, party):
    return {"roles": [f"gives-{role}"], **({"party_id": party} if role == "party" else {})}


@pytest.mark.parametrize("role", ROLES)
def test_every_page_as_every_role_and_out_again(site, identity, visitor, role, party, demonstration, outcomes, home):
    who = f"reader-{role}"
    gives(identity, who, **claims_of(role, party))
    reader = visitor().logs_in(site, who)
    expect(reader.page.get_by_role("button", name="Log out")).to_be_visible(timeout=60_000)
    expect(reader.page.get_by_text(f"in the role {role}")).to_be_attached()
    titles = {title for title in TITLES.values() if title in PAGES[role]}
    listed = reader.page.get_by_test_id("stSidebarNavLink")
    assert {text.strip().split("\n")[-1] for text in listed.all_inner_texts()} == titles
    for name, title in TITLES.items():
        if title in titles and title != listed.first.inner_text():
            reader.opens(f"{site}/{name}")
            expect(reader.page.locator("h1").first).to_have_text(title, timeout=60_000)
            settled(reader.page)
    forbidden = canaries(demonstration, outcomes, party if role == "party" else None)
    if role == "ssc":
        # The search does find what is there.
        assert len(told_of(reader.bytes(), forbidden)) > 20
    elif role == "operator":
        kept = json.dumps(demonstration.frame("quarantine").to_dicts())
        assert [name for name in told_of(reader.bytes(), forbidden) if name not in kept] == []
    else:
        assert len(reader.bytes()) > 50_000
        assert told_of(reader.bytes(), forbidden) == []
    reader.page.get_by_role("button", name="Log out").click()
    reader.page.wait_for_url(re.compile("end_session"))
    reader.opens(site)
    expect(reader.page.get_by_role("button", name="Log in")).to_be_visible(timeout=30_000)
    assert not reader.page.get_by_role("button", name="Log out").count()
    log = [json.loads(line) for line in (home / "log" / "audit.jsonl").read_text().splitlines()]
    assert {line["what"] for line in log if line["who"] == who} >= {"login", "logout"}


def test_a_cookie_copied_before_logout_opens_nothing_after_it(site, identity, visitor):
    gives(identity, "copied", **claims_of("ssc", None))
    reader = visitor().logs_in(site, "copied")
    expect(reader.page.get_by_role("button", name="Log out")).to_be_visible(timeout=60_000)
    thief = visitor()
    thief.context.add_cookies(reader.context.cookies())
    thief.opens(site)
    expect(thief.page.get_by_role("button", name="Log out")).to_be_visible(timeout=60_000)
    other_tab = reader.context.new_page()
    other_tab.goto(f"{site}/definitions")
    expect(other_tab.get_by_role("button", name="Log out")).to_be_visible(timeout=60_000)
    reader.page.get_by_role("button", name="Log out").click()
    reader.page.wait_for_url(re.compile("end_session"))
    replayed = visitor()
    replayed.context.add_cookies(thief.context.cookies())
    replayed.opens(site)
    expect(replayed.page.get_by_text("You have logged out of this login.")).to_be_visible(timeout=30_000)
    assert not replayed.page.get_by_test_id("stMetric").count()
    # The copy that was open already is told at its next run.
    thief.page.get_by_role("button", name="Clear the filters").click()
    expect(thief.page.get_by_text("You have logged out of this login.")).to_be_visible(timeout=30_000)
    expect(thief.page.get_by_test_id("stMetric")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_way_in_is_accessible_at_any_width(site, visitor, scheme):
    for width in (390, 1440):
        page = visitor(color_scheme=scheme).opens(site).page
        page.set_viewport_size({"width": width, "height": 900})
        expect(page.get_by_role("button", name="Log in")).to_be_visible(timeout=30_000)
        settled(page)
        assert_begins_with_its_h1(page)
        assert grave(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_logout_by_its_address_ends_copies_of_the_cookie_too(site, identity, visitor, home):
    gives(identity, "by-address", **claims_of("ssc", None))
    reader = visitor().logs_in(site, "by-address")
    expect(reader.page.get_by_role("button", name="Log out")).to_be_visible(timeout=60_000)
    settled(reader.page)
    cookies = reader.context.cookies()
    assert reader.context.request.get(f"{site}/auth/logout", max_redirects=0).status == 302
    replayed = visitor()
    replayed.context.add_cookies(cookies)
    replayed.opens(site)
    expect(replayed.page.get_by_text("You have logged out of this login.")).to_be_visible(timeout=30_000)
    log = [json.loads(line) for line in (home / "log" / "audit.jsonl").read_text().splitlines()]
    assert [line["what"] for line in log if line["who"] == "by-address"] == ["login", "logout"]


def test_a_role_that_was_taken_away_is_gone_at_the_next_run(site, identity, visitor):
    gives(identity, "removed", **claims_of("ssc", None))
    reader = visitor().logs_in(site, "removed")
    expect(reader.page.get_by_test_id("stMetric").first).to_be_visible(timeout=60_000)
    gives(identity, "removed", roles=[])
    reader.page.get_by_role("button", name="Clear the filters").click()
    expect(reader.page.get_by_text("You have no role in this dashboard")).to_be_visible(timeout=30_000)
    expect(reader.page.get_by_test_id("stMetric")).to_have_count(0)


def test_forged_headers_and_cookies_open_nothing(site, visitor):
    headers = {
        "X-Forwarded-User": "reader-ssc",
        "X-Forwarded-Email": "ssc@example.org",
        "X-Streamlit-User": "eyJyb2xlcyI6IFsiZ2l2ZXMtc3NjIl19",
        "Remote-User": "reader-ssc",
        "Authorization": "Bearer reader-ssc",
        "X-Auth-Request-Groups": "gives-ssc",
    }
    forger = visitor(extra_http_headers=headers)
    claims = json.dumps(
        {"is_logged_in": True, "sub": "x", "roles": ["gives-ssc"], "iat": 1, "exp": 9e9, "origin": site}
    )
    forger.context.add_cookies([{"name": "_streamlit_user", "value": claims.encode().hex(), "url": site}])
    for name in ("", "device", "reports", "data_and_method"):
        forger.opens(f"{site}/{name}")
        expect(forger.page.get_by_role("button", name="Log in")).to_be_visible(timeout=30_000)
        assert not forger.page.get_by_test_id("stMetric").count()


def test_a_token_that_has_ended_ends_the_session(home, demonstration_home, visitor, tmp_path):
    """The cookie lives on for 30 days; the provider's token for a few seconds."""
    with (
        provider("-e", str(TOKEN_SECONDS)) as identity,
        served(tmp_path, demonstration_home / "marts", identity) as site,
    ):
        gives(identity, "brief", **claims_of("ssc", None))
        reader = visitor().logs_in(site, "brief")
        # The token was issued before this.
        ends = time.monotonic() + TOKEN_SECONDS
        expect(reader.page.get_by_test_id("stMetric").first).to_be_visible(timeout=60_000)
        time.sleep(max(0, ends - time.monotonic()))
        reader.page.get_by_role("button", name="Clear the filters").click()
        expect(reader.page.get_by_text("Your login has ended.")).to_be_visible(timeout=30_000)
        reader.opens(site)
        expect(reader.page.get_by_text("Your login has ended.")).to_be_visible(timeout=30_000)


# A page of the cards' own download buttons for whoever the address names, of two tables as long as each other.
TWO_READERS = """
import sys
sys.path[:0] = {path!r}
import polars as pl
import streamlit as st
from dashboard import access, cards
from analysis.selection import Selection
from data.marts import Snapshot
from data.scopes import ALL
from pathlib import Path

who = st.query_params["who"]
access.remember(access.Reader(who, "ssc", ALL))
manifest = dict(as_at="2021-01-01T00:00:00", build_finished_at="2021-01-01T00:00:00", is_demonstration=True, files=[])
view = cards.View(Snapshot(Path("000001"), manifest), Selection(), "all Devices")
rows = pl.DataFrame(dict(n=[f"{{n:06d}}" for n in range(40_000)], reader=[who] * 40_000))
content, name = rows.write_csv().encode() * 6, view.file_name("exported", "csv")
st.download_button("bytes", content, file_name=name, mime="text/csv", on_click="ignore")
cards.downloads(view, "rates", rows, "Title", "How")
st.write("ready")
"""


@contextmanager
def page_of_two_readers(folder):
    port, script = free_port(), folder / "two_readers.py"
    script.write_text(TWO_READERS.format(path=[str(PROJECT)]))
    options = ["--server.port", str(port), "--server.headless", "true", "--browser.gatherUsageStats", "false"]
    command = [sys.executable, "-m", "streamlit", "run", str(script), *options]
    told = {**os.environ, "PCO_MARTS": str(folder / "marts")}
    with subprocess.Popen(command, env=told, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            yield wait_for(f"http://127.0.0.1:{port}", "/_stcore/health")
        finally:
            server.terminate()


def test_two_readers_exports_of_one_length_are_each_their_own(visitor, tmp_path):
    """Over 1 MiB a file is known by its name, its length and a few samples: the name must tell readers apart."""
    with page_of_two_readers(tmp_path) as site:
        readers = {who: visitor().opens(f"{site}/?who={who}") for who in ("A", "B")}
        content, names = {}, {}
        for button in ("bytes", "CSV"):
            for who, reader in readers.items():
                expect(reader.page.get_by_text("ready")).to_be_visible(timeout=60_000)
                with reader.page.expect_download() as download:
                    reader.page.get_by_role("button", name=button, exact=True).click()
                names[button, who] = download.value.suggested_filename
                content[button, who] = download.value.path().read_bytes()
            assert len(content[button, "A"]) == len(content[button, "B"]) > 1 << 20
            assert content[button, "A"].count(b",A") >= 39_997
            assert content[button, "B"].count(b",B") >= 39_997
        assert len(set(names.values())) == 4
