"""What the login provider says: the claims of the login, and whether they still hold; asked by this server."""

import json
import time
import urllib.error
import urllib.request
from email.utils import parsedate_to_datetime
from functools import lru_cache
from threading import Lock

import streamlit as st
from streamlit import config
from streamlit.auth_util import get_secrets_auth_section

from dashboard.access_settings import Settings, WrongAccess

FEWEST_CHARACTERS = 32
NEEDED = ("redirect_uri", "cookie_secret", "client_id", "client_secret", "server_metadata_url")
SECONDS = 5
# A provider that is further off refuses, or is refused, before the dashboard hears of the login.
MOST_SECONDS_OFF = 60


def claims() -> dict:
    """The claims of the login that this session began with; empty where there is none."""
    if not st.user.get("is_logged_in", False):
        return {}
    return {name: value for name, value in st.user.to_dict().items() if name != "tokens"}


def current(of: dict, known: Settings) -> dict:
    """What the provider says of the reader now, at most `recheck_seconds` old; empty where it no longer answers."""
    if not known.recheck:
        return of
    token = st.user.tokens.get("access")
    if not token:
        return {}
    return _remembered.get(token, known.recheck_seconds)


class _Remembered:
    """What the provider said by access token, for a little while; only of late, as tokens come and go."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._said: dict[str, tuple[float, dict]] = {}

    def get(self, token: str, seconds: float) -> dict:
        now = time.monotonic()
        with self._lock:
            when, said = self._said.get(token, (0.0, {}))
        if said and now - when < seconds:
            return said
        said = _user_info(token)
        with self._lock:
            self._said = {t: one for t, one in self._said.items() if now - one[0] < seconds}
            self._said[token] = (now, said)
        return said


_remembered = _Remembered()


def _user_info(token: str) -> dict:
    """Claims of the token's owner; empty where the provider refuses the token, or cannot be reached."""
    address = _metadata(get_secrets_auth_section()["server_metadata_url"])[0].get("userinfo_endpoint")
    if not address:
        return {}
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            said = json.load(answer)
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def _metadata(address: str) -> tuple[dict, float]:
    """The provider's description of itself and how far its clock is ahead (seconds); asked once in five minutes."""
    return _asked(address, int(time.time() // 300))


@lru_cache(maxsize=4)
def _asked(address: str, when: int) -> tuple[dict, float]:
    try:
        with urllib.request.urlopen(address, timeout=SECONDS) as answer:
            told = json.load(answer)
            date = answer.headers.get("Date")
    except (OSError, ValueError):
        return {}, 0.0
    return told, parsedate_to_datetime(date).timestamp() - time.time() if date else 0.0


def what_hinders() -> str:
    """Why a login would fail before the dashboard hears of it; empty where nothing is known."""
    told, ahead = _metadata(get_secrets_auth_section().get("server_metadata_url", ""))
    if not told:
        _asked.cache_clear()
        return "The login provider cannot be reached from this server; nobody can log in. Ask the operator."
    if abs(ahead) > MOST_SECONDS_OFF:
        side = "ahead of" if ahead > 0 else "behind"
        return (
            f"The login provider's clock is {abs(ahead):.0f} seconds {side} this server's: it or this server will "
            "refuse your login, and bring you back here. Ask the operator to set the clocks."
        )
    return ""


def refuse_unfit(known: Settings) -> None:
    """Raises `WrongAccess` where the secrets would leave logins that cannot be trusted."""
    secrets = get_secrets_auth_section()
    missing = [name for name in NEEDED if not secrets.get(name)]
    if missing:
        raise WrongAccess(f"the secrets' table [auth] lacks {', '.join(missing)}; see docs/access.md")
    if len(secrets["cookie_secret"]) < FEWEST_CHARACTERS:
        raise WrongAccess(f"cookie_secret has fewer than {FEWEST_CHARACTERS} characters; make one of 64 random ones")
    exposed = secrets.get("expose_tokens", [])
    if known.recheck and "access" not in ([exposed] if isinstance(exposed, str) else exposed):
        raise WrongAccess(
            'the secrets\' table [auth] needs expose_tokens = ["access"]: without it a role that was taken away is not '
            "noticed before the login ends (recheck = false in [login] accepts that)"
        )
    if config.get_option("server.trustedUserHeaders"):
        raise WrongAccess("server.trustedUserHeaders is set: a header would say who the reader is")
