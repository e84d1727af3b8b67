"""How many Devices a year the business case is about: from the snapshot's last whole months, openly annualised."""

from calendar import monthrange
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from analysis import criteria
from analysis.amendments import passes_under
from analysis.selection import Selection

MONTHS = 12
CHF = "CHF"
NO_PARTY = "Not recorded"
KIND = ("device_type", "party_type", "cause")
# What the counts are to tell apart, beside how Devices stand.
COUNTED_BY = ("device_type", "supplier", "commissioned_month")
COUNTED = ("reported_failures", "over_reported", "still_over_reported", "missed_created", "unverified_passed")


@dataclass(frozen=True)
class Window:
    """Months of commissioning, `YYYY-MM`, both included, all of whose Devices are due; `months` of them, at most 12."""

    first: str
    last: str
    months: int

    @property
    def to_a_year(self) -> float:
        return MONTHS / self.months


def window(as_at: datetime, grace_days: int, first_month: str, selection: Selection) -> Window | None:
    """The last 12 months wholly due by `as_at`, within the filter's period; fewer where there are not so many.

    first_month: the first of the estate. None when no month is wholly due.
    """
    first = max(first_month, selection.first_month or first_month)
    last = f"{as_at:%Y-%m}"
    while not _is_wholly_due(last, as_at, grace_days):
        last = _shifted(last, -1)
    last = min(last, selection.last_month or last)
    if last < first:
        return None
    first = max(first, _shifted(last, 1 - MONTHS))
    return Window(first, last, _number(last) - _number(first) + 1)


def _is_wholly_due(month: str, as_at: datetime, grace_days: int) -> bool:
    year, number = int(month[:4]), int(month[5:])
    end = datetime(year, number, monthrange(year, number)[1]) + timedelta(days=1 + grace_days)
    return end <= as_at.replace(tzinfo=None)


def _number(month: str) -> int:
    return 12 * int(month[:4]) + int(month[5:]) - 1


def _shifted(month: str, by: int) -> str:
    year, place = divmod(_number(month) + by, 12)
    return f"{year:04d}-{place + 1:02d}"


def of_window(counts: pl.DataFrame, months: Window) -> pl.DataFrame:
    return counts.filter(pl.col("commissioned_month").is_between(pl.lit(months.first), pl.lit(months.last)))


def due(counts: pl.DataFrame) -> int:
    """Devices reported passed or failed."""
    return counts.filter(pl.col("reported").is_in(["passed", "failed"]))["devices"].sum()


def party_types(parties: pl.DataFrame) -> dict[str, str]:
    """Party id -> category, of the parties extract."""
    return dict(parties.group_by("party_id").agg(pl.col("category").min()).rows())


def kinds(counts: pl.DataFrame, categories: dict[str, str], chosen: tuple[str, ...], evidence: bool) -> pl.DataFrame:
    """One row per Device type, type of the present Supplier and cause: Devices reported failed, in the window.

    over_reported: certificates right. Under the set: still_over_reported, missed_created, unverified_passed.
    """
    failed = counts.filter(pl.col("reported") == "failed")
    passes, actual, devices = passes_under(chosen, evidence), pl.col("actual"), pl.col("devices")
    condensed = failed.group_by("device_type", "supplier", "cause", "reported", "actual", "unmet", "signature").agg(
        devices.sum()
    )
    party = pl.col("supplier").replace_strict(categories, default=NO_PARTY, return_dtype=pl.String)
    return (
        condensed.with_columns(party_type=party, passes=passes)
        .group_by(KIND)
        .agg(
            reported_failures=devices.sum(),
            over_reported=devices.filter(actual == "secure").sum(),
            still_over_reported=devices.filter((actual == "secure") & ~pl.col("passes")).sum(),
            missed_created=devices.filter((actual == "not_secure") & pl.col("passes")).sum(),
            unverified_passed=devices.filter((actual == "unverified") & pl.col("passes")).sum(),
        )
        .with_columns(pl.col(COUNTED).cast(pl.Int64))
        .sort(KIND)
    )


def all_sets(counts: pl.DataFrame) -> pl.DataFrame:
    """`criteria.sets` of the window, with over_reported and over_reported_removed of CHFs beside those of all."""
    of_hubs = criteria.sets(counts.filter(pl.col("device_type") == CHF))
    columns = ("over_reported", "over_reported_removed")
    hubs = of_hubs.select("amendments", "evidence", *(pl.col(name).alias(f"{name}_chf") for name in columns))
    return criteria.sets(counts).join(hubs, on=("amendments", "evidence"), maintain_order="left")
