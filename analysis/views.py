"""The frames behind the charts: each small, each with the counts that its shares are made of."""

import polars as pl

from analysis.causes import UNEXPLAINED, cause_names, label_of
from analysis.rates import failures_by_cause, rates
from analysis.selection import added_up


def waterfall(counts: pl.DataFrame) -> pl.DataFrame:
    """From reported failures to the Devices found not secure, in Devices.

    kind is `total` where `devices` is a level, else `step`, the change to it.
    """
    by_cause = {row["cause"]: row for row in failures_by_cause(counts).to_dicts()}
    overall = rates(counts).row(0, named=True)
    confirmed = sum(row["confirmed_failures"] for row in by_cause.values())
    unverified = sum(row["unverified_failures"] for row in by_cause.values())
    steps = [("Reported failed", overall["reported_failures"], "total")]
    steps += [(f"{label_of(cause)}: secure", -by_cause[cause]["over_reported"], "step") for cause in cause_names()]
    steps += [
        ("Not verified", -unverified, "step"),
        ("Confirmed failures", confirmed, "total"),
        ("Missed failures", overall["missed_failures"], "step"),
        ("Found not secure", overall["not_secure"], "total"),
    ]
    return pl.DataFrame(steps, {"step": pl.String, "devices": pl.Int64, "kind": pl.String}, orient="row")


def by_month(counts: pl.DataFrame) -> pl.DataFrame:
    """Rates by month of commissioning, months without a Device due left out."""
    return rates(counts, ("commissioned_month",)).filter(pl.col("due") > 0)


def by_party(counts: pl.DataFrame, column: str, names: dict[str, str]) -> pl.DataFrame:
    """Rates by a party, region, manufacturer or model, with its name, the highest reported rate first."""
    table = rates(counts, (column,)).filter(pl.col("due") > 0)
    name = pl.col(column).replace(names).fill_null("not recorded")
    return table.with_columns(name=name).sort("reported_failure_rate", "due", descending=True)


def cause_table(counts: pl.DataFrame) -> pl.DataFrame:
    """One row per cause: failures by what the certificates say, and the share of all reported failures."""
    table = failures_by_cause(counts)
    reported = pl.col("reported_failures")
    share = pl.when(reported.sum() > 0).then(reported / reported.sum())
    return table.with_columns(label=label(), share=share)


def cause_trend(counts: pl.DataFrame) -> pl.DataFrame:
    """One row per month of commissioning and cause: reported failures, Devices due, and the share of them."""
    months = by_month(counts).select("commissioned_month", "due")
    table = failures_by_cause(counts, ("commissioned_month",)).select(
        "commissioned_month", "cause", "reported_failures"
    )
    share = pl.col("reported_failures") / pl.col("due")
    return table.join(months, on="commissioned_month", maintain_order="left").with_columns(
        label=label(), share_of_due=share
    )


def label() -> pl.Expr:
    return pl.col("cause").replace_strict({cause: label_of(cause) for cause in cause_names()})


def overlaps(counts: pl.DataFrame) -> pl.DataFrame:
    """One row per set of causes that come together on a Device: Devices, and those that are secure.

    A Device of which some unmet check has no cause is counted under its causes and `unexplained`.
    """
    few = added_up(counts, "reported", "actual", "cause", "causes")
    failed = few.filter(pl.col("reported") == "failed")
    together = (
        pl.when(pl.col("cause") != UNEXPLAINED)
        .then(pl.col("causes"))
        .when(pl.col("causes") == "")
        .then(pl.lit(UNEXPLAINED))
        .otherwise(pl.col("causes") + "; " + UNEXPLAINED)
    )
    devices = pl.col("devices")
    return (
        failed.group_by(together.alias("together"))
        .agg(
            reported_failures=devices.sum(),
            over_reported=devices.filter(pl.col("actual") == "secure").sum(),
        )
        .with_columns(
            (pl.concat_str(pl.lit("; "), "together", pl.lit("; ")).str.contains(f"; {cause}; ", literal=True)).alias(
                cause
            )
            for cause in cause_names()
        )
        .sort("reported_failures", "together", descending=[True, False])
    )


def with_several_causes(together: pl.DataFrame) -> int:
    """Devices, of the frame of `overlaps`, for which two causes or more hold; `unexplained` is no cause."""
    held = pl.sum_horizontal(pl.col(cause).cast(pl.UInt8) for cause in cause_names() if cause != UNEXPLAINED)
    return together.filter(held > 1)["reported_failures"].sum()


def coverage(counts: pl.DataFrame, column: str, names: dict[str, str]) -> pl.DataFrame:
    """Of each party's Devices due: how many have certificates read, and their own keys read."""
    return by_party(counts, column, names).select(
        "name", "due", "verified", "verified_share", "device_keys_read", "device_keys_read_share"
    )


def months_over(table: pl.DataFrame, rate: str, tolerance: float) -> list[str]:
    """The months in which a rate is above the tolerance (a share)."""
    return table.filter(pl.col(rate) > tolerance)["commissioned_month"].to_list()
