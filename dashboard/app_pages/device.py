"""One Device: what happened to it, what is said of it, and on which rows that rests."""

import polars as pl
import streamlit as st

from analysis.device import device
from analysis.device_timeline import events, lanes
from dashboard import cards, charts_device, filters, message_cards, words_device
from dashboard.device_search import searched

st.title("Device")
found = searched(st.session_state["view"].snapshot)
if found is None:
    st.stop()

one = device(found)
view = cards.View(st.session_state["view"].snapshot, st.session_state["view"].selection, one.eui)


def tabled(name: str, title: str, table: pl.DataFrame, how: str, shown: pl.DataFrame | None = None) -> None:
    """A card without a chart: the words that matter first, then every column, and the file of them."""
    with st.container(border=True, key=f"card-{name}"):
        st.subheader(title, anchor=name)
        if shown is not None:
            cards.show_text(shown)
        if table.is_empty():
            st.markdown("There is none.")

        def more() -> None:
            cards.show_table(table)
            cards.downloads(view, f"{name}-{one.eui}", table, title, how)

        cards.once_opened("Every column, and as a file", name, more)
        st.caption(f"{how} {view.made()} Device: {one.eui}.")


if one.differs:
    st.header(f"The verdict on {one.eui} is in doubt", anchor="finding")
    st.error(words_device.differs(one), icon=":material/error:")
else:
    st.header(words_device.headline(one), anchor="finding")
st.markdown(words_device.facts(one))
if not one.differs:
    st.markdown(words_device.reasons(one))

filters.keep_in_address({"span": words_device.SPANS[0]})
span = st.segmented_control(
    "Timeline", words_device.SPANS, default=words_device.SPANS[0], required=True, key="span", bind="query-params"
)
happened = events(one)
until = words_device.end_of(one, span)
figure = charts_device.timeline(happened, lanes(one), words_device.marks(one), until)
title = words_device.timeline_title(one)
cards.card(view, f"timeline-{one.eui}", title, figure, happened, words_device.TIMELINE_HOW)

tabled("checks", words_device.checks_title(one), one.checks, words_device.CHECKS_HOW, words_device.shown_checks(one))
tabled("cells", words_device.cells_title(one), one.cells, words_device.CELLS_HOW, words_device.shown_cells(one.cells))
tabled("own-keys", words_device.keys_title(one), one.keys, words_device.KEYS_HOW, words_device.shown_cells(one.keys))

st.header("The rows that this rests on", anchor="rows")
for name, (title, how) in words_device.EVIDENCE.items():
    rows = words_device.kept_rows(one, name)
    # Most Devices have no Incident, and no verdict rests on one.
    if name == "incidents" and rows.is_empty():
        continue
    tabled(name.replace("_", "-"), f"{title}: {rows.height:,}", rows, how)
if not one.history.messages.is_empty():
    message_cards.messages(view, one.history.messages)
