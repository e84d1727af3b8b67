"""The causes as a list of deviations: how each has moved of late, and whose Devices it affects most."""

import polars as pl

from analysis.causes import cause_names
from analysis.funnel import OUTSIDE_998, funnel
from analysis.rates import STRATA
from analysis.selection import added_up

YEAR = 12


def change(trend: pl.DataFrame) -> pl.DataFrame:
    """One row per cause, from the frame of `cause_trend`: its share of the Devices due that were commissioned in the
    last 12 months, in the 12 before, and the difference; null where the frame has not all 24 months behind it.

    The last month is the last that has Devices due.
    """
    place = pl.col("commissioned_month").str.slice(0, 4).cast(pl.Int32) * YEAR + pl.col("commissioned_month").str.slice(
        5, 2
    ).cast(pl.Int32)
    placed = trend.with_columns(age=place.max() - place)
    reaches_back = (placed["age"].max() or 0) >= 2 * YEAR - 1
    recent, earlier = pl.col("age") < YEAR, pl.col("age").is_between(YEAR, 2 * YEAR - 1)

    def share(period: pl.Expr) -> pl.Expr:
        due = pl.col("due").filter(period).sum()
        known = pl.lit(reaches_back) & (due > 0)
        return pl.when(known).then(pl.col("reported_failures").filter(period).sum() / due)

    order = pl.Enum(cause_names())
    return (
        placed.group_by("cause")
        .agg(earlier_share=share(earlier), recent_share=share(recent))
        .with_columns(change=pl.col("recent_share") - pl.col("earlier_share"))
        .sort(pl.col("cause").cast(order))
    )


def most_affected(counts: pl.DataFrame, role: str, most: int = 3) -> pl.DataFrame:
    """Per cause the parties with the greatest share of their Devices due failed for it, at most so many.

    Only those above the upper 99.8 % limit of chance around the share of all together, so that a small party is not
    named for noise; Devices without a recorded party are no party. Columns: cause, the role, failures, due and
    share_of_due.
    """
    few = added_up(counts, role, "reported", "cause")
    due = few.filter(pl.col("reported").is_in(STRATA)).group_by(role).agg(due=pl.col("devices").sum())
    failed = few.filter(pl.col("reported") == "failed").group_by(role, "cause").agg(failures=pl.col("devices").sum())
    found = [_beyond_chance(due, failed.filter(pl.col("cause") == cause), role, most) for cause in cause_names()]
    return pl.concat(
        rows.select(pl.lit(cause).alias("cause"), role, "failures", "due", "share_of_due")
        for cause, rows in zip(cause_names(), found, strict=True)
    )


def _beyond_chance(due: pl.DataFrame, failed: pl.DataFrame, role: str, most: int) -> pl.DataFrame:
    table = due.join(failed, on=role, how="left", nulls_equal=True).with_columns(pl.col("failures").fill_null(0))
    table = table.with_columns(share_of_due=pl.col("failures") / pl.col("due"), reported_failures="failures")
    standings = funnel(table)
    if "standing" not in standings.columns:
        return table.clear()
    above = (pl.col("standing") == OUTSIDE_998) & (pl.col("share_of_due") > pl.col("overall_rate"))
    return (
        standings.filter(above & pl.col(role).is_not_null())
        .sort("share_of_due", role, descending=[True, False])
        .head(most)
    )
