"""The search for one Device: an EUI-64 in the address, and what to do when there is none to show."""

from pathlib import Path

import streamlit as st

from analysis.device import Asked, asked_for
from analysis.one_device import UnknownDevice
from dashboard import filters, reading, words_device
from dashboard.words_device import FINDINGS
from data.history import MOST_FOUND, History, NoEvidenceKept, examples, with_part
from data.marts import Snapshot
from data.reduction import duis_form

# The same whether there is such a Device elsewhere or not.
NOT_IN_SCOPE = (
    "**{} is not in this snapshot**, as far as you may see it. Check the digits against the Device's label or the "
    "inventory."
)


def searched(snapshot: Snapshot) -> History | None:
    """The Device in scope that was searched for; else None, once the page says what to do."""
    filters.keep_in_address({"device": ""})
    typed = st.text_input(
        "EUI-64 of a Device, or its first or last digits",
        key="device",
        bind="query-params",
        placeholder="90-B3-D5-1F-30-01-00-00",
        help=words_device.SEARCH_HELP,
        icon=":material/search:",
    )
    if not (typed or "").strip():
        _examples(snapshot)
        return None
    asked = asked_for(typed)
    if asked.key is None:
        _no_whole_eui(snapshot, asked)
        return None
    try:
        found = reading.history(snapshot, asked.key)
    except NoEvidenceKept:
        st.warning(words_device.NO_EVIDENCE, icon=":material/database_off:")
        return None
    except UnknownDevice:
        st.warning(NOT_IN_SCOPE.format(duis_form(asked.key)), icon=":material/search_off:")
        return None
    if found.outcome is None:
        st.warning(words_device.not_found(duis_form(asked.key), found), icon=":material/search_off:")
        return None
    return found


def _examples(snapshot: Snapshot) -> None:
    st.markdown(words_device.EXAMPLES)
    rows = sorted(_one_of_each(snapshot.folder, snapshot), key=lambda row: list(FINDINGS).index(row["finding"]))
    reading.log_devices(snapshot, "example of each finding", "", len(rows))
    _pick([row["device_key"] for row in rows], [words_device.example(row) for row in rows])


@st.cache_data(max_entries=4, ttl=3600, show_spinner=False)
def _one_of_each(folder: Path, _snapshot: Snapshot) -> list[dict]:
    """A row a finding: the only question of this page that looks at every Device."""
    return examples(_snapshot).to_dicts()


def _no_whole_eui(snapshot: Snapshot, asked: Asked) -> None:
    if not asked.is_part:
        st.warning(words_device.malformed(asked), icon=":material/search_off:")
        return
    keys = with_part(snapshot, asked.digits)
    reading.log_devices(snapshot, "found by a part", asked.digits, len(keys))
    st.warning(words_device.of_a_part(asked, keys), icon=":material/search:")
    _pick(keys[:MOST_FOUND], [duis_form(key) for key in keys[:MOST_FOUND]])


def _pick(keys: list[int], labels: list[str]) -> None:
    """A button a Device, which puts it into the search."""
    with st.container(horizontal=True):
        for key, label in zip(keys, labels, strict=True):
            st.button(label, key=f"pick-{key}", on_click=_search_for, args=(key,))


def _search_for(key: int) -> None:
    st.session_state["device"] = duis_form(key)
