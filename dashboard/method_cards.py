"""The parts of the Data and method page: lineage, quarantine, coverage by month, two snapshots side by side."""

from collections.abc import Callable
from datetime import datetime

import polars as pl
import streamlit as st

from analysis import lineage, rates, reporting
from analysis.selection import select
from dashboard import cards, charts_method, filters, reading, report_cards, words, words_method
from data import reference
from data.marts import Snapshot


def roads(view: cards.View, overall: dict) -> None:
    """The road of one headline number, chosen in the address; overall: a row of `rates`."""
    numbers = list(lineage.NUMBERS)
    filters.keep_in_address({"number": numbers[0]})
    number = st.selectbox("Number", numbers, format_func=words.HEADINGS.get, key="number", bind="query-params")
    stage, made_of = lineage.NUMBERS[number]
    files = words_method.file_rows(view.snapshot.manifest, stage.extracts)
    shown = words_method.figure(number, overall[number])
    cards.show_text(words_method.road(stage, made_of, files, view.snapshot, shown))
    label = f"Extract files ({files.height:,}), with checksums"
    cards.once_opened(label, "extract-files", lambda: _files(view, files))
    cards.once_opened(f"SQL ({len(stage.sql)} files)", "sql", lambda: _sql(stage))
    cards.once_opened(f"Rules ({len(stage.rules)} functions)", "rules", lambda: _rules(stage))
    cards.once_opened(f"Facts of the domain ({len(stage.references)} files)", "facts", lambda: _facts(stage))
    st.caption(words_method.CODE_OF_NOW)


def _files(view: cards.View, files: pl.DataFrame) -> None:
    cards.show_table(files)
    cards.downloads(view, "extract-files", files, "Extract files", "The files that the build read, with their SHA-256.")
    st.caption("Compare a file with what the program sha256sum says of it: equal checksums, equal bytes.")


def _sql(stage: lineage.Stage) -> None:
    for name in stage.sql:
        st.markdown(f"`data/sql/{name}.sql`")
        st.code(lineage.sql_text(name), language=None, wrap_lines=True)


def _rules(stage: lineage.Stage) -> None:
    for name in stage.rules:
        st.markdown(f"`{name}`: {lineage.says(lineage.rule_text(name))}")
        st.code(lineage.rule_text(name), language=None, wrap_lines=True)


def _facts(stage: lineage.Stage) -> None:
    for name in stage.references:
        st.markdown(f"`data/reference/{name}.csv`")
        cards.show_table(pl.DataFrame(reference.table(name)))


def quarantine(view: cards.View, table: pl.DataFrame) -> None:
    """Rows by rule, samples of each, and the file of all samples kept."""
    if table.is_empty():
        st.success("No row broke its contract.")
        return
    st.markdown(words_method.quarantined_share(view.snapshot.manifest))
    cards.show_table(words_method.rows_by_rule(table))
    label = "Samples: up to five rows a rule, as the file had them"
    cards.once_opened(label, "samples", lambda: cards.show_table(words_method.samples(table)))
    cards.downloads(view, "quarantine", table, "Rows that break their contract, by file and rule")


def coverage_by_month(view: cards.View, counts: Callable[[], pl.DataFrame], names: dict[str, str]) -> None:
    """Who was judged when, and whose Devices stopped coming."""
    role = view.selection.party_role
    table = view.held("by party and month", lambda: reporting.by_party_and_month(counts(), role, names))
    last = view.selection.last_month
    complete = reporting.complete_months(table["commissioned_month"].min(), _as_at(view.snapshot))
    judged = [month for month in complete if last is None or month <= last]
    silences = view.held("silences", lambda: reporting.silences(table, judged))
    silent = [
        (row["name"], month)
        for row in silences.to_dicts()
        for month in judged
        if row["silent_from"] <= month <= row["silent_to"]
    ]
    if not silences.is_empty():
        st.markdown("\n".join(words_method.silence(row) for row in silences.to_dicts()))
    left_out = table["name"].n_unique() - len(charts_method.shown_parties(table, silences))
    cards.card(
        view,
        "coverage-by-month",
        words_method.silences_title(table, silences, role),
        lambda: charts_method.by_party_and_month(table, silences, silent),
        table,
        f"Colour: verified Devices of Devices due. {words_method.SILENCE_RULE}"
        + (f" {left_out} smaller parties are in the table only." if left_out else ""),
    )


def _as_at(snapshot: Snapshot) -> datetime:
    return datetime.fromisoformat(snapshot.manifest["as_at"])


def two_snapshots(view: cards.View) -> None:
    """Any two kept snapshots, chosen in the address: what each was built from, and the findings in both."""
    kept = {one.number: one for one in reading.whole_snapshots()}
    if len(kept) < 2:
        st.info(words_method.only_one_kept(view.snapshot), icon=":material/compare_arrows:")
        return
    numbers = list(kept)
    later_by_default = numbers.index(view.snapshot.number)
    before_it = max(later_by_default - 1, 0) if later_by_default else 1
    filters.keep_in_address({"before": numbers[before_it], "now": numbers[later_by_default]})
    with st.container(horizontal=True):
        before = st.selectbox("Before: snapshot", numbers, before_it, key="before", bind="query-params")
        now = st.selectbox("Now: snapshot", numbers, later_by_default, key="now", bind="query-params")
    if before == now:
        st.info("Choose two different snapshots.", icon=":material/compare_arrows:")
        return
    earlier, later = kept[before], kept[now]
    of_each = {
        one.number: rates.rates(select(reading.report_counts(one), view.selection)).row(0, named=True)
        for one in (earlier, later)
    }
    cards.show_text(words_method.side_by_side(earlier, later, of_each))
    report_cards.compared(view, earlier, later)
