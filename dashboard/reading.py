"""What pages read: the snapshot in use, its counts, and the party names; held once for all readers."""

import os
from pathlib import Path

import polars as pl
import polars.selectors as cs
import streamlit as st

from analysis.devices import to_act_on
from analysis.reporting import MOST_REPORTS, tally
from analysis.selection import Selection, select
from data import changes
from data.marts import Snapshot, current, snapshots


def marts() -> Path:
    """The marts folder that `pco serve` was given."""
    return Path(os.environ["PCO_MARTS"])


def snapshot() -> Snapshot:
    """The snapshot in use when the page is drawn."""
    return current(marts())


def kept_snapshots() -> list[Snapshot]:
    return snapshots(marts())


@st.cache_resource(max_entries=2, show_spinner="Reading the snapshot")
def counts(folder: Path) -> pl.DataFrame:
    """The snapshot's Devices counted by everything a page groups by; read-only, shared by all readers."""
    # Codes in place of texts: a filter or a sum takes a quarter of the time.
    return pl.read_parquet(_file(folder, "counts"), glob=False).with_columns(cs.string().cast(pl.Categorical))


@st.cache_resource(max_entries=2)
def small_table(folder: Path, table: str) -> pl.DataFrame:
    """A small table of the snapshot; read-only, shared by all readers."""
    return pl.read_parquet(_file(folder, table), glob=False)


def _file(folder: Path, table: str) -> Path:
    return folder / f"{table}-00000.parquet"


def selected_counts(folder: Path, selection: Selection) -> pl.DataFrame:
    """The counts of the selected Devices; a filter of a frame in memory, quicker than any cache of its result."""
    return select(counts(folder), selection)


def party_names(folder: Path) -> dict[str, str]:
    """Party id -> name, where the parties extract has one; two parties of one name are told apart by their id."""
    table = small_table(folder, "parties").group_by("party_id").agg(name=pl.col("party_name").min())
    shared = pl.col("name").is_duplicated()
    name = pl.when(shared).then(pl.format("{} ({})", "name", "party_id")).otherwise("name")
    return dict(table.select("party_id", name).rows())


@st.cache_data(max_entries=64, ttl=3600, show_spinner="Looking for Devices to act on")
def devices_to_act_on(folder: Path, selection: Selection) -> pl.DataFrame:
    """At most as many Devices as a page shows; nothing else of the table of outcomes is held."""
    return to_act_on(pl.scan_parquet(sorted(folder.glob("outcomes-*.parquet")), glob=False), selection)


def _made(snapshot: Snapshot) -> tuple[str, str]:
    """What tells a snapshot from any other, one too that was given the number of one removed."""
    return str(snapshot.folder), snapshot.manifest["build_finished_at"]


def whole_snapshots() -> list[Snapshot]:
    """The kept snapshots that can be compared, oldest first: of one being removed some tables are gone already."""
    return [one for one in kept_snapshots() if changes.is_whole(one)]


@st.cache_resource(max_entries=MOST_REPORTS + 2, hash_funcs={Snapshot: _made}, show_spinner="Reading the reports")
def report_counts(snapshot: Snapshot) -> pl.DataFrame:
    """A snapshot's counts by what a report of rates needs; read-only, shared by all readers."""
    return tally(pl.scan_parquet(snapshot.files("counts"), glob=False))


@st.cache_data(max_entries=1024, hash_funcs={Snapshot: _made}, show_spinner="Comparing the snapshots")
def shared_devices(earlier: Snapshot, later: Snapshot) -> int:
    """How many Devices are in both; neither changes."""
    return changes.shared_devices(earlier, later)


@st.cache_resource(max_entries=8, hash_funcs={Snapshot: _made}, show_spinner="Comparing the snapshots")
def changed_findings(earlier: Snapshot, later: Snapshot) -> pl.DataFrame:
    """Counts of the Devices whose finding changed; read-only, shared by all readers."""
    return changes.changed_findings(earlier, later)
