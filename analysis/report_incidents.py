"""A CSP's Incidents: which were raised about CHFs that are secure, and so need not have been."""

import polars as pl

from analysis import hubs, report_lists
from analysis import report as contents
from analysis.report import NONE, Asked, Figure, Section, Source, Table
from analysis.selection import Selection


def section(asked: Asked, given: Source, counts: pl.DataFrame) -> Section:
    """Incidents raised up to the end of the month about CHFs of the region, by month raised."""
    rows = _rows(asked, given)
    if rows is None:
        return _from_failures(asked, counts)
    frame = hubs.by_month(rows)
    month = rows.filter(pl.col("month") == asked.month)
    name = contents.month_name(asked.month)
    needless = _needless(rows)
    still_open = needless["still_open"].sum()
    said = (
        f"{_incidents(month.height)} raised in {name} about CHFs of region {asked.region}: {_of(month, 'secure')} "
        f"about a CHF that is secure, {_of(month, 'not_secure')} about one that is not, {_of(month, 'unverified')} "
        "about one that could not be judged.",
        f"Of all {_incidents(rows.height)} raised up to then, {needless.height:,} need not have been raised: their CHF "
        f"is secure by its certificates. {still_open:,} of these are still open.",
        "The certificates are judged as the snapshot knows them now: a CHF put right since counts as secure.",
        *report_lists.cut(needless),
    )
    tables = (
        Table("incidents", "Incidents by month raised and by what the certificates say of the CHF", frame.tail(13)),
        Table(
            "needless_incidents", "Incidents that need not have been raised, open ones first", needless, missing=NONE
        ),
    )
    figures = ()
    if not rows.is_empty():
        title = f"Incidents by month, region {asked.region}, by what the certificates say of the CHF"
        figures = (Figure("incidents", "incidents_by_month", title, frame),)
    return Section("Incidents (SEC Appendix AC 5.13)", said, tables, figures)


def _rows(asked: Asked, given: Source) -> pl.DataFrame | None:
    if not given.snapshot.files("incidents"):
        return None
    if "incidents" not in given.cached:
        outcomes = given.snapshot.scan("outcomes")
        frame = hubs.with_devices(given.snapshot.frame("incidents"), outcomes, given.as_at)
        given.cached["incidents"] = frame
    chosen = Selection(device_types=(hubs.CHF,), regions=(asked.region,))
    return hubs.selected(given.cached["incidents"], chosen).filter(pl.col("month") <= asked.month)


def _of(rows: pl.DataFrame, verdict: str) -> str:
    return f"{(rows['verdict'] == verdict).sum():,}"


def _incidents(number: int) -> str:
    return f"{number:,} Incident{'' if number == 1 else 's'}"


def _needless(rows: pl.DataFrame) -> pl.DataFrame:
    found = rows.filter(pl.col("verdict") == "secure").sort(
        ~pl.col("is_open"), "raised_at", "incident_id", "device_key", maintain_order=True
    )
    keys = [key.to_bytes(8, "big").hex("-").upper() for key in found["device_key"]]
    return found.select(
        "incident_id",
        pl.Series("device_id", keys, pl.String),
        "raised_at",
        pl.when(~pl.col("is_open")).then("closed_at").alias("closed_at"),
        pl.col("is_open").alias("still_open"),
        pl.col("standing").alias("reported"),
    )


def _from_failures(asked: Asked, counts: pl.DataFrame) -> Section:
    rows = hubs.from_failures(counts)
    frame = hubs.by_month(rows)
    month = frame.filter(pl.col("month") == asked.month)
    raised, secure = (int(month[name].sum()) for name in ("raised", "secure"))
    said = (
        "There is no extract of Incidents in this snapshot. AC 5.13 makes the DCC raise an Incident for every "
        "'failing' CHF, so each CHF reported failed stands for one; months are of commissioning.",
        f"{raised:,} CHFs commissioned in {contents.month_name(asked.month)} are reported failed; {secure:,} of these "
        "are secure by their certificates, so that an Incident need not have been raised.",
    )
    table = Table("incidents", "CHFs reported failed by month, in place of Incidents", frame.tail(13))
    figures = (Figure("incidents", "incidents_by_month", table.title, frame),) if frame.height else ()
    return Section("Incidents (SEC Appendix AC 5.13)", said, (table,), figures)
