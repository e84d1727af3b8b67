"""A chart with its title, the same data as a table, its files, and a way to filter by it."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import plotly.graph_objects as go
import polars as pl
import polars.selectors as cs
import streamlit as st

from analysis.selection import Selection
from dashboard import access, audit, charts, filters, picture, plot, reading, words
from dashboard.access_settings import classification
from data.export import with_plain_text, write_sheet
from data.marts import Snapshot
from data.scopes import scope_in_words, scope_key

DEMONSTRATION = "Demonstration estate: every Device and party is made up."
CLICK = "Choose here, or click in the chart: it sets the filters of every page. *Clear the filters* undoes it."


def label() -> str:
    """The classification that every file is labelled with."""
    return classification(access.settings() if access.is_configured() else None)


@dataclass(frozen=True)
class View:
    """What a page shows: a snapshot, and the Devices selected from it."""

    snapshot: Snapshot
    selection: Selection
    in_words: str

    def file_name(self, name: str, ending: str) -> str:
        """Tells reader, scope, snapshot and selection apart, as files of one name and length are confused."""
        manifest, reader = self.snapshot.manifest, access.of_this_run()
        told = [self.selection, self.in_words, reader.who, reader.session, manifest["build_finished_at"]]
        scope = scope_key(self.snapshot)
        digest = hashlib.sha256(repr([scope, *told]).encode()).hexdigest()[:12]
        return f"{name}-snapshot-{self.snapshot.number}-{scope}-{digest}.{ending}"

    def held(self, name: str, make: Callable[[], reading.Made], *of: object) -> reading.Made:
        """What `make` makes of the view's Devices and `of` alone, made once for all readers of its scope."""
        return reading.held(self.snapshot.folder, self.selection, name, of, make)

    def made(self) -> str:
        return f"Snapshot {self.snapshot.number}, as at {words.moment(self.snapshot.manifest['as_at'])}."

    def about(self, title: str = "", how: str = "") -> dict[str, str]:
        """What a file says of itself, by name; times are UTC."""
        facts = {
            "classification": label(),
            "scope": " ".join(
                filter(None, [f"{scope_in_words(self.snapshot)}.", self.snapshot.manifest.get("said_of_scope")])
            ),
            "title": title,
            "how_made": how,
            "filters": self.in_words,
            "snapshot": str(self.snapshot.number),
            "as_at": words.moment(self.snapshot.manifest["as_at"]),
            "file_made": words.moment(datetime.now(UTC).isoformat()),
            "estate": DEMONSTRATION if self.snapshot.manifest["is_demonstration"] else "",
        }
        return {name: fact for name, fact in facts.items() if fact}


def card(
    view: View,
    name: str,
    title: str,
    figure: go.Figure | Callable[[], go.Figure],
    table: pl.DataFrame,
    how: str,
    *,
    of: tuple = (),
    filter_by: Sequence[filters.Target] = (),
    columns: dict | None = None,
) -> None:
    """A bordered card; `how` says in a sentence how the figures are made, `table` holds them all, with headings of its
    own where `columns` gives them.

    A figure to be made is made once for all readers: it may depend on the view, the card's name and `of`, and nothing
    else. A click on a mark that `filter_by` knows sets filters, and so does choosing it in a box below the chart.
    """
    if isinstance(figure, go.Figure):
        drawn = charts.finished(figure)
    else:
        drawn = view.held(f"chart {name}", lambda: charts.finished(figure()), *of)
    with st.container(border=True, key=f"card-{name}"):
        st.subheader(title, anchor=name)
        _chart(name, title, drawn, filter_by)

        def more() -> None:
            show_table(table, columns)
            downloads(view, name, table, title, how, has_chart=True)

        once_opened("The same as a table, and as a file", name, more)
        st.caption(f"{how} {view.made()} Devices: {view.in_words}.")


def _chart(name: str, title: str, drawn: plot.Plot, targets: Sequence[filters.Target]) -> None:
    key, alt = f"chart-{name}", f"{title}. The table below holds the same."
    if not targets:
        plot.draw(drawn, key, alt)
        return
    plot.draw(drawn, key, alt, lambda points: _clicked(points, targets))
    choice = f"filter-to-{name}"
    st.selectbox(
        "Filter to",
        range(len(targets)),
        index=None,
        format_func=lambda place: targets[place].label,
        key=choice,
        on_change=lambda: _chosen(choice, targets),
        placeholder="Click in the chart, or choose here",
        help=CLICK,
        width=320,
    )


def _clicked(points: list[dict], targets: Sequence[filters.Target]) -> None:
    if found := filters.target_of(points, targets):
        filters.set_to(found)


def _chosen(key: str, targets: Sequence[filters.Target]) -> None:
    place = st.session_state[key]
    st.session_state[key] = None
    if place is not None:
        filters.set_to(targets[place])


def once_opened(label: str, name: str, draw: Callable[[], None]) -> None:
    """A box whose content is drawn once it is opened: a table costs as much as a chart."""
    with st.expander(label, key=f"table-{name}", on_change="rerun") as box:
        if box.open:
            draw()


def show_table(table: pl.DataFrame, columns: dict | None = None) -> None:
    """The name first, where rows have one: the ids before it say nothing to a person."""
    table = table.select(*(["name"] if "name" in table.columns else []), pl.exclude("name"))
    st.dataframe(table, column_config=columns or _columns(table), hide_index=True)


def show_text(table: pl.DataFrame) -> None:
    """A short table, each word of it whole: a data frame would cut them, and comes to a screen reader later."""
    numbers = table.select(cs.integer()).to_dict()
    in_words = {name: [n if n is None else words.count(n) for n in column] for name, column in numbers.items()}
    in_words = table.with_columns(pl.Series(name, told, pl.String) for name, told in in_words.items())
    st.table(in_words.rename({name: _heading(name) for name in table.columns}))


def _heading(name: str) -> str:
    return words.HEADINGS.get(name) or (name if name.isupper() or " " in name else name.replace("_", " ").capitalize())


def _columns(table: pl.DataFrame) -> dict:
    return {
        name: st.column_config.NumberColumn(_heading(name), format="percent")
        if name in words.SHARES
        else st.column_config.NumberColumn(_heading(name), format="localized")
        if kind.is_integer()
        else st.column_config.Column(_heading(name))
        for name, kind in table.schema.items()
    }


def downloads(
    view: View,
    name: str,
    table: pl.DataFrame | Callable[[], pl.DataFrame],
    title: str = "",
    how: str = "",
    *,
    has_chart: bool = False,
) -> None:
    """Buttons for the files of a table, which may be one to be made when it is asked for, and of the card's chart."""

    def of(made_by: Callable[[pl.DataFrame, dict[str, str]], bytes]) -> tuple[bytes, int]:
        made_now = table() if callable(table) else table
        return made_by(made_now, view.about(title, how)), made_now.height

    with st.container(horizontal=True):
        for ending, made_by in (("csv", as_csv), ("xlsx", as_xlsx)):
            file = view.file_name(name, ending)
            st.download_button(
                ending.upper(),
                audit.logged(lambda made_by=made_by: of(made_by), view.snapshot, file, view.in_words),
                file_name=file,
                key=f"{ending}-{name}",
                on_click="ignore",
            )
        if has_chart:
            lines = [how, f"{view.made()} Devices: {view.in_words}.", f"{label()}. {scope_in_words(view.snapshot)}."]
            if view.snapshot.manifest["is_demonstration"]:
                lines.append(DEMONSTRATION)
            picture.button(f"png-{name}", view.file_name(name, "png"), title, lines)


def as_csv(table: pl.DataFrame, about: dict[str, str] | None = None) -> bytes:
    """What the file says of itself is in columns at the end, the same in each row: every reader of CSV takes them."""
    facts = [pl.lit(fact).alias(f"about_{name}") for name, fact in (about or {}).items()]
    return with_plain_text(table.with_columns(facts)).write_csv().encode()


def as_xlsx(table: pl.DataFrame, about: dict[str, str] | None = None) -> bytes:
    """The data on the first sheet, what the file says of itself on the second."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "data.xlsx"
        write_sheet([table], file, "data", {_heading(name): fact for name, fact in (about or {}).items()})
        return file.read_bytes()


def nothing_selected() -> None:
    """Said in place of charts when the filters leave no Device due."""
    st.warning(
        "No Device that is due is left by these filters. Widen the period, or clear a Device type, region or party.",
        icon=":material/filter_alt_off:",
    )
