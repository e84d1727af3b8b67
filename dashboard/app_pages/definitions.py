"""What the words, codes and columns mean, from the reference files and contracts that the build reads too."""

import polars as pl
import streamlit as st

from analysis.causes import causes
from dashboard import cards
from data import reference
from data.contracts import contracts

st.title("Definitions")
st.markdown("Checks, cells, causes, codes and columns are shown from the very files that the build reads.")
st.header("Glossary", anchor="glossary")
cards.show_text(pl.DataFrame(reference.table("glossary")))

st.header("Checks: the criteria in force", anchor="checks")
checks = pl.DataFrame(reference.checks())
cards.show_text(checks.drop("check").select(pl.col("label").alias("check"), "srv", *reference.DEVICE_TYPES))
st.header("Cells that must be right", anchor="cells")
cells = pl.DataFrame(reference.table("cells")).filter(pl.col("remote_party_role") != "Device")
cards.show_text(cells.select("remote_party_role", "certificate_usage", *reference.DEVICE_TYPES))
st.header("Causes, in order of precedence", anchor="causes")
cards.show_text(pl.DataFrame([{"cause": c.label, "holds when": c.says, "for example": c.fits} for c in causes()]))
st.header("Response codes", anchor="response-codes")
cards.show_text(pl.DataFrame(reference.table("response_codes")))
st.header("What each extract must hold", anchor="extracts")
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
