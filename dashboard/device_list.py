"""A card that lists Devices: in words, each with the way to its own page; its file holds them all, in codes."""

import re
from collections.abc import Callable

import polars as pl
import streamlit as st

from analysis.causes import cause_names, label_of
from analysis.devices import to_act_on
from analysis.selection import Selection
from dashboard import access, audit, cards, words
from data import reference
from data.marts import Snapshot

MOST = 10**9


Listed = Callable[[], pl.DataFrame]


def card(view: cards.View, name: str, title: str, first: Listed, whole: Listed, how: str) -> None:
    """`first` reads the first of them, once the list is opened, `whole` all of them, once the file is asked for.

    Rows of Devices are read, and the reading of them logged, for nobody who does not ask for them.
    """
    with st.container(border=True, key=f"card-{name}"):
        st.subheader(title, anchor=name)
        cards.once_opened("List the Devices, each with the way to its page", name, lambda: _show(first()))
        cards.downloads(view, name, whole, title, how)
        st.caption(f"{how} {view.made()} Devices: {view.in_words}.")


def _show(listed: pl.DataFrame) -> None:
    st.dataframe(in_words(listed), column_config=_columns(listed), hide_index=True)


def whole(snapshot: Snapshot, selection: Selection) -> Callable[[], pl.DataFrame]:
    """All Devices to act on of a selection, read when it is called and held by nobody."""
    reader = access.of_this_run()

    def read() -> pl.DataFrame:
        found = to_act_on(snapshot.scan("outcomes"), selection, MOST)
        audit.log(reader, audit.DEVICES, snapshot, name="all to act on", filters=repr(selection), rows=found.height)
        return found

    return read


def in_words(listed: pl.DataFrame) -> pl.DataFrame:
    """Codes as a person says them, and in front the address of each Device's page, on this host."""
    causes = {cause: label_of(cause) for cause in cause_names()}
    checks = {check["check"]: check["label"] for check in reference.table("checks")}
    return listed.select(
        (pl.lit("device?device=") + pl.col("device_id")).alias("open"),
        "device_id",
        pl.exclude("device_id", "finding", "cause", "unmet_checks", "faults"),
        pl.col("finding").replace_strict({code: said(code) for code in listed["finding"].unique()}),
        pl.col("cause").replace(causes),
        pl.Series("unmet_checks", [_all(codes, checks) for codes in listed["unmet_checks"]], pl.String),
        pl.Series("faults", [_all(codes, {}) for codes in listed["faults"]], pl.String),
    )


def _all(codes: str | None, labels: dict[str, str]) -> str | None:
    """Codes joined with `; ` in words; null stays null."""
    return codes and "; ".join(labels.get(code) or said(code) for code in codes.split("; "))


def said(code: str) -> str:
    """`NetworkOperator/KeyAgreement: dcc_credentials` as Network Operator, Key Agreement: DCC credentials."""
    place, _, verdict = code.rpartition(": ")
    place = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", place).replace("/", ", ")
    spoken = re.sub(r"\bdcc\b", "DCC", verdict.replace("_", " "))
    return f"{place}: {spoken}" if place else spoken[:1].upper() + spoken[1:]


def _columns(listed: pl.DataFrame) -> dict:
    own = {
        "open": st.column_config.LinkColumn("Page", display_text="Open"),
        "unmet_checks": st.column_config.Column("Checks not met"),
        "faults": st.column_config.Column("Wrong on the Device"),
    }
    return {name: st.column_config.Column(words.HEADINGS.get(name) or said(name)) for name in listed.columns} | own
