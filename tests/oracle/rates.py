"""Sections 5, 7 and 8: rates with their interval, and causes, by any grouping."""

from math import sqrt
from statistics import NormalDist

CAUSES = ("dcc_credential_handover", "empty_status", "timeout", "change_of_supplier", "unexplained")
Z = NormalDist().inv_cdf(0.975)


def rates(outcomes, by=()):
    return [{**key, **rates_of(group)} for key, group in grouped(outcomes, by)]


def causes(outcomes, by=()):
    """Every reported failure has exactly one `cause`; a cause that explains none has a row of zeros."""
    return [
        {**key, "cause": cause, **failures_of([row for row in group if row["cause"] == cause])}
        for key, group in grouped(outcomes, by)
        for cause in CAUSES
    ]


def grouped(outcomes, by):
    """No grouping gives one row, even of nothing."""
    groups = {} if by else {(): []}
    for row in outcomes:
        groups.setdefault(tuple(value_of(column, row) for column in by), []).append(row)
    return [(dict(zip(by, key, strict=True)), group) for key, group in groups.items()]


def value_of(column, outcome):
    return f"{outcome['commissioned_at']:%Y-%m}" if column == "commissioned_month" else outcome[column]


def failures_of(group):
    findings = [row["finding"] for row in group]
    return {
        "reported_failures": len(group),
        "over_reported": findings.count("over_reported"),
        "confirmed_failures": findings.count("confirmed_failure"),
        "unverified_failures": findings.count("unverified_failure"),
    }


def rates_of(group):
    """`due` = Devices reported passed or failed."""
    due = [row for row in group if row["reported"] in ("passed", "failed")]
    counts = counts_of(due)
    reported_rate = share(counts["reported_failures"], counts["due"])
    actual_rate, low, high = actual_failure_rate(due)
    return {
        **counts,
        "reported_failure_rate": reported_rate,
        "actual_failure_rate": actual_rate,
        "actual_low": low,
        "actual_high": high,
        "over_reporting": None if actual_rate is None else reported_rate - actual_rate,
        "verified_share": share(counts["verified"], counts["due"]),
    }


def counts_of(due):
    return {
        "due": len(due),
        "reported_failures": sum(row["reported"] == "failed" for row in due),
        "verified": sum(is_verified(row) for row in due),
        "not_secure": sum(row["actual"] == "not_secure" for row in due),
        "over_reported": sum(row["finding"] == "over_reported" for row in due),
        "missed_failures": sum(row["finding"] == "missed_failure" for row in due),
    }


def is_verified(outcome):
    """Verified = secure or not_secure."""
    return outcome["actual"] in ("secure", "not_secure")


def share(part, whole):
    """An empty group gives null, never 0 %."""
    return part / whole if whole else None


def actual_failure_rate(due):
    """The rate, its low and its high end; null where a stratum with due Devices has none verified."""
    strata = [counts for counts in (stratum(due, verdict) for verdict in ("passed", "failed")) if counts[0]]
    if not strata or any(verified == 0 for _, verified, _ in strata):
        return None, None, None
    parts = [
        (devices / len(due), not_secure / verified, *wilson(not_secure, verified, devices))
        for devices, verified, not_secure in strata
    ]
    rate = sum(weight * p for weight, p, _, _ in parts)
    return rate, rate - mover(parts, end=2), rate + mover(parts, end=3)


def stratum(due, verdict):
    rows = [row for row in due if row["reported"] == verdict]
    not_secure = sum(row["actual"] == "not_secure" for row in rows)
    return len(rows), sum(is_verified(row) for row in rows), not_secure


def mover(parts, end):
    """The distance from the rate to one end (Zou & Donner 2008)."""
    return sqrt(sum((part[0] * (part[1] - part[end])) ** 2 for part in parts))


def wilson(events, n, population):
    """Wilson with the effective size n(N-1)/(N-n); exact when n = N."""
    p = events / n
    if n == population:
        return p, p
    size = n * (population - 1) / (population - n)
    centre = (p + Z**2 / (2 * size)) / (1 + Z**2 / size)
    half = Z / (1 + Z**2 / size) * sqrt(p * (1 - p) / size + Z**2 / (4 * size**2))
    return centre - half, centre + half
