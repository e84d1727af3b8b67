"""The dashboard's entry: which snapshot, which Devices, which page."""

import logging
from pathlib import Path

import streamlit as st

from dashboard import access, access_page, cards, filters, missing_data, picture, reading, words
from data.marts import NoSnapshot, SnapshotDamaged

# An icon by name or emoji would be asked for from outside this machine.
ICON = Path(__file__).parent / "icon.svg"
st.set_page_config(page_title="Post Commissioning Outcomes", page_icon=ICON, layout="wide")

PAGES = [
    st.Page("app_pages/overview.py", title="Overview", icon=":material/monitoring:", default=True),
    st.Page("app_pages/parties.py", title="Parties", icon=":material/groups:"),
    st.Page("app_pages/party.py", title="One party", icon=":material/person:"),
    st.Page("app_pages/causes.py", title="Causes", icon=":material/account_tree:"),
    st.Page("app_pages/pathways.py", title="Pathways", icon=":material/alt_route:"),
    st.Page("app_pages/criteria.py", title="Criteria", icon=":material/rule:"),
    st.Page("app_pages/hubs.py", title="Communications Hubs", icon=":material/router:"),
    st.Page("app_pages/business_case.py", title="Business case", icon=":material/savings:"),
    st.Page("app_pages/device.py", title="Device", icon=":material/electric_meter:"),
    st.Page("app_pages/reports.py", title="Reports", icon=":material/description:"),
    st.Page("app_pages/data_and_method.py", title="Data and method", icon=":material/fact_check:"),
    st.Page("app_pages/definitions.py", title="Definitions", icon=":material/menu_book:"),
]

try:
    reader = access.reader()
except access.Denied as denied:
    access_page.draw(denied)
    st.stop()
except access.WrongAccess:
    access_page.broken()
    st.stop()
access_page.begin(reader)
page = st.navigation([page for page in PAGES if reader.may_see(Path(page.url_path or "overview").name)])
picture.hides_the_camera()

try:
    snapshot = reading.snapshot()
except SnapshotDamaged:
    logging.getLogger(__name__).exception("the snapshot")
    st.error(words.DAMAGED, icon=":material/broken_image:")
    st.stop()
except NoSnapshot:
    st.error("There is no snapshot to show yet. Ask the operator to run `pco build`.", icon=":material/database_off:")
    st.stop()

access_page.of_snapshot(snapshot)
missing_data.show(snapshot.manifest)
if snapshot.manifest["is_demonstration"]:
    st.info(
        "**Demonstration estate.** Every Device and party here is made up; nothing is about a real party.",
        icon=":material/science:",
    )
if reading.standings(snapshot.folder).kinds.is_empty():
    st.warning("The snapshot holds no Device in scope.")
    st.stop()

chosen = filters.selection(snapshot.folder)
in_words = filters.in_words(chosen, reading.party_names(snapshot.folder))
st.session_state["view"] = cards.View(snapshot, chosen, in_words)
st.sidebar.caption(
    f"Snapshot {snapshot.number}, as at {words.moment(snapshot.manifest['as_at'])}, "
    f"built {words.moment(snapshot.manifest['build_finished_at'])}. {access_page.footer(reader, snapshot)}"
)
access_page.log_out(reader)
# There without a filter too: what moves in the page is drawn anew.
place = st.empty()
if chosen.conditions():
    place.markdown(f":material/filter_alt: Filtered to **{in_words}**")

try:
    page.run()
except access.Denied as denied:
    st.error(str(denied), icon=":material/lock:")
except SnapshotDamaged:
    logging.getLogger(__name__).exception("page %s", page.title)
    st.error(words.DAMAGED, icon=":material/broken_image:")
except Exception:
    # Streamlit's own box offers to send the error to a search engine.
    logging.getLogger(__name__).exception("page %s", page.title)
    st.error("This part of the page could not be drawn. The operator finds the reason in the log.")
