"""A dashboard with logins on, and a browser that logs in to it and keeps every byte that it is sent."""

import re
import time
import urllib.request
from contextlib import contextmanager

from test_access import CONFIGURATION

from tests.browser.serving import free_port, started

# The provider of the tests speaks http.
INSECURE = {"AUTHLIB_INSECURE_TRANSPORT": "1", "PYTHONWARNINGS": "ignore"}


def wait_for(address, path):
    for _ in range(300):
        try:
            with urllib.request.urlopen(address + path, timeout=1):
                return address
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"{address} did not answer")


@contextmanager
def served(home, marts, provider, configuration=CONFIGURATION, more_secrets=""):
    """The dashboard with logins on, its secrets and configuration in `home`."""
    port = free_port()
    (home / ".streamlit").mkdir(parents=True, exist_ok=True)
    (home / ".streamlit" / "secrets.toml").write_text(
        f"""[auth]
redirect_uri = "http://127.0.0.1:{port}/oauth2callback"
cookie_secret = "{"0123456789abcdef" * 4}"
client_id = "pco"
client_secret = "secret"
server_metadata_url = "{provider}/.well-known/openid-configuration"
expose_tokens = ["access"]
{more_secrets}
"""
    )
    file = home / "access.toml"
    file.write_text(configuration + f'\n[folders]\naudit = "{home}/log"\nscopes = "{home}/scopes"\n')
    told = {"HOME": str(home), "PCO_ACCESS": str(file), **INSECURE}
    with started(marts, port=port, **told) as dashboard:
        yield dashboard.address


class Visitor:
    """A browser of its own that keeps every byte that it is sent: pages, sockets, files."""

    def __init__(self, browser, **options):
        self.context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True, **options)
        self.page = self.context.new_page()
        self.received = []
        self.page.on("websocket", lambda socket: socket.on("framereceived", self._keep))
        self.page.on("response", self._keep_response)

    def _keep(self, frame):
        self.received.append(frame if isinstance(frame, bytes) else frame.encode())

    def _keep_response(self, response):
        if "/media/" in response.url or "/component" in response.url:
            self.received.append(response.body())

    def bytes(self):
        return b"\n".join(self.received)

    def opens(self, address):
        self.page.goto(address)
        return self

    def logs_in(self, site, who):
        self.opens(site)
        self.page.get_by_role("button", name="Log in").click()
        self.page.wait_for_url(re.compile("oauth2/authorize"))
        self.page.locator('input[name="sub"]').fill(who)
        self.page.locator('input[name="sub"]').press("Enter")
        self.page.wait_for_url(re.compile(re.escape(site)))
        return self
