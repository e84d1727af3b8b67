"""Numbers and names in words, the same on every page."""

from datetime import datetime
from functools import cache

import polars as pl

from analysis.views import months_over
from data.marts import Snapshot

NO_BREAK = "\u00a0"
NO_RATE = "no rate"
DAMAGED = "The snapshot is damaged, so nothing of it is shown here. Ask the operator to run `pco snapshots verify`."

DIMENSIONS = {
    "supplier_at_commissioning": "Supplier at commissioning",
    "supplier": "Present Supplier",
    "network_operator": "Network operator",
    "csp_region": "CSP region",
    "manufacturer": "Manufacturer",
    "model": "Model",
}
# Column of a frame -> its heading where a person reads it.
HEADINGS = {
    "commissioned_month": "Month of commissioning",
    "name": "Name",
    "device_id": "Device",
    "csp_region": "CSP region",
    "due": "Devices due",
    "reported_failures": "Reported failed",
    "verified": "Verified",
    "not_secure": "Found not secure",
    "over_reported": "Over-reported",
    "missed_failures": "Missed failures",
    "confirmed_failures": "Confirmed failures",
    "unverified_failures": "Unverified failures",
    "reported_failure_rate": "Reported failure rate",
    "actual_failure_rate": "Actual failure rate",
    "actual_low": "Actual, 95 % low",
    "actual_high": "Actual, 95 % high",
    "over_reporting": "Over-reporting",
    "verified_share": "Verified share",
    "device_keys_read": "Device keys read",
    "device_keys_read_share": "Device keys read, share",
    "label": "Cause",
    "share": "Share of reported failures",
    "share_of_due": "Share of Devices due",
    "step": "Step",
    "devices": "Devices",
    "together": "Causes together",
    "quarter": "Quarter of commissioning",
    "overall_rate": "Rate of all together",
    "standing": "Stands",
    "low_95": "95 % limit, low",
    "high_95": "95 % limit, high",
    "low_998": "99.8 % limit, low",
    "high_998": "99.8 % limit, high",
    "peers": "Peers compared",
    "decile_1": "Peers, 10 % lie below",
    "decile_2": "Peers, 20 % lie below",
    "decile_3": "Peers, 30 % lie below",
    "decile_4": "Peers, 40 % lie below",
    "decile_5": "Peers, median",
    "decile_6": "Peers, 60 % lie below",
    "decile_7": "Peers, 70 % lie below",
    "decile_8": "Peers, 80 % lie below",
    "decile_9": "Peers, 90 % lie below",
    "newly_passed": "Would newly pass",
    "over_reported_removed": "Over-reported removed",
    "missed_created": "Missed failures created",
    "unverified_passed": "Pass unverified",
    "on_frontier": "On the frontier",
    "in_set": "In the set",
    "alone": "Alone, Devices",
    "in_order": "In the chosen order, Devices",
    "shapley": "Shapley share, Devices",
    "evidence": "Evidence asked for",
    "month": "Month",
    "raised": "Incidents",
    "secure": "CHF secure",
    "unverified": "Not verified",
    "no_chf": "No CHF in scope",
    "secure_share": "CHFs secure, share",
    "secure_low": "Secure, 95 % low",
    "secure_high": "Secure, 95 % high",
    "open": "Still open",
    "median_days": "Median days to close",
    "median_low": "Median, 95 % low",
    "median_high": "Median, 95 % high",
    "day": "Days since raised",
    "at_risk": "Open so long or longer",
    "closed": "Closed",
    "still_open": "Share still open",
    "open_low": "Open, 95 % low",
    "open_high": "Open, 95 % high",
    "not_raised": "Not raised",
    "still_raised": "Still raised",
    "earlier_share": "Share of due, the 12 months before",
    "recent_share": "Share of due, last 12 months",
    "change": "Change",
    "most_affected": "Parties most affected",
    "resolves": "What would resolve it",
    "as_at": "As at",
    "superseded": "Built again since",
    "finding_before": "Finding before",
    "finding_now": "Finding now",
    "commissioned": "Commissioned",
}
SHARES = {
    "reported_failure_rate",
    "actual_failure_rate",
    "actual_low",
    "actual_high",
    "over_reporting",
    "verified_share",
    "device_keys_read_share",
    "share",
    "share_of_due",
    "overall_rate",
    "low_95",
    "high_95",
    "low_998",
    "high_998",
    *(f"decile_{tenth}" for tenth in range(1, 10)),
    "secure_share",
    "secure_low",
    "secure_high",
    "still_open",
    "open_low",
    "open_high",
    "earlier_share",
    "recent_share",
    "change",
}


def percent(share: float | None, decimals: int = 1) -> str:
    """A share as a percentage; an unknown one is never 0 %."""
    return NO_RATE if share is None else f"{share:.{decimals}%}".replace("%", f"{NO_BREAK}%")


def count(number: int) -> str:
    return f"{number:,}"


def devices(number: int) -> str:
    return f"{number:,} Device{'' if number == 1 else 's'}"


def moment(iso: str) -> str:
    """An ISO time of a manifest as a person reads it, in UTC."""
    return f"{datetime.fromisoformat(iso):%-d %B %Y, %H:%M} UTC"


@cache
def month(text: str) -> str:
    """`2021-08` as August 2021."""
    return f"{datetime.strptime(text, '%Y-%m'):%B %Y}"


def headline(overall: dict) -> str:
    """`7.0 % reported, 1.0 % actual`."""
    reported, actual = overall["reported_failure_rate"], overall["actual_failure_rate"]
    return f"{percent(reported)} reported, {'actual not known' if actual is None else percent(actual) + ' actual'}"


def overview_sentence(overall: dict) -> str:
    """How bad it is, in a few sentences written from the counts of `rates`."""
    reported = (
        f"Of {devices(overall['due'])} due, **{count(overall['reported_failures'])} were reported failed**. "
        f"{count(overall['verified'])} of the Devices due ({percent(overall['verified_share'])}) could be judged by "
        "their certificates"
    )
    if overall["actual_failure_rate"] is None:
        return f"{reported}, too few to say how many truly are not secure."
    estimate = round(overall["actual_failure_rate"] * overall["due"])
    low, high = percent(overall["actual_low"], 2), percent(overall["actual_high"], 2)
    return (
        f"{reported}: {count(overall['not_secure'])} of those are not secure, which makes "
        f"**about {count(estimate)} of all Devices due** (95{NO_BREAK}% interval {low} to {high}). "
        f"{count(overall['missed_failures'])} of those found were reported passed."
    )


def tolerance_title(months: pl.DataFrame, tolerance: float) -> str:
    """Which series is over the tolerance, and when; `months` is the frame by month of commissioning."""
    reported = months_over(months, "reported_failure_rate", tolerance)
    actual = months_over(months, "actual_failure_rate", tolerance)
    known = months["actual_failure_rate"].drop_nulls().len()
    of_known = f"in {len(actual)} of the {known} in which they are known" if known else "are not known"
    if known == months.height:
        of_known = f"in {len(actual)}"
    return (
        f"Reported failures are over the tolerance of {percent(tolerance)} in {len(reported)} of "
        f"{months.height} months, actual failures {of_known}"
    )


def parties_title(table: pl.DataFrame, dimension: str) -> str:
    """For how many the gap is beyond chance: naming the highest would name whoever is smallest."""
    known = table.filter(pl.col("actual_high").is_not_null())
    apart = known.filter(pl.col("reported_failure_rate") > pl.col("actual_high")).height
    whose = "" if known.height == table.height else " whose actual rate is known"
    return (
        f"By {DIMENSIONS[dimension]}: in {apart} of {known.height}{whose} the reported rate lies above "
        "the whole interval of the actual rate"
    )


def cause_numbers(row: dict) -> str:
    """One cause's failures by what the certificates say."""
    return (
        f"**{devices(row['reported_failures'])}** ({percent(row['share'])} of reported failures): "
        f"{count(row['over_reported'])} with the right certificates, {count(row['confirmed_failures'])} not secure, "
        f"{count(row['unverified_failures'])} not verified."
    )


def snapshot_sentence(snapshot: Snapshot, kept: list[Snapshot]) -> str:
    """Which snapshot, as at when, how fresh, and which others are kept."""
    manifest = snapshot.manifest
    given = "as asked for" if manifest["as_at_is_given"] else "the latest time in the extracts"
    others = ", ".join(str(one.number) for one in kept if one.number != snapshot.number)
    return (
        f"Snapshot **{snapshot.number}** speaks of **{moment(manifest['as_at'])}** ({given}) and was built "
        f"{moment(manifest['build_finished_at'])}; {devices(snapshot.rows('outcomes'))} are in scope, with a grace "
        f"period of {manifest['grace_days']} days. "
        + (f"Also kept: {others}." if others else "It is the only one kept.")
    )
