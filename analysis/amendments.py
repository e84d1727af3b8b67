"""What the reported figures would be under amendments to the criteria."""

from itertools import combinations

import polars as pl

from analysis.causes import BITS_A_CAUSE, causes

# One a cause, in the order in which a set is written.
AMENDMENTS = ("accept_change_of_supplier", "accept_handover", "accept_empty_status", "accept_timeout")


def amendment_sets() -> list[tuple[str, ...]]:
    """All sets of amendments, the empty one first."""
    return [chosen for size in range(len(AMENDMENTS) + 1) for chosen in combinations(AMENDMENTS, size)]


def passes_under(chosen: tuple[str, ...], evidence: bool) -> pl.Expr:
    """Whether a reported failure would pass: every unmet check has a holding cause whose amendment is chosen,
    and, where evidence is asked for, the certificates say that the Device is secure."""
    accepted = pl.lit(0, pl.UInt32)
    for place, cause in enumerate(causes()):
        if cause.amendment in chosen:
            accepted = accepted | (pl.col("signature") // (1 << BITS_A_CAUSE * place)) % (1 << BITS_A_CAUSE)
    passes = (pl.col("reported") == "failed") & (accepted == pl.col("unmet").cast(pl.UInt32))
    return passes & (pl.col("actual") == "secure") if evidence else passes


def under_amendments(counts: pl.DataFrame, chosen: tuple[str, ...], evidence: bool) -> dict[str, int]:
    """reported_failures, over_reported and missed_failures under a set of amendments."""
    still_failed = (pl.col("reported") == "failed") & ~pl.col("passes")
    reported_passed = (pl.col("reported") == "passed") | pl.col("passes")
    devices = pl.col("devices")
    return (
        counts.with_columns(passes=passes_under(chosen, evidence))
        .select(
            reported_failures=devices.filter(still_failed).sum(),
            over_reported=devices.filter(still_failed & (pl.col("actual") == "secure")).sum(),
            missed_failures=devices.filter(reported_passed & (pl.col("actual") == "not_secure")).sum(),
        )
        .row(0, named=True)
    )


def amendments(counts: pl.DataFrame) -> pl.DataFrame:
    """One row per set of amendments and demand of evidence, with the figures of section 6 of the contract."""
    rows = [
        {"amendments": list(chosen), "evidence": evidence, **under_amendments(counts, chosen, evidence)}
        for evidence in (False, True)
        for chosen in amendment_sets()
    ]
    schema = {
        "amendments": pl.List(pl.String),
        "evidence": pl.Boolean,
        "reported_failures": pl.Int64,
        "over_reported": pl.Int64,
        "missed_failures": pl.Int64,
    }
    return pl.DataFrame(rows, schema)
