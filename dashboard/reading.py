"""The gateway: what pages read is of the reader's own scope, whatever a page asks for.

Each scope is a snapshot in a folder of its own, and everything below takes that snapshot or its folder: so what is held
once for all readers is held by scope and snapshot.
"""

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

import polars as pl
import polars.selectors as cs
import streamlit as st

from analysis.devices import to_act_on
from analysis.one_device import UnknownDevice, as_party_sees
from analysis.reporting import MOST_REPORTS, tally
from analysis.roads import Roads
from analysis.roads import roads as roads_of
from analysis.scopes import scoped
from analysis.selection import Selection
from analysis.standings import Standings
from analysis.standings import standings as standings_of
from dashboard import access, audit
from data import changes
from data import history as histories
from data.codes import in_text
from data.marts import NoSnapshot, Snapshot, current, snapshots
from data.reduction import duis_form
from data.scopes import ALL, PARTY, Scope, Sealed

Made = TypeVar("Made")


def marts() -> Path:
    """The marts folder that `pco serve` was given."""
    return Path(os.environ["PCO_MARTS"])


def snapshot() -> Snapshot:
    """The snapshot that this reader's session began with, in his scope; the one in use where that is gone."""
    newest = current(marts())
    pinned = st.session_state.get(PINNED)
    found = newest if pinned in (None, _name(newest)) else _published(pinned) or newest
    st.session_state[PINNED] = _name(found)
    return _of_scope(found)


PINNED = "snapshot"


def newer_snapshot() -> int | None:
    """The number of the snapshot in use where the session is on another; None where it is on that."""
    newest = current(marts())
    return None if _name(newest) == st.session_state.get(PINNED) else newest.number


def is_in_place_of_another() -> bool:
    """Whether the snapshot in use is damaged and an earlier one is read."""
    return current(marts()).instead_of is not None


def go_to_newest() -> None:
    """For a callback: the session's next run is of the snapshot in use."""
    st.session_state.pop(PINNED, None)


def _name(one: Snapshot) -> tuple[str, str]:
    """What tells a published snapshot from any other, one too that was given the number of one removed."""
    return one.folder.name, one.manifest["build_finished_at"]


def _published(name: tuple[str, str]) -> Snapshot | None:
    return next((one for one in snapshots(marts()) if _name(one) == name and changes.is_whole(one)), None)


def _of_scope(published: Snapshot) -> Snapshot:
    scope = access.of_this_run().scope
    if scope == ALL:
        return published
    found = _sealed(published.folder, published.manifest["build_finished_at"], scope.kind, scope.party, published)
    if not (found.folder / "manifest.json").is_file():
        _sealed.clear()
        return _of_scope(published)
    return found


@st.cache_resource(max_entries=64, show_spinner="Making what you may see of this snapshot")
def _sealed(folder: Path, built: str, kind: str, party: str | None, _published: Snapshot) -> Snapshot:
    known = access.settings() if access.is_configured() else None
    root = (known and known.scopes) or marts() / "scopes"
    return scoped(_published, Scope(kind, party), root)


def kept_snapshots() -> list[Snapshot]:
    """The kept snapshots in the reader's scope, oldest first.

    Of aggregates there is one: the difference of two snapshots is about few Devices.
    """
    scope = access.of_this_run().scope
    if scope == ALL:
        return snapshots(marts())
    if scope.kind != PARTY:
        return [snapshot()]
    return [_of_scope(one) for one in snapshots(marts()) if changes.is_whole(one)]


def counts(folder: Path) -> pl.DataFrame:
    """The snapshot's Devices counted by everything a page groups by; not held, as it is large."""
    # Codes in place of texts: a filter or a sum takes a quarter of the time.
    return pl.read_parquet(_file(folder, "counts"), glob=False).with_columns(cs.string().cast(pl.Categorical))


def small_table(folder: Path, table: str) -> pl.DataFrame:
    """A small table of the snapshot; read-only, shared by all readers of its scope."""
    found = _small_table(folder, table)
    if table == "quarantine":
        # Its samples are rows as the files had them, EUI-64s of Devices among them.
        samples = found["samples"].list.len().sum()
        audit.log(access.of_this_run(), audit.QUARANTINE, _shown(folder), name=table, rows=samples)
    return found


@st.cache_resource(max_entries=24)
def _small_table(folder: Path, table: str) -> pl.DataFrame:
    return pl.read_parquet(_file(folder, table), glob=False)


def _shown(folder: Path) -> Snapshot | None:
    """The snapshot of this run, for what is told of it in the log."""
    view = st.session_state.get("view")
    return view.snapshot if view is not None and view.snapshot.folder == folder else None


def _file(folder: Path, table: str) -> Path:
    return folder / f"{table}-00000.parquet"


def selected_counts(folder: Path, selection: Selection, *by: str) -> Callable[[], pl.DataFrame]:
    """What makes the counts of the selected Devices by how they stand and these columns, when it is first called.

    A page whose frames are all held has no need of them.
    """
    return cache(lambda: standings(folder).counted(selection, *by))


@st.cache_resource(max_entries=12, show_spinner="Reading the snapshot")
def standings(folder: Path) -> Standings:
    """The counts as numbers; read-only, shared by all readers."""
    return standings_of(counts(folder))


def held(folder: Path, selection: Selection, name: str, of: tuple, make: Callable[[], Made]) -> Made:
    """What `make` makes of these Devices of the snapshot, held for whoever asks for the same; never to be changed.

    name and of: what tells it from all else that is made of them; `make` must depend on nothing more. For what is
    small: frames behind charts, and finished charts.
    """
    return _held(folder, selection, name, of, make)


@st.cache_resource(max_entries=256, show_spinner=False)
def _held(folder: Path, selection: Selection, name: str, of: tuple, _make: Callable[[], Made]) -> Made:
    return _make()


@st.cache_resource(max_entries=24, show_spinner=False)
def party_names(folder: Path) -> dict[str, str]:
    """Party id -> name, where the parties extract has one; two parties of one name are told apart by their id.

    Read-only, shared by all readers of its scope.
    """
    table = _small_table(folder, "parties").group_by("party_id").agg(name=pl.col("party_name").min())
    shared = pl.col("name").is_duplicated()
    name = pl.when(shared).then(pl.format("{} ({})", "name", "party_id")).otherwise("name")
    return dict(table.select("party_id", name).rows())


def devices_to_act_on(folder: Path, selection: Selection) -> pl.DataFrame:
    """At most as many Devices as a page shows; nothing else of the table of outcomes is held."""
    found = _devices_to_act_on(folder, selection)
    log_devices(_shown(folder), "to act on", repr(selection), found.height)
    return found


@st.cache_data(max_entries=64, ttl=3600, show_spinner="Looking for Devices to act on")
def _devices_to_act_on(folder: Path, selection: Selection) -> pl.DataFrame:
    return to_act_on(in_text(pl.scan_parquet(sorted(folder.glob("outcomes-*.parquet")), glob=False)), selection)


def log_devices(shown: Snapshot | None, name: str, filters: str, rows: int) -> None:
    """Every access to rows of Devices comes by here."""
    audit.log(access.of_this_run(), audit.DEVICES, shown, name=name, filters=filters, rows=rows)


def history(shown: Snapshot, key: int) -> histories.History:
    """One Device's rows as the reader may see them; raises `UnknownDevice` for any that is not in his scope.

    The rows lie in the published snapshot alone: this is the only way from a scope to them.
    """
    scope = access.of_this_run().scope
    log_devices(shown, "device", duis_form(key), 1)
    if scope == ALL:
        return histories.history(shown, key)
    if scope.kind != PARTY or not _is_in(shown, key):
        raise UnknownDevice(duis_form(key))
    published = next((one for one in snapshots(marts()) if _name(one) == _name(shown)), None)
    if published is None:
        raise NoSnapshot(f"snapshot {shown.number} is no longer kept")
    return as_party_sees(histories.history(published, key), scope.party)


def _is_in(shown: Snapshot, key: int) -> bool:
    files = shown.files("outcomes")
    found = pl.scan_parquet(files, glob=False).filter(pl.col("device_key") == pl.lit(key, pl.UInt64))
    return bool(files) and found.select(pl.len()).collect().item() > 0


def _made(snapshot: Snapshot) -> tuple[str, str]:
    """What tells a snapshot from any other, one too that was given the number of one removed."""
    return str(snapshot.folder), snapshot.manifest["build_finished_at"]


BY_NAME = {Snapshot: _made, Sealed: _made}


def whole_snapshots() -> list[Snapshot]:
    """The kept snapshots that can be compared, oldest first: of one being removed some tables are gone already."""
    return [one for one in kept_snapshots() if changes.is_whole(one)]


@st.cache_resource(max_entries=MOST_REPORTS + 2, hash_funcs=BY_NAME, show_spinner="Reading the reports")
def report_counts(snapshot: Snapshot) -> pl.DataFrame:
    """A snapshot's counts by what a report of rates needs; read-only, shared by all readers."""
    return tally(snapshot.scan("counts"))


@st.cache_resource(max_entries=64, hash_funcs=BY_NAME, show_spinner=False)
def has_roads(snapshot: Snapshot) -> bool:
    """Earlier versions of pco wrote none."""
    return "pathway" in snapshot.scan("outcomes").collect_schema()


@st.cache_resource(max_entries=4, hash_funcs=BY_NAME, show_spinner="Reading the roads of all Devices")
def roads(snapshot: Snapshot) -> Roads:
    """The roads of the snapshot's Devices, eight bytes each; read-only, shared by all readers of its scope."""
    return roads_of(snapshot.files("outcomes"))


@st.cache_data(max_entries=1024, hash_funcs=BY_NAME, show_spinner="Comparing the snapshots")
def shared_devices(earlier: Snapshot, later: Snapshot) -> int:
    """How many Devices are in both; neither changes."""
    return changes.shared_devices(earlier, later)


@st.cache_resource(max_entries=8, hash_funcs=BY_NAME, show_spinner="Comparing the snapshots")
def changed_findings(earlier: Snapshot, later: Snapshot) -> pl.DataFrame:
    """Counts of the Devices whose finding changed; read-only, shared by all readers."""
    return changes.changed_findings(earlier, later)
