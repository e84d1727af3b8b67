"""Incidents raised under SEC Appendix AC 5.13, each beside the outcome of the CHF that it is about.

An Incident has no verdict of its own: whether its CHF is secure, and whether amended criteria would have passed it, are
told from the outcome at `as_at`. Without an extract of Incidents, the CHFs reported failed stand in for them, one each.
"""

from datetime import datetime

import polars as pl
import polars.selectors as cs

from analysis import criteria
from analysis.amendments import AMENDMENTS
from analysis.rates import Z95, rates
from analysis.selection import Selection

CHF = "CHF"
# What the CHF is reported as now, or why the Incident is about no CHF in scope.
STANDINGS = ("failed", "passed", "not_due", "not_a_chf", "not_in_scope")
NO_CHF = "no_chf"
VERDICTS = ("secure", "not_secure", "unverified", NO_CHF)
ALL_REGIONS, NO_REGION = "All regions", "Device not in scope"
# Of the counts of a page, beside how Devices stand.
COUNTED_BY = ("device_type", "csp_region", "commissioned_month")
DAY_MICROSECONDS = 86_400_000_000
OF_DEVICE = (
    "device_type",
    "csp_region",
    "supplier_at_commissioning",
    "supplier",
    "network_operator",
    "commissioned_at",
    "changed_supplier_at",
    "reported",
    "actual",
    "device_keys",
    "unmet",
    "signature",
)


def with_devices(incidents: pl.DataFrame, outcomes: pl.LazyFrame, as_at: datetime) -> pl.DataFrame:
    """One row per Incident and Device that it names, with the Device's outcome; none is left out.

    Rows of one Incident and Device that differ are one: raised at the earliest, closed at the latest time; `merged`
    says how many. is_later: raised after `as_at`, of which the snapshot does not speak. standing, verdict: see
    STANDINGS, VERDICTS. days: from raised to closed, or to `as_at` while open; null where closed before raised.
    unmet, signature: see `with_cause`. incidents is 1; devices is 1 in one row of each Device by
    `as_at`, else 0.
    """
    rows = incidents.group_by("incident_id", "device_key").agg(
        pl.col("raised_at").min(), pl.col("closed_at").max(), merged=pl.len().cast(pl.Int64) - 1
    )
    named = rows.select("device_key").unique().lazy()
    month = pl.col("commissioned_at").dt.strftime("%Y-%m")
    devices = outcomes.select("device_key", *OF_DEVICE, commissioned_month=month)
    devices = devices.join(named, on="device_key", how="semi").collect()
    rows = rows.join(devices, on="device_key", how="left").sort("raised_at", "incident_id")
    is_chf = pl.col("device_type") == CHF
    not_a_chf = pl.when(pl.col("device_type").is_null()).then(pl.lit("not_in_scope")).otherwise(pl.lit("not_a_chf"))
    is_open = pl.col("closed_at").is_null() | (pl.col("closed_at") > as_at)
    until = pl.when(is_open).then(pl.lit(as_at)).otherwise("closed_at")
    days = (until - pl.col("raised_at")).dt.total_microseconds() / DAY_MICROSECONDS
    return rows.with_columns(
        month=pl.col("raised_at").dt.strftime("%Y-%m"),
        is_later=pl.col("raised_at") > as_at,
        standing=pl.when(is_chf).then("reported").otherwise(not_a_chf),
        verdict=pl.when(is_chf).then("actual").otherwise(pl.lit(NO_CHF)),
        is_open=is_open,
        days=pl.when(days >= 0).then(days),
        incidents=pl.lit(1, pl.Int64),
    ).with_columns(
        devices=(~pl.col("is_later") & pl.struct("device_key", "is_later").is_first_distinct()).cast(pl.Int64)
    )


def from_failures(counts: pl.DataFrame) -> pl.DataFrame:
    """The CHFs reported failed in place of Incidents, counted; `month` is that of commissioning, no times are known."""
    failed = counts.filter((pl.col("device_type") == CHF) & (pl.col("reported") == "failed"))
    return failed.with_columns(cs.categorical().cast(pl.String)).with_columns(
        month="commissioned_month", standing="reported", verdict="actual", incidents=pl.col("devices")
    )


def without_incident(rows: pl.DataFrame, counts: pl.DataFrame) -> int:
    """CHFs reported failed of which no Incident speaks; both frames of the same selection."""
    failed = counts.filter((pl.col("device_type") == CHF) & (pl.col("reported") == "failed"))["devices"].sum()
    return failed - rows.filter(pl.col("standing") == "failed")["devices"].sum()


def selected(rows: pl.DataFrame, selection: Selection) -> pl.DataFrame:
    """The Incidents raised by `as_at` about the selected Devices; of a Device not in scope only when nothing is
    filtered, as no filter can tell it."""
    return rows.filter(~pl.col("is_later"), *selection.conditions())


def _split() -> list[pl.Expr]:
    incidents = pl.col("incidents")
    return [incidents.sum().alias("raised")] + [
        incidents.filter(pl.col("verdict") == verdict).sum().alias(verdict) for verdict in VERDICTS
    ]


def _region() -> pl.Expr:
    return pl.col("csp_region").fill_null(NO_REGION)


def in_order(regions: pl.Series) -> list[str]:
    """The regions once each, those of no region last."""
    return sorted(regions.unique(), key=lambda region: (region == NO_REGION, region))


def by_month(rows: pl.DataFrame) -> pl.DataFrame:
    """One row per month and CSP region: Incidents raised, and what the certificates say of the CHF."""
    return rows.group_by("month", csp_region=_region()).agg(_split()).sort("month", "csp_region")


def by_standing(rows: pl.DataFrame) -> pl.DataFrame:
    """One row per standing that there is: Incidents, by what the certificates say of the CHF."""
    order = pl.Enum(STANDINGS)
    return rows.group_by("standing").agg(_split()).sort(pl.col("standing").cast(order))


def by_region(rows: pl.DataFrame) -> pl.DataFrame:
    """One row per CSP region, all of them together last: Incidents raised, by verdict, and the share secure; those
    open, and the median days to close, where times are known."""
    named = rows.with_columns(csp_region=_region())
    groups = [(region, named.filter(pl.col("csp_region") == region)) for region in in_order(named["csp_region"])]
    return pl.concat(_figures(name, group) for name, group in [*groups, (ALL_REGIONS, named)])


def _figures(name: str, rows: pl.DataFrame) -> pl.DataFrame:
    figures = rows.select(pl.lit(name).alias("csp_region"), *_split()).with_columns(**secure_share(rows))
    if "is_open" not in rows.columns:
        return figures
    return figures.with_columns(
        open=pl.lit(rows.filter("is_open").height, pl.Int64),
        **{name: pl.lit(days, pl.Float64) for name, days in median_days(survival(rows)).items()},
    )


def secure_share(rows: pl.DataFrame) -> dict[str, pl.Expr]:
    """Of the CHFs, each counted once, that are reported passed or failed: the share that is secure, with its interval.

    Estimated from those verified, as the actual failure rate is; null where it cannot be.
    """
    judged = rates(rows.filter(pl.col("device_type") == CHF)).row(0, named=True)
    bounds = {
        "secure_share": judged["actual_failure_rate"],
        "secure_low": judged["actual_high"],
        "secure_high": judged["actual_low"],
    }
    return {name: pl.lit(None if rate is None else 1 - rate, pl.Float64) for name, rate in bounds.items()}


def amended(rows: pl.DataFrame) -> pl.DataFrame:
    """`criteria.sets` over the Incidents about CHFs reported failed: newly_passed are those not raised.

    Of a CHF reported passed now the failure that raised the Incident is no longer known, so none is judged.
    """
    failed = rows.filter(pl.col("standing") == "failed")
    return criteria.sets(failed.with_columns(devices="incidents"))


def not_raised(table: pl.DataFrame, chosen: tuple[str, ...], evidence: bool) -> pl.DataFrame:
    """Each amendment alone, the chosen set and all four (sets once each): Incidents not raised, by verdict."""
    wanted = list(dict.fromkeys([*((name,) for name in AMENDMENTS), chosen, AMENDMENTS]))
    rows = [criteria.under(table, one, evidence) for one in wanted if one]
    return pl.DataFrame(
        [
            {
                "amendments": row["amendments"],
                "evidence": evidence,
                "is_chosen": tuple(row["amendments"]) == chosen,
                "not_raised": row["newly_passed"],
                "secure": row["over_reported_removed"],
                "not_secure": row["missed_created"],
                "unverified": row["unverified_passed"],
                "still_raised": row["reported_failures"],
            }
            for row in rows
        ]
    )


# --- time to close -------------------------------------------------------------------------------------------


def survival(rows: pl.DataFrame) -> pl.DataFrame:
    """One row per time at which an Incident was closed, in days: at_risk, closed, and the share still open.

    Kaplan and Meier (1958): an Incident still open counts until `as_at`. The 95 % interval is Greenwood's, on the
    log-minus-log scale. Incidents closed before they were raised have no time and are left out.
    """
    timed = rows.filter(pl.col("days").is_not_null())
    closed, at_risk, share = pl.col("closed"), pl.col("at_risk"), pl.col("still_open")
    steps = (
        timed.group_by("days")
        .agg(closed=(~pl.col("is_open")).sum().cast(pl.Int64), left=pl.len().cast(pl.Int64))
        .sort("days", descending=True)
        .with_columns(at_risk=pl.col("left").cum_sum())
        .filter(closed > 0)
        .sort("days")
        .with_columns(still_open=(1 - closed / at_risk).cum_prod())
    )
    error = (closed / (at_risk * (at_risk - closed))).cum_sum().sqrt() / share.log().abs()
    known = (share > 0) & (share < 1)
    return steps.select(
        "days",
        "at_risk",
        "closed",
        "still_open",
        open_low=pl.when(known).then(share ** (Z95 * error).exp()).otherwise(share),
        open_high=pl.when(known).then(share ** (-Z95 * error).exp()),
    )


def median_days(curve: pl.DataFrame) -> dict[str, float | None]:
    """The days after which half are closed, and the 95 % interval: where the curve's bounds fall to a half (Brookmeyer
    and Crowley 1982). Null where that is not reached."""

    def first(reached: pl.Expr) -> float | None:
        return curve.filter(reached)["days"].min()

    return {
        "median_days": first(pl.col("still_open") <= 0.5),
        "median_low": first(pl.col("open_low") <= 0.5),
        "median_high": first(pl.col("open_high") < 0.5),
    }


def by_day(curve: pl.DataFrame) -> pl.DataFrame:
    """The curve at the end of each whole day on which it falls, from day 0: few enough for a chart and a table."""
    start = pl.DataFrame({"day": [0], "at_risk": [curve["at_risk"].max() or 0], "closed": [0], "still_open": [1.0]})
    steps = (
        curve.group_by(day=pl.col("days").ceil().cast(pl.Int64), maintain_order=True)
        .agg(
            pl.col("at_risk").first(),
            pl.col("closed").sum(),
            pl.col("still_open", "open_low", "open_high").last(),
        )
        .sort("day")
    )
    return pl.concat([start.with_columns(open_low=pl.lit(1.0), open_high=pl.lit(1.0)), steps])
