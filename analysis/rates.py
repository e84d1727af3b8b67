"""Rates with their numerators, denominators and intervals, over any grouping of the counts.

The actual failure rate is post-stratified over reported passed and reported failed, as the Devices whose cells
were read are no fair sample of both together. Its interval combines a Wilson interval a stratum (with the
finite population's effective size) by MOVER: Zou & Donner (2008), Statistics in Medicine 27, 1693-1702.
"""

from statistics import NormalDist

import polars as pl

from analysis.causes import cause_names
from analysis.selection import added_up

Z95 = NormalDist().inv_cdf(0.975)

BY = (
    "device_type",
    "csp_region",
    "supplier_at_commissioning",
    "supplier",
    "network_operator",
    "manufacturer",
    "model",
    "commissioned_month",
)
STRATA = ("passed", "failed")


def rates(counts: pl.DataFrame, by: tuple[str, ...] = ()) -> pl.DataFrame:
    """One row per group, sorted by it: the counts of section 7 of the contract, then the rates.

    Rates are shares (0 to 1), null where a group is empty or a stratum has no verified Device.
    """
    tallies = _tally(counts, by)
    weighted = tallies.with_columns(
        *(_weight(stratum) for stratum in STRATA),
        *(_rate(stratum) for stratum in STRATA),
    ).with_columns(bound for stratum in STRATA for bound in _wilson(stratum))
    due = pl.col("due")
    return weighted.select(
        *by,
        "due",
        "reported_failures",
        "verified",
        "not_secure",
        "over_reported",
        "missed_failures",
        reported_failure_rate=_share("reported_failures", "due"),
        actual_failure_rate=_if_judged(_sum(_part)),
        actual_low=_if_judged((_sum(_part) - _sum(_below).sqrt()).clip(0, 1)),
        actual_high=_if_judged((_sum(_part) + _sum(_above).sqrt()).clip(0, 1)),
        over_reporting=_share("reported_failures", "due") - _if_judged(_sum(_part)),
        verified_share=_share("verified", "due"),
        device_keys_read=pl.col("device_keys_read"),
        device_keys_read_share=pl.when(due > 0).then(pl.col("device_keys_read") / due),
    )


def _tally(counts: pl.DataFrame, by: tuple[str, ...]) -> pl.DataFrame:
    reported, actual = pl.col("reported"), pl.col("actual")
    is_due = reported.is_in(STRATA)
    verified, not_secure = actual.is_in(["secure", "not_secure"]), actual == "not_secure"

    def devices(condition: pl.Expr) -> pl.Expr:
        return pl.col("devices").filter(condition).sum().cast(pl.Int64)

    tallies = [
        devices(is_due).alias("due"),
        devices(reported == "failed").alias("reported_failures"),
        devices(is_due & verified).alias("verified"),
        devices(is_due & not_secure).alias("not_secure"),
        devices((reported == "failed") & (actual == "secure")).alias("over_reported"),
        devices((reported == "passed") & not_secure).alias("missed_failures"),
        devices(is_due & (pl.col("device_keys") != "not_read")).alias("device_keys_read"),
    ]
    for stratum in STRATA:
        tallies += [
            devices(reported == stratum).alias(f"due_{stratum}"),
            devices((reported == stratum) & verified).alias(f"verified_{stratum}"),
            devices((reported == stratum) & not_secure).alias(f"not_secure_{stratum}"),
        ]
    few = added_up(counts, *by, "reported", "actual", "device_keys")
    return few.group_by(by).agg(tallies).sort(by, nulls_last=True) if by else few.select(tallies)


def _share(numerator: str, denominator: str) -> pl.Expr:
    return pl.when(pl.col(denominator) > 0).then(pl.col(numerator) / pl.col(denominator))


def _weight(stratum: str) -> pl.Expr:
    return _share(f"due_{stratum}", "due").alias(f"weight_{stratum}")


def _rate(stratum: str) -> pl.Expr:
    return _share(f"not_secure_{stratum}", f"verified_{stratum}").alias(f"rate_{stratum}")


def _wilson(stratum: str) -> tuple[pl.Expr, pl.Expr]:
    """Bounds of a stratum's rate; with every Device verified it is known and both bounds are the rate."""
    p, n, size = pl.col(f"rate_{stratum}"), pl.col(f"verified_{stratum}"), pl.col(f"due_{stratum}")
    effective = n * (size - 1) / (size - n)
    centre = (p + Z95**2 / (2 * effective)) / (1 + Z95**2 / effective)
    spread = p * (1 - p) / effective + Z95**2 / (4 * effective**2)
    half = Z95 * spread.sqrt() / (1 + Z95**2 / effective)
    all_verified = n == size
    low = pl.when(all_verified).then(p).otherwise(centre - half)
    high = pl.when(all_verified).then(p).otherwise(centre + half)
    return low.alias(f"low_{stratum}"), high.alias(f"high_{stratum}")


def _sum(term) -> pl.Expr:
    """Sum over the strata that hold Devices."""
    return pl.sum_horizontal(pl.when(pl.col(f"due_{s}") > 0).then(term(s)).otherwise(0.0) for s in STRATA)


def _part(stratum: str) -> pl.Expr:
    return pl.col(f"weight_{stratum}") * pl.col(f"rate_{stratum}")


def _below(stratum: str) -> pl.Expr:
    return (pl.col(f"weight_{stratum}") * (pl.col(f"rate_{stratum}") - pl.col(f"low_{stratum}"))) ** 2


def _above(stratum: str) -> pl.Expr:
    return (pl.col(f"weight_{stratum}") * (pl.col(f"high_{stratum}") - pl.col(f"rate_{stratum}"))) ** 2


def _if_judged(rate: pl.Expr) -> pl.Expr:
    """The rate where every stratum that holds Devices has a verified one, else null."""
    unjudged = [(pl.col(f"due_{s}") > 0) & (pl.col(f"verified_{s}") == 0) for s in STRATA]
    return pl.when((pl.col("due") > 0) & ~pl.any_horizontal(unjudged)).then(rate)


def failures_by_cause(counts: pl.DataFrame, by: tuple[str, ...] = ()) -> pl.DataFrame:
    """One row per group and cause, all five causes for every group, zeros included."""
    few = added_up(counts, *by, "reported", "actual", "cause")
    failed = few.filter(pl.col("reported") == "failed")
    devices, actual = pl.col("devices"), pl.col("actual")
    found = failed.group_by(*by, "cause").agg(
        reported_failures=devices.sum().cast(pl.Int64),
        over_reported=devices.filter(actual == "secure").sum().cast(pl.Int64),
        confirmed_failures=devices.filter(actual == "not_secure").sum().cast(pl.Int64),
        unverified_failures=devices.filter(actual == "unverified").sum().cast(pl.Int64),
    )
    order = pl.DataFrame({"cause": cause_names()}).with_row_index("precedence")
    groups = few.select(by).unique() if by else pl.DataFrame({"": [0]})
    grid = groups.join(order, how="cross")
    numbers = ["reported_failures", "over_reported", "confirmed_failures", "unverified_failures"]
    return (
        grid.join(found, on=[*by, "cause"], how="left", nulls_equal=True)
        .sort(*by, "precedence", nulls_last=True)
        .select(*by, "cause", pl.col(numbers).fill_null(0))
    )
