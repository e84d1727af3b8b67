"""What the Reports page lets a person choose, and the files of the report chosen."""

import io
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import streamlit as st

from analysis.report import AUDIENCES, CSP, DCC_USER, NAMES, Asked, Report, Source, month_name, report, source
from analysis.reporting import last_month_all_due
from dashboard import access, audit, cards, filters, reading, switches, words_reports
from data.marts import Snapshot


@st.cache_resource(max_entries=2, show_spinner="Reading the snapshot")
def _source(folder: Path, built: str, _snapshot: Snapshot) -> Source:
    return source(_snapshot, reading.counts(folder))


def sources(snapshot: Snapshot) -> Source:
    """What reports of the snapshot are made of; read-only, shared by all readers."""
    return _source(snapshot.folder, snapshot.manifest["build_finished_at"], snapshot)


def report_of(snapshot: Snapshot, asked: Asked) -> Report:
    """The report asked for; read-only, shared by all readers of its scope. Raises `WrongReport`."""
    return _report(snapshot.folder, snapshot.manifest["build_finished_at"], asked, snapshot)


# A few: the largest holds the Devices of the largest party that are to be mended.
@st.cache_resource(max_entries=6, show_spinner=False)
def _report(folder: Path, built: str, asked: Asked, _snapshot: Snapshot) -> Report:
    return report(asked, sources(_snapshot))


def chosen(given: Source) -> Asked:
    """Draws the choices; each is kept in the URL."""
    months = given.months()[::-1]
    month = last_month_all_due(given.counts) or months[0]
    defaults = {"audience": audiences()[0], "report_month": month}
    filters.keep_in_address(defaults)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        audience = _choice("For", audiences(), "audience", NAMES.get)
        month = _choice("Month of commissioning", months, "report_month", month_name, months.index(month))
        party = _choice("DCC User", _users(given), "report_party", given.names.get) if audience == DCC_USER else None
        region = _choice("CSP region", given.regions(), "report_region", str) if audience == CSP else None
    st.markdown(words_reports.SET)
    accepted, evidence = switches.amendments()
    return Asked(audience, month, party, region, accepted, evidence)


def audiences() -> tuple[str, ...]:
    """Whom this reader may make reports for: a party for itself."""
    return (DCC_USER,) if access.of_this_run().role == access.OF_PARTY else AUDIENCES


def labelled(told: Report, view: cards.View) -> Report:
    """The report with what every file says of itself; its files are named by reader, scope and snapshot too."""
    facts = {"Classification": view.about()["classification"], "Scope": view.about()["scope"], **told.facts}
    return replace(told, facts=facts, stem=view.file_name(told.stem, "").removesuffix("."))


def _choice(label: str, options, key: str, named, index: int = 0):
    return st.selectbox(
        label, options, index=index, format_func=lambda one: named(one) or one, key=key, bind="query-params", width=320
    )


def _users(given: Source) -> list[str]:
    return sorted(given.users, key=lambda party: given.names.get(party, party))


def downloads(told: Report, view: cards.View) -> None:
    """A button a format; nothing is made before it is pressed."""
    rows = sum(table.frame.height for table in told.tables())
    with st.container(horizontal=True):
        for name, label in words_reports.FORMAT_NAMES.items():
            ending = "zip" if name == "parquet" else name
            file = f"{told.stem}.{ending}"
            st.download_button(
                label,
                audit.logged(lambda name=name: (made(told, name), rows), view.snapshot, file, "as the report says"),
                file_name=file,
                key=f"report-{name}",
                on_click="ignore",
            )
    st.caption(words_reports.DOWNLOADS)


def made(told: Report, name: str) -> bytes:
    """The file of one format; Parquet's several as one archive."""
    # Half a second to import, which no other page should wait for.
    from dashboard.reports import batch, pictures

    stamp = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    drawn, why_not = {}, ""
    if name in batch.ILLUSTRATED:
        drawn, why_not = pictures.draw([(figure.name, figure) for figure in told.figures()])
    files = batch.files(told, drawn, stamp, (name,), why_not)
    if name != "parquet":
        return next(iter(files.values()))
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for file, content in files.items():
            archive.writestr(zipfile.ZipInfo(file, stamp.timetuple()[:6]), content)
    return sink.getvalue()
