"""Can I trust the number?"""

import polars as pl
import streamlit as st

from analysis import views
from analysis.causes import causes
from dashboard import cards, charts, reading, words
from data import reference
from data.contracts import contracts

view = st.session_state["view"]
manifest = view.snapshot.manifest
counts = reading.selected_counts(view.snapshot.folder, view.selection)
quarantine = reading.small_table(view.snapshot.folder, "quarantine")
unrecognised = reading.small_table(view.snapshot.folder, "unrecognised")

st.title("Data and method")
st.header("Where the figures come from", anchor="snapshot")
st.markdown(words.snapshot_sentence(view.snapshot, reading.kept_snapshots()))

extracts = pl.DataFrame(
    [
        {
            "extract": name,
            "files": len(extract["files"]),
            "rows": extract["rows"],
            "quarantined": extract["quarantined"],
            "extra columns, ignored": ", ".join(extract["extra_columns"]),
        }
        for name, extract in manifest["extracts"].items()
    ]
)
st.subheader("Rows in, and rows quarantined", anchor="extracts")
cards.show_table(extracts)
if manifest["ignored_in_extracts"]:
    st.caption(f"Beside the extracts and ignored: {', '.join(manifest['ignored_in_extracts'])}.")

st.subheader("Quarantined rows by rule", anchor="quarantine")
if quarantine.is_empty():
    st.success("No row broke its contract.")
else:
    by_rule = quarantine.group_by("extract", "rule").agg(
        pl.col("rows").sum(),
        files=pl.col("file").n_unique(),
        sample=pl.col("samples").list.first().drop_nulls().first(),
    )
    cards.show_table(by_rule.sort("extract", "rule"))
    cards.downloads(view, "quarantine", quarantine)

st.subheader("Codes not recognised", anchor="unrecognised")
if unrecognised.is_empty():
    st.success("Every code is one that the domain knows.")
else:
    st.markdown("Kept, never guessed: a code that is not known satisfies nothing.")
    cards.show_table(unrecognised)

table = views.coverage(counts, view.selection.party_role, reading.party_names(view.snapshot.folder))
if not table.is_empty():
    verified, due = table["verified"].sum(), table["due"].sum()
    cards.card(
        view,
        "coverage",
        f"{words.percent(verified / due)} of Devices due could be judged by their certificates "
        f"({words.count(verified)} of {words.count(due)})",
        charts.coverage(table),
        table,
        f"By {words.DIMENSIONS[view.selection.party_role].lower()}. A Device counts as verified when each cell that "
        "must be right was read after the last thing that may have changed it, or some read shows a fault.",
    )

st.header("Definitions", anchor="definitions")
st.subheader("Checks: the criteria in force")
checks = pl.DataFrame(reference.checks())
cards.show_text(checks.drop("check").select(pl.col("label").alias("check"), "srv", *reference.DEVICE_TYPES))
st.subheader("Cells that must be right")
cells = pl.DataFrame(reference.table("cells")).filter(pl.col("remote_party_role") != "Device")
cards.show_text(cells.select("remote_party_role", "certificate_usage", *reference.DEVICE_TYPES))
st.subheader("Causes, in order of precedence")
cards.show_text(pl.DataFrame([{"cause": c.label, "holds when": c.says, "for example": c.fits} for c in causes()]))
st.subheader("Response codes")
cards.show_text(pl.DataFrame(reference.table("response_codes")))
st.subheader("What each extract must hold")
for contract in contracts().values():
    with st.expander(f"{contract.extract}: one row per {contract.grain}"):
        cards.show_text(
            pl.DataFrame(
                [
                    {"column": column.name, "holds": column.kind, "may be empty": "yes" if column.optional else "no"}
                    for column in contract.columns
                ]
            )
        )
        rules = [*contract.rules(), *contract.rules_of_rows]
        cards.show_text(pl.DataFrame([{"rule": rule.name, "says": rule.says} for rule in rules]))
st.header("Glossary", anchor="glossary")
cards.show_text(pl.DataFrame(reference.table("glossary")))
