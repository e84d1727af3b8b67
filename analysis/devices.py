"""Devices one by one, never more of them than a page can show."""

import polars as pl

from analysis.selection import Selection

# Found not secure by their certificates, whether reported failed or passed.
TO_ACT_ON = ("confirmed_failure", "missed_failure")
MOST_LISTED = 200


def to_act_on(outcomes: pl.LazyFrame, selection: Selection, most: int = MOST_LISTED) -> pl.DataFrame:
    """One row per Device found not secure, the longest commissioned first, at most so many."""
    month = pl.col("commissioned_at").dt.strftime("%Y-%m")
    found = (
        outcomes.with_columns(commissioned_month=month)
        .filter(pl.col("finding").is_in(TO_ACT_ON), *selection.conditions())
        .sort("commissioned_at", "device_key")
        .head(most)
        .collect()
    )
    device_id = pl.Series("device_id", [_duis_form(key) for key in found["device_key"]], pl.String)
    return found.select(
        device_id, "device_type", "csp_region", "model", "commissioned_at", "finding", "cause", "unmet_checks", "faults"
    )


def _duis_form(key: int) -> str:
    return key.to_bytes(8, "big").hex("-").upper()


def count_to_act_on(counts: pl.DataFrame) -> int:
    """How many there are in all."""
    return counts.filter(pl.col("finding").is_in(TO_ACT_ON))["devices"].sum()
