"""A login at npm's `oidc-provider`, which refuses whoever does not use PKCE."""

import json
import os
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from tests.browser.logins import served, wait_for
from tests.browser.serving import free_port

PACKAGE = "oidc-provider@9"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(os.environ.get("PCO_THOROUGH") != "1", reason="fetches a package: only `make test-thorough`"),
    pytest.mark.skipif(not (shutil.which("npm") and shutil.which("node")), reason="npm is not there"),
]


@pytest.fixture
def provider(tmp_path):
    """The provider's address, and the file of what it did."""
    install = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", tmp_path, PACKAGE]
    done = subprocess.run(install, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        pytest.skip(f"npm cannot install {PACKAGE}: {done.stderr.strip()[-300:]}")
    port, log = free_port(), tmp_path / "provider.log"
    command = ["node", Path(__file__).with_name("provider.mjs"), tmp_path, str(port)]
    with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL) as server:
        try:
            yield wait_for(f"http://127.0.0.1:{port}", "/.well-known/openid-configuration"), log
        finally:
            server.terminate()


def test_a_login_proves_that_it_is_the_one_that_asked(tmp_path, provider, demonstration_home, visitor):
    address, log = provider
    home = tmp_path / "home"
    asks = 'client_kwargs = { prompt = "login" }'
    with served(home, demonstration_home / "marts", address, more_secrets=asks) as site:
        reader = visitor()
        # The provider's own pages would fetch a typeface from elsewhere.
        reader.context.route(re.compile(r"^https?://(?!127\.0\.0\.1)"), lambda route: route.abort())
        page = reader.opens(site).page
        page.get_by_role("button", name="Log in").click()
        page.locator('input[name="login"]').fill("ssc")
        page.locator('input[name="password"]').fill("any")
        page.locator('button[type="submit"]').click()
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("button", name="Log out")).to_be_visible(timeout=60_000)
        expect(page.get_by_text("in the role ssc")).to_be_attached()
        without = {
            "client_id": "pco",
            "response_type": "code",
            "scope": "openid",
            "redirect_uri": f"{site}/oauth2callback",
        }
        refused(f"{address}/auth?{urlencode(without)}")
    said = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    authorized = next(one for one in said if one["what"] == "authorization")
    granted = next(one for one in said if one["what"] == "grant")
    assert authorized["code_challenge_method"] == "S256"
    assert len(granted["code_verifier"]) >= 43
    assert any("PKCE" in (one.get("why") or "") for one in said if one["what"] == "refused")


def refused(address):
    """Asks without a challenge; the provider sends back to the dashboard, which is not followed."""

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *told):
            return None

    with pytest.raises(urllib.error.HTTPError) as answer:
        urllib.request.build_opener(Stay).open(address, timeout=10)
    assert "error=invalid_request" in answer.value.headers["Location"]
