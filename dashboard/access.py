"""Who is asking, and what he may see: off for one person on loopback, on by a configuration file.

The cookie that a login leaves lives 30 days, knows nothing of its token's end and is as good as new when it was copied
before a logout. So nothing is taken from the login but the claims, and these are weighed anew at every run: whether
the token has ended, how old it is, whether its session was ended by a logout, and which role the reader has now.
Whoever has no role sees no page.
"""

import hashlib
import json
import os
import time
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import streamlit as st

from dashboard import access_provider
from dashboard.access_settings import Settings, WrongAccess, read_settings
from data.scopes import AGGREGATES, ALL, OPERATOR, PARTY, Scope

__all__ = ["Denied", "Reader", "WrongAccess", "end_session", "is_configured", "reader", "refuse_unfit", "settings"]

VARIABLE = "PCO_ACCESS"
ONE_PERSON = "one person on this machine"
SSC, SECAS, OF_PARTY, OF_OPERATOR = "ssc", "secas", "party", "operator"
EVERY_PAGE = (
    "overview",
    "parties",
    "party",
    "causes",
    "pathways",
    "criteria",
    "hubs",
    "business_case",
    "device",
    "reports",
    "data_and_method",
    "definitions",
)
# Role -> files of the pages that it has; a page of the app that is in none of these is for the SSC alone.
PAGES = {
    SECAS: ("overview", "causes", "criteria", "hubs", "business_case", "definitions"),
    OF_PARTY: tuple(page for page in EVERY_PAGE if page != "data_and_method"),
    OF_OPERATOR: ("data_and_method", "definitions"),
}


class Denied(Exception):
    """The reader may see nothing; the message says why, and `can_log_in` whether another login may help."""

    def __init__(self, reason: str, can_log_in: bool = True):
        super().__init__(reason)
        self.can_log_in = can_log_in


@dataclass(frozen=True)
class Reader:
    """Who looks at this run's page. session: what tells this login from any other; ends: seconds since 1970."""

    who: str
    role: str
    scope: Scope
    session: str = ""
    ends: float = field(default=float("inf"), compare=False)

    def may_see(self, page: str) -> bool:
        """Whether the page of this name (of its file) is one of the role's."""
        return self.role == SSC or page in PAGES.get(self.role, ())

    def refuse_ended(self) -> None:
        """For what is asked for after the page was drawn: raises `Denied` once the login has ended."""
        if self.session and (time.time() >= self.ends or is_ended(self.session, settings())):
            raise Denied("Your login has ended.")


LOCAL = Reader(ONE_PERSON, SSC, ALL)


def is_configured() -> bool:
    """Whether readers must log in: `PCO_ACCESS` names a configuration file."""
    return bool(os.environ.get(VARIABLE))


def settings() -> Settings:
    """The configuration as it is now; raises `WrongAccess`."""
    file = Path(os.environ[VARIABLE])
    try:
        changed = file.stat().st_mtime_ns
    except OSError as error:
        raise WrongAccess(f"{file}: {error.strerror}") from error
    return _settings(file, changed)


@lru_cache(maxsize=4)
def _settings(file: Path, changed: int) -> Settings:
    return read_settings(file)


def refuse_unfit() -> None:
    """For whoever starts the server: raises `WrongAccess` where logins could not be trusted."""
    if is_configured():
        access_provider.refuse_unfit(settings())


def reader() -> Reader:
    """Who is asking, weighed anew; raises `Denied`, or `WrongAccess` where the configuration is broken."""
    if not is_configured():
        return LOCAL
    known = settings()
    access_provider.refuse_unfit(known)
    claims = access_provider.claims()
    if not claims:
        raise Denied("")
    return weighed(claims, known, time.time(), access_provider.current(claims, known))


def weighed(claims: dict, known: Settings, now: float, current: dict) -> Reader:
    """The reader of these claims at this moment (seconds since 1970); `current`: what the provider says of him now."""
    issued, ends = (_seconds(claims.get(name)) for name in ("iat", "exp"))
    if issued is None or ends is None or not claims.get("sub"):
        raise Denied("Your login does not say who you are, when it was made, or when it ends.")
    if issued > now + known.clock_skew_seconds:
        raise Denied(
            f"The login provider's clock is {issued - now:.0f} seconds ahead of this server's, so your login lies in "
            "the future. Ask the operator to set the clocks."
        )
    ends = min(ends, issued + known.longest_hours * 3600)
    if now >= ends:
        raise Denied("Your login has ended.")
    session = session_of(claims)
    if is_ended(session, known):
        raise Denied("You have logged out of this login.")
    if claims["sub"] in known.denied_subjects:
        raise Denied("You may not use this dashboard.", can_log_in=False)
    if current.get("sub") != claims["sub"]:
        raise Denied("The login provider no longer knows your login.")
    role = role_of(current, known)
    if role is None:
        raise Denied("You have no role in this dashboard. Ask whoever manages access to give you one.")
    who = str(current.get(known.who_claim) or claims["sub"])
    return Reader(who, role, scope_of(role, current, known), session, ends)


def _seconds(claim: object) -> float | None:
    return float(claim) if isinstance(claim, int | float) and not isinstance(claim, bool) else None


def role_of(claims: dict, known: Settings) -> str | None:
    """The first role of the configuration, in its order, of which the reader has the name; None where he has none."""
    given = _claim(claims, known.role_claim)
    names = {given} if isinstance(given, str) else {name for name in given or () if isinstance(name, str)}
    return next((role for name, role in known.roles.items() if name in names), None)


def scope_of(role: str, claims: dict, known: Settings) -> Scope:
    if role != OF_PARTY:
        return {SSC: ALL, SECAS: Scope(AGGREGATES), OF_OPERATOR: Scope(OPERATOR)}[role]
    party = _claim(claims, known.party_claim)
    if not isinstance(party, str) or not party.strip():
        raise Denied("Your login does not say which party you belong to. Ask whoever manages access.")
    return Scope(PARTY, party)


def _claim(claims: dict, name: str) -> object:
    """A claim by its name, or by the way to it: `realm_access.roles`."""
    if name in claims:
        return claims[name]
    for part in name.split("."):
        claims = claims.get(part) if isinstance(claims, dict) else None
    return claims


def session_of(claims: dict) -> str:
    """What tells one login from any other, and nothing of who it is."""
    told = [claims.get(name) for name in ("iss", "sub", "sid", "iat", "exp", "nonce", "jti")]
    return hashlib.sha256(json.dumps(told, default=str).encode()).hexdigest()


# --- logins that were ended -----------------------------------------------------------------------------------


def end_login(claims: dict) -> Reader | None:
    """Ends the login of these claims, whoever holds it; None where nothing is to be ended."""
    if not is_configured():
        return None
    known = settings()
    issued, ends = (_seconds(claims.get(name)) for name in ("iat", "exp"))
    if not claims.get("sub") or issued is None or ends is None or is_ended(session_of(claims), known):
        return None
    ends = min(ends, issued + known.longest_hours * 3600)
    reader = Reader(str(claims["sub"]), "", Scope(AGGREGATES), session_of(claims), ends)
    end_session(reader)
    return reader


def end_session(of: Reader) -> None:
    """Ends a login for good, in every process that shares the folder, also after a restart."""
    file = settings().ended_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{of.session} {of.ends:.0f}\n".encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_ended(session: str, known: Settings) -> bool:
    file = known.ended_file()
    try:
        state = file.stat()
    except FileNotFoundError:
        return False
    return session in _ended(file, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4)
def _ended(file: Path, changed: int, size: int) -> frozenset[str]:
    return frozenset(line.split()[0] for line in file.read_text(encoding="ascii").splitlines() if line.strip())


# --- this run's reader ----------------------------------------------------------------------------------------


def remember(found: Reader) -> None:
    """For the run that follows: pages ask for it, and what they read is of its scope."""
    st.session_state["reader"] = found


def of_this_run() -> Reader:
    """Whoever `remember` was told of in this run; nobody where readers must log in and none has."""
    found = st.session_state.get("reader")
    if found is None and is_configured():
        raise Denied("")
    return found or LOCAL
