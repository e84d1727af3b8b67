"""The Incidents of a snapshot with the outcomes of their Devices; held once for all readers."""

from datetime import datetime
from pathlib import Path

import polars as pl
import streamlit as st

from analysis import hubs
from data.marts import Snapshot


def incidents(snapshot: Snapshot) -> pl.DataFrame | None:
    """The frame of `hubs.with_devices`; None when the snapshot has no extract of Incidents."""
    return (
        _incidents(snapshot.folder, snapshot.manifest["build_finished_at"], snapshot)
        if snapshot.files("incidents")
        else None
    )


@st.cache_resource(max_entries=2, show_spinner="Looking up the Devices that Incidents name")
def _incidents(folder: Path, built: str, _snapshot: Snapshot) -> pl.DataFrame:
    outcomes = _snapshot.scan("outcomes")
    as_at = datetime.fromisoformat(_snapshot.manifest["as_at"])
    return hubs.with_devices(_snapshot.frame("incidents"), outcomes, as_at)
