"""Can I trust the number?"""

import polars as pl
import streamlit as st

from analysis import views
from analysis.rates import rates
from dashboard import cards, charts, method_cards, missing_data, reading, words

view = st.session_state["view"]
folder, manifest = view.snapshot.folder, view.snapshot.manifest
role = view.selection.party_role
counts = reading.selected_counts(folder, view.selection, role, "commissioned_month")
unrecognised = reading.small_table(folder, "unrecognised")
names = reading.party_names(folder)

st.title("Data and method")
st.page_link("app_pages/definitions.py", label="What the words, codes and columns mean", icon=":material/menu_book:")
st.header("Where the figures come from", anchor="snapshot")
st.markdown(words.snapshot_sentence(view.snapshot, reading.kept_snapshots()))

extracts = pl.DataFrame(
    [
        {
            "extract": name,
            "files": len(extract["files"]),
            "rows": extract["rows"],
            "quarantined": extract["quarantined"],
            "Extra columns, ignored": ", ".join(extract["extra_columns"]),
        }
        for name, extract in manifest["extracts"].items()
    ]
)
st.subheader("Rows in, and rows quarantined", anchor="extracts")
cards.show_table(extracts)
st.caption(f"Digests: {missing_data.digests_sentence(manifest)}")
odd = missing_data.warnings_table(manifest)
if not odd.is_empty():
    st.markdown("Odd about the files, named and not refused:")
    cards.show_table(odd)
if manifest["ignored_in_extracts"]:
    st.caption(f"Beside the extracts and ignored: {', '.join(manifest['ignored_in_extracts'])}.")

st.header("The road of each number", anchor="lineage")
method_cards.roads(view, view.held("rates", lambda: rates(counts())).row(0, named=True))

st.header("Quarantined rows by rule", anchor="quarantine")
method_cards.quarantine(view, reading.small_table(folder, "quarantine"))

st.header("Codes not recognised", anchor="unrecognised")
if unrecognised.is_empty():
    st.success("Every code is one that the domain knows.")
else:
    st.markdown("Kept, never guessed: a code that is not known satisfies nothing.")
    cards.show_table(unrecognised)

st.header("Whose Devices could be judged", anchor="whose")
table = view.held("coverage", lambda: views.coverage(counts(), role, names))
if table.is_empty():
    cards.nothing_selected()
else:
    verified, due = table["verified"].sum(), table["due"].sum()
    cards.card(
        view,
        "coverage",
        f"{words.percent(verified / due)} of Devices due could be judged by their certificates "
        f"({words.count(verified)} of {words.count(due)})",
        lambda: charts.coverage(table),
        table,
        f"By {words.DIMENSIONS[role].lower()}. A Device counts as verified when each cell that "
        "must be right was read after the last thing that may have changed it, or some read shows a fault.",
    )
    method_cards.coverage_by_month(view, counts, names)

st.header("Two snapshots side by side", anchor="snapshots")
method_cards.two_snapshots(view)
