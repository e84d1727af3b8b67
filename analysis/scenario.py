"""What the report would say if the failures of some causes were left out of it.

A Device is left out by its one `cause`, so each is left out once and no evidence is looked at. That is another thing
than an amendment to the criteria, under which every unmet check of a Device must have a reason that is accepted.
"""

from collections.abc import Collection

import polars as pl

from analysis.rates import failures_by_cause, rates


def without_causes(counts: pl.DataFrame, left_out: Collection[str]) -> dict:
    """The figures when Devices of these causes no longer count as reported failures; Devices due stay as they are.

    over_reported, confirmed_failures, unverified_failures: what is still reported failed, by certificates. left_out,
    removed, hidden, unverified_left_out: the Devices left out, and those of them that are secure, not secure,
    unverified. missed_failures: not secure and reported passed, as they are whatever is left out.
    """
    overall = rates(counts).row(0, named=True)
    table = failures_by_cause(counts).with_columns(is_out=pl.col("cause").is_in(list(left_out)))
    kept, out = (table.filter(pl.col("is_out") == is_out).sum().row(0, named=True) for is_out in (False, True))
    due = overall["due"]
    return {
        "due": due,
        "reported_failures": kept["reported_failures"],
        "reported_failure_rate": kept["reported_failures"] / due if due else None,
        "over_reported": kept["over_reported"],
        "confirmed_failures": kept["confirmed_failures"],
        "unverified_failures": kept["unverified_failures"],
        "missed_failures": overall["missed_failures"],
        "left_out": out["reported_failures"],
        "removed": out["over_reported"],
        "hidden": out["confirmed_failures"],
        "unverified_left_out": out["unverified_failures"],
    }
