"""Cards that speak of more than one snapshot: the rates by report, and the findings before and now."""

from datetime import datetime

import polars as pl
import streamlit as st

from analysis import changes, reporting
from analysis.selection import select
from dashboard import cards, charts_changes, reading, words_changes
from data.marts import Snapshot


def by_report(view: cards.View, tolerance: float) -> None:
    """The rates of each kept snapshot of the estate shown, under the filters of the view."""
    kept = reading.whole_snapshots()
    own = [one for one in kept if are_of_one_estate(one, view.snapshot)]
    foreign = [one.number for one in kept if one not in own]
    if len(own) < 2:
        st.info(words_changes.one_report(foreign), icon=":material/timeline:")
        return
    latest = sorted(own, key=lambda one: (one.manifest["as_at"], one.number))[-reporting.MOST_REPORTS :]
    table = reporting.by_report([_report(one, view) for one in latest])
    cards.card(
        view,
        "rates-by-report",
        words_changes.reports_title(table),
        charts_changes.by_report(table, tolerance),
        table,
        " ".join([words_changes.REPORTS_HOW, *words_changes.reports_beside(table, foreign, len(own) - len(latest))]),
    )


def _report(snapshot: Snapshot, view: cards.View) -> reporting.Report:
    return reporting.Report(
        snapshot.number,
        datetime.fromisoformat(snapshot.manifest["as_at"]),
        datetime.fromisoformat(snapshot.manifest["build_finished_at"]),
        snapshot.manifest["grace_days"],
        select(reading.report_counts(snapshot), view.selection),
    )


def are_of_one_estate(one: Snapshot, other: Snapshot) -> bool:
    if one == other:
        return True
    shared = reading.shared_devices(*sorted((one, other), key=lambda snapshot: snapshot.number))
    return reporting.is_same_estate(shared, one.rows("outcomes"), other.rows("outcomes"))


def since_previous(view: cards.View) -> None:
    """What changed since the snapshot that came before the one in use."""
    parent = view.snapshot.manifest.get("parent")
    earlier = next((one for one in reading.whole_snapshots() if one.folder.name == parent), None)
    if earlier is None:
        st.info(words_changes.no_previous(view.snapshot), icon=":material/compare_arrows:")
    else:
        compared(view, earlier, view.snapshot)


def compared(view: cards.View, earlier: Snapshot, later: Snapshot) -> None:
    """The findings of two snapshots side by side, or why they cannot be."""
    if not are_of_one_estate(earlier, later):
        shared = reading.shared_devices(*sorted((earlier, later), key=lambda snapshot: snapshot.number))
        st.info(words_changes.other_estate(earlier, later, shared), icon=":material/compare_arrows:")
        return
    changed = select(reading.changed_findings(earlier, later), view.selection)
    table = changes.matrix(changed, select(reading.report_counts(later), view.selection))
    found, listed = changes.totals(table), changes.changes_only(table)
    kind = pl.col("kind").replace_strict(words_changes.KIND_NAMES)
    st.markdown(words_changes.dangerous_first(earlier, later, found, listed))
    cards.card(
        cards.View(later, view.selection, view.in_words),
        f"findings-{earlier.number}-{later.number}",
        words_changes.changes_title(earlier, found),
        charts_changes.matrix(table),
        pl.concat([listed, table.filter(pl.col("kind") == changes.UNCHANGED)]).with_columns(kind),
        f"{words_changes.MATRIX_HOW} {words_changes.spoken_of(earlier, later)}",
    )
