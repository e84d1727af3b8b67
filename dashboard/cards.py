"""A chart with its title, the same data as a table, and the file of it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import plotly.graph_objects as go
import polars as pl
import streamlit as st

from analysis.selection import Selection
from dashboard import charts, words
from data.export import with_text_for_lists, write_sheet
from data.marts import Snapshot


@dataclass(frozen=True)
class View:
    """What a page shows: a snapshot, and the Devices selected from it."""

    snapshot: Snapshot
    selection: Selection
    in_words: str

    def file_name(self, name: str, ending: str) -> str:
        """Tells the snapshot and the selection apart, as files of one name and length are confused."""
        digest = hashlib.sha256(repr(self.selection).encode()).hexdigest()[:8]
        return f"{name}-snapshot-{self.snapshot.number}-{digest}.{ending}"

    def made(self) -> str:
        return f"Snapshot {self.snapshot.number}, as at {words.moment(self.snapshot.manifest['as_at'])}."


def card(view: View, name: str, title: str, figure: go.Figure, table: pl.DataFrame, how: str) -> None:
    """A bordered card; `how` says in a sentence how the figures are made, `table` holds them all."""
    with st.container(border=True):
        st.subheader(title, anchor=name)
        st.plotly_chart(
            figure, config=charts.CONFIG, key=f"chart-{name}", alt=f"{title}. The table below holds the same."
        )
        with st.expander("The same as a table, and as a file"):
            show_table(table)
            downloads(view, name, table)
        st.caption(f"{how} {view.made()} Devices: {view.in_words}.")


def show_table(table: pl.DataFrame) -> None:
    st.dataframe(table, column_config=_columns(table), hide_index=True)


def show_text(table: pl.DataFrame) -> None:
    """A short table of words, each whole: a data frame would cut them."""
    st.table(table.rename({name: _heading(name) for name in table.columns}))


def _heading(name: str) -> str:
    return words.HEADINGS.get(name) or (name if name.isupper() else name.replace("_", " ").capitalize())


def _columns(table: pl.DataFrame) -> dict:
    return {
        name: st.column_config.NumberColumn(_heading(name), format="percent")
        if name in words.SHARES
        else st.column_config.Column(_heading(name))
        for name in table.columns
    }


def downloads(view: View, name: str, table: pl.DataFrame) -> None:
    with st.container(horizontal=True):
        for ending, made_by in (("csv", as_csv), ("xlsx", as_xlsx)):
            st.download_button(
                ending.upper(),
                lambda made_by=made_by: made_by(table),
                file_name=view.file_name(name, ending),
                key=f"{ending}-{name}",
                on_click="ignore",
            )


def as_csv(table: pl.DataFrame) -> bytes:
    return with_text_for_lists(table).write_csv().encode()


def as_xlsx(table: pl.DataFrame) -> bytes:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "data.xlsx"
        write_sheet([table], file, "data")
        return file.read_bytes()


def nothing_selected() -> None:
    """Said in place of charts when the filters leave no Device due."""
    st.warning(
        "No Device that is due is left by these filters. Widen the period, or clear a Device type, region or party.",
        icon=":material/filter_alt_off:",
    )
