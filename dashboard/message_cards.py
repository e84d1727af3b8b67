"""The messages behind a Device's events: each opens to what it says, in words and as octets."""

import polars as pl
import streamlit as st

from dashboard import cards, words_device, words_messages
from dashboard.words_messages import Line, instant

HOW = (
    "Each message is decoded from the octets kept with the snapshot; signatures and MACs are not verified. "
    "An empty status is one that its message does not hold."
)
# Opened one by one: more would make the page long, and the rows below hold them all.
MOST_SHOWN = 200


def messages(view: cards.View, events: pl.DataFrame) -> None:
    """A card with a row a message, by time.

    events: at (UTC), kind, srv, request_id, message (DUIS XML, or GBCS as hex), a row each.
    """
    with st.container(border=True, key="card-messages"):
        st.subheader(_title(events.height), anchor="messages")
        if events.is_empty():
            st.markdown("There is none.")
        ordered = events.sort("at", maintain_order=True)
        for number, event in enumerate(ordered.head(MOST_SHOWN).iter_rows(named=True)):
            _message(number, event)
        if events.height > MOST_SHOWN:
            st.markdown(f"The first {MOST_SHOWN:,} of {events.height:,} are shown; the files hold all of them.")
        cards.downloads(view, "messages", lambda: as_rows(ordered), _title(events.height), HOW)
        st.caption(f"{HOW} {view.made()} Device: {view.in_words}.")


def _title(number: int) -> str:
    return f"The messages behind these events: {number:,}"


def _message(number: int, event: dict) -> None:
    # Taken apart and drawn once it is opened: a Device may have hundreds.
    with st.expander(heading(event), key=f"message-{number}", on_change="rerun") as more:
        if not more.open:
            return
        st.table(_shown(_request(event) + words_messages.told(event["message"])))
        octets = words_messages.raw(event["message"])
        if octets:
            st.markdown("**The whole GBCS message, as hex**")
            st.code(octets, language=None, wrap_lines=True)
        if event["message"].lstrip().startswith("<"):
            st.markdown("**The DUIS message, as it came**")
            st.code(event["message"], language=None, wrap_lines=True)


def _request(event: dict) -> list[Line]:
    """Which Request a GBCS message belongs to; DUIS XML says it itself."""
    if not event["request_id"] or event["message"].lstrip().startswith("<"):
        return []
    return [
        Line("RequestID", "the Request that this belongs to: who asked, of which Device, number", event["request_id"])
    ]


def heading(event: dict) -> str:
    """`3 August 2021, 10:15:00 UTC · Response · 6.15.1 · partial`."""
    said = words_messages.gist(event["message"])
    parts = [instant(event["at"]) if event["at"] else "no time", event["kind"], event["srv"], said]
    return " · ".join(_plain(part) for part in parts if part)


def _plain(text: str) -> str:
    """As it stands: nothing in it is Markdown."""
    return words_device.plain(text) if text else ""


def _shown(lines: list[Line]) -> pl.DataFrame:
    """Words and octets in one column: beside each other they leave no room on a narrow screen."""
    said = [f"{_plain(line.says)} {f'`{line.raw}`' if line.raw else ''}".strip() for line in lines]
    return pl.DataFrame({"Part": [_plain(line.part) for line in lines], "What it says": said})


def as_rows(events: pl.DataFrame) -> pl.DataFrame:
    """Every line of every message, for a file."""
    rows = [
        {
            "at": event["at"],
            "kind": event["kind"],
            "srv": event["srv"],
            "request_id": event["request_id"],
            "part": line.part,
            "says": line.says,
            "raw": line.raw,
        }
        for event in events.iter_rows(named=True)
        for line in words_messages.told(event["message"])
    ]
    text = dict.fromkeys(("kind", "srv", "request_id", "part", "says", "raw"), pl.String)
    return pl.DataFrame(rows, schema={"at": events.schema["at"], **text})
