"""Devices one by one, for the report of a party or a CSP."""

import polars as pl

from analysis import report as contents
from analysis.causes import labels
from analysis.devices import TO_ACT_ON
from analysis.report import Asked, Source

CONFIRMED, OVER = TO_ACT_ON[0], "over_reported"
COLUMNS = (
    "device_key",
    "device_type",
    "csp_region",
    "model",
    "commissioned_at",
    "supplier",
    "network_operator",
    "finding",
    "cause",
    "causes",
    "unmet_checks",
    "faults",
)


def judged(given: Source) -> pl.DataFrame:
    """The Devices that lists are made of, read once for all reports of a snapshot: a tenth of the estate."""
    if "judged" not in given.cached:
        outcomes = given.snapshot.scan("outcomes")
        given.cached["judged"] = (
            outcomes.filter(pl.col("finding").is_in([*TO_ACT_ON, OVER]))
            .select(COLUMNS)
            .with_columns(commissioned_month=pl.col("commissioned_at").dt.strftime("%Y-%m"))
            .sort("commissioned_at", "device_key")
            .collect()
        )
    return given.cached["judged"]


def _of(asked: Asked, given: Source) -> pl.DataFrame:
    from analysis.report_parts import conditions

    return judged(given).filter(pl.col("commissioned_month") <= asked.month, *conditions(asked))


def _listed(rows: pl.DataFrame, *columns: str | pl.Expr) -> pl.DataFrame:
    keys = [key.to_bytes(8, "big").hex("-").upper() for key in rows["device_key"]]
    return rows.with_columns(device_id=pl.Series(keys, dtype=pl.String)).select(
        "device_id", "device_type", "csp_region", "model", "commissioned_at", *columns
    )


def _to_mend(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col("finding").is_in(TO_ACT_ON)).sort(pl.col("finding") != CONFIRMED, maintain_order=True)


def of_user(asked: Asked, given: Source) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A party's Devices not secure, confirmed failures first; and its over-reported ones, with the reason."""
    rows = _of(asked, given)
    is_supplier, is_operator = pl.col("supplier") == asked.party, pl.col("network_operator") == asked.party
    role = pl.when(is_supplier & is_operator).then(pl.lit("both")).when(is_supplier).then(pl.lit("Supplier"))
    role = role.otherwise(pl.lit("network operator")).alias("party_is")
    reason = pl.col("cause").replace_strict(labels(), return_dtype=pl.String).alias("reason")
    mend = _listed(_to_mend(rows), role, "finding", "faults", "unmet_checks")
    over = _listed(rows.filter(pl.col("finding") == OVER), role, reason, "causes", "unmet_checks")
    return mend, over


def of_csp(asked: Asked, given: Source) -> pl.DataFrame:
    """A region's CHFs not secure, confirmed failures first."""
    return _listed(_to_mend(_of(asked, given)), "finding", "faults", "unmet_checks")


def cut(frame: pl.DataFrame) -> tuple[str, ...]:
    """Said when a document cannot show all rows."""
    if frame.height <= contents.MOST_ROWS:
        return ()
    return (
        f"The first {contents.MOST_ROWS} of {frame.height:,} are shown here; the XLSX and Parquet files of this report "
        "hold all.",
    )
