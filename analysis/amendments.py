"""What the reported figures would be under amendments to the criteria."""

from itertools import combinations

import polars as pl

from analysis.causes import BITS_A_CAUSE, causes

# One a cause, in the order in which a set is written.
AMENDMENTS = ("accept_change_of_supplier", "accept_handover", "accept_empty_status", "accept_timeout")
FIGURES = ("reported_failures", "over_reported", "missed_failures")


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
    passes = passes_under(chosen, evidence)
    return counts.with_columns(passes=passes).select(**_figures(pl.col("passes"))).row(0, named=True)


def _figures(passes: pl.Expr) -> dict[str, pl.Expr]:
    still_failed = (pl.col("reported") == "failed") & ~passes
    reported_passed = (pl.col("reported") == "passed") | passes
    devices, actual = pl.col("devices"), pl.col("actual")
    return dict(
        zip(
            FIGURES,
            (
                devices.filter(still_failed).sum(),
                devices.filter(still_failed & (actual == "secure")).sum(),
                devices.filter(reported_passed & (actual == "not_secure")).sum(),
            ),
            strict=True,
        )
    )


def amendments(counts: pl.DataFrame | pl.LazyFrame) -> pl.DataFrame:
    """One row per set of amendments and demand of evidence, with the figures of section 6 of the contract."""
    asked = [(chosen, evidence) for evidence in (False, True) for chosen in amendment_sets()]
    # A few hundred rows, however large the estate, and one query: each of 32 would cost more than it counts.
    # In memory the groups of 1.6 million rows took half a gigabyte.
    grouped = counts.lazy().group_by("reported", "actual", "unmet", "signature").agg(pl.col("devices").sum())
    few = grouped.collect(engine="streaming")
    figures = few.select(
        figure.alias(f"{name} {place}")
        for place, (chosen, evidence) in enumerate(asked)
        for name, figure in _figures(passes_under(chosen, evidence)).items()
    ).row(0, named=True)
    rows = [
        {"amendments": list(chosen), "evidence": evidence} | {name: figures[f"{name} {place}"] for name in FIGURES}
        for place, (chosen, evidence) in enumerate(asked)
    ]
    schema = {
        "amendments": pl.List(pl.String),
        "evidence": pl.Boolean,
        **dict.fromkeys(FIGURES, pl.Int64),
    }
    return pl.DataFrame(rows, schema)
