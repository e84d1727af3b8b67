"""What the app says of access: the way in and out, whose scope it is, and that a newer snapshot is there."""

import logging

import streamlit as st

from dashboard import access, access_provider, audit, reading
from data.marts import Snapshot
from data.scopes import scope_in_words

TITLE = "Post Commissioning Outcomes"


def draw(denied: access.Denied) -> None:
    """In place of any page: why nothing is shown, and the way in."""
    _forget()
    st.navigation([st.Page(_nothing, title=TITLE, default=True)], position="hidden")
    st.title(TITLE)
    if reason := str(denied):
        st.error(reason, icon=":material/lock:")
    if denied.can_log_in:
        st.markdown("The outcomes are shown to readers who have a role. Log in with your organisation's account.")
        if hindered := access_provider.what_hinders():
            st.warning(hindered, icon=":material/schedule:")
        st.button("Log in", on_click=st.login, icon=":material/login:")
        st.caption(
            "If logging in brings you back here without a word, your login was refused: a clock that is wrong is the "
            "usual reason. The operator finds the reason in the server's log."
        )
    if st.user.get("is_logged_in", False):
        st.button("Log out", on_click=st.logout)


def broken() -> None:
    """The configuration cannot be used: nobody sees anything."""
    _forget()
    st.navigation([st.Page(_nothing, title=TITLE, default=True)], position="hidden")
    logging.getLogger(__name__).exception("the configuration of access")
    st.error("Access is not configured as it should be, so nothing is shown. The operator finds the reason in the log.")


def _nothing() -> None:
    """A page that shows nothing: the address of any other leads here."""


def _forget() -> None:
    """What a session held of its reader's scope goes with him."""
    st.session_state.clear()


def begin(reader: access.Reader) -> None:
    """Tells pages whose run this is; another reader, role or scope begins with nothing of the one before."""
    before = st.session_state.get("reader")
    if before is not None and before != reader:
        _forget()
    access.remember(reader)
    if access.is_configured() and before != reader:
        audit.log(reader, audit.LOGIN, None)


def of_snapshot(shown: Snapshot) -> None:
    """A newer snapshot is offered, never put in place of what the reader looks at."""
    if reading.is_in_place_of_another():
        st.warning(
            "The latest snapshot cannot be read; an earlier one is in its place. Ask the operator to run "
            "`pco snapshots verify`.",
            icon=":material/database_off:",
        )
    newer = reading.newer_snapshot()
    if newer is not None:
        with st.container(horizontal=True, vertical_alignment="center", key="newer-snapshot"):
            st.info(
                f"Snapshot {newer} is in use since you began; you look at snapshot {shown.number} until you go over.",
                icon=":material/update:",
            )
            st.button("Go to the newer snapshot", on_click=reading.go_to_newest)


def footer(reader: access.Reader, shown: Snapshot) -> str:
    if not access.is_configured():
        return "Served to one person on this machine; nothing leaves it."
    told = " ".join(filter(None, [f"{scope_in_words(shown)}.", shown.manifest.get("said_of_scope")]))
    return f"Shown to {_plain(reader.who)} in the role {reader.role}: {_plain(told)}"


def _plain(text: str) -> str:
    """Text of a login or an extract, which must not be taken for Markdown."""
    return "".join(f"\\{letter}" if letter in r"\`*_{}[]()#+-.!|~<>$:" else letter for letter in text)


def log_out(reader: access.Reader) -> None:
    if access.is_configured():
        st.sidebar.button("Log out", on_click=_log_out, args=(reader,), icon=":material/logout:")


def _log_out(reader: access.Reader) -> None:
    """The login ends for good, whoever else holds a copy of its cookie; then the browser forgets it."""
    access.end_session(reader)
    audit.log(reader, audit.LOGOUT, None)
    _forget()
    st.logout()
