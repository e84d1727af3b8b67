"""Rates by report (one point a snapshot), and which parties' Devices stopped coming."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import polars as pl

from analysis.rates import rates
from analysis.selection import added_up

# What a report is filtered by and its rates are made of: far fewer rows than the counts have.
TALLIED_BY = (
    "commissioned_month",
    "device_type",
    "csp_region",
    "supplier_at_commissioning",
    "supplier",
    "network_operator",
    "reported",
    "actual",
    "finding",
    "device_keys",
)
# The latest reports that a chart shows.
MOST_REPORTS = 12
# A party that had so many Devices a month over so many months is expected to have some in the next.
EXPECTED, MONTHS_BEFORE = 20, 6
STOPPED, RESUMED = "stopped", "resumed"


def tally(counts: pl.LazyFrame) -> pl.DataFrame:
    """A snapshot's counts by no more than a report of rates needs."""
    return counts.group_by(TALLIED_BY).agg(pl.col("devices").sum()).collect()


def is_same_estate(shared: int, one: int, other: int) -> bool:
    """Whether two snapshots of so many Devices are of one estate: at least half of the smaller are in both."""
    return 2 * shared >= min(one, other) > 0


@dataclass(frozen=True)
class Report:
    """One snapshot's counts of the Devices that a page speaks of."""

    number: int
    as_at: datetime
    built: datetime
    grace_days: int
    counts: pl.DataFrame


def by_report(reports: list[Report]) -> pl.DataFrame:
    """One row a report, by as_at and number: its rates; `superseded` where another of the same as_at came later."""
    told = pl.concat(
        # Few rows first: rates filter them a dozen times.
        rates(report.counts.group_by("reported", "actual", "device_keys").agg(pl.col("devices").sum())).select(
            pl.lit(report.number).alias("snapshot"),
            pl.lit(report.as_at).alias("as_at"),
            pl.lit(report.built).alias("built"),
            pl.lit(report.grace_days).alias("grace_days"),
            pl.all(),
        )
        for report in reports
    )
    last = pl.col("snapshot").max().over("as_at")
    return told.with_columns(superseded=pl.col("snapshot") < last).sort("as_at", "snapshot")


def last_month_all_due(counts: pl.DataFrame) -> str | None:
    """The latest month of commissioning with Devices due and none still in its grace period."""
    is_due = pl.col("reported") != "not_due"
    months = (
        added_up(counts, "commissioned_month", "reported")
        .group_by("commissioned_month")
        .agg(due=pl.col("devices").filter(is_due).sum(), not_due=pl.col("devices").filter(~is_due).sum())
    )
    return months.filter(pl.col("due") > 0, pl.col("not_due") == 0)["commissioned_month"].max()


def runs(months: list[str]) -> list[tuple[str, str, int]]:
    """Months (`YYYY-MM`, sorted) as runs of the calendar: first, last, how many."""
    found: list[tuple[str, str, int]] = []
    for month in months:
        if found and _number(month) == _number(found[-1][1]) + 1:
            first, _, length = found.pop()
            found.append((first, month, length + 1))
        else:
            found.append((month, month, 1))
    return found


def by_party_and_month(counts: pl.DataFrame, column: str, names: dict[str, str]) -> pl.DataFrame:
    """One row per party and month of commissioning that has Devices: commissioned, due, verified, verified_share."""
    is_due, is_verified = pl.col("reported") != "not_due", pl.col("actual") != "unverified"
    devices = pl.col("devices")
    few = added_up(counts, column, "commissioned_month", "reported", "actual")
    table = few.group_by(column, "commissioned_month").agg(
        commissioned=devices.sum().cast(pl.Int64),
        due=devices.filter(is_due).sum().cast(pl.Int64),
        verified=devices.filter(is_due & is_verified).sum().cast(pl.Int64),
    )
    name = pl.col(column).replace(names).fill_null("not recorded")
    share = pl.when(pl.col("due") > 0).then(pl.col("verified") / pl.col("due"))
    return (
        table.select(pl.col(column).alias("party"), name.alias("name"), pl.exclude(column))
        .with_columns(verified_share=share)
        .sort("name", "commissioned_month")
    )


def complete_months(first: str, as_at: datetime) -> list[str]:
    """The months from the first up to the last of which no day was still to come at as_at."""
    tomorrow = as_at.date() + timedelta(days=1)
    return [_month(number) for number in range(_number(first), _number(f"{tomorrow:%Y-%m}"))]


def silences(table: pl.DataFrame, months: list[str]) -> pl.DataFrame:
    """One row per party and run of months without any Device commissioned where EXPECTED a month had been usual.

    table: of `by_party_and_month`; months: those judged, without a gap. last_with_devices: the month before the run;
    usual: its mean over the MONTHS_BEFORE months before the run; standing: stopped where the run is still going on.
    """
    schema = {
        "party": pl.String,
        "name": pl.String,
        "standing": pl.String,
        "last_with_devices": pl.String,
        "usual": pl.Float64,
        "silent_from": pl.String,
        "silent_to": pl.String,
        "silent_months": pl.Int64,
    }
    found = []
    known = table.filter(pl.col("party").is_not_null())
    of_parties = known.group_by("party", "name").agg("commissioned_month", "commissioned")
    for party, name, own_months, commissioned in of_parties.rows():
        of_month = dict(zip(own_months, commissioned, strict=True))
        numbers = [of_month.get(month, 0) for month in months]
        found += [(party, name, *silence) for silence in _silences_of(months, numbers)]
    return pl.DataFrame(found, schema, orient="row").sort("standing", "usual", "name", descending=[True, True, False])


def _silences_of(months: list[str], numbers: list[int]) -> list[tuple]:
    found, place = [], MONTHS_BEFORE
    while place < len(months):
        usual = sum(numbers[place - MONTHS_BEFORE : place]) / MONTHS_BEFORE
        if numbers[place] or usual < EXPECTED:
            place += 1
            continue
        end = next((later for later in range(place, len(months)) if numbers[later]), len(months))
        standing = STOPPED if end == len(months) else RESUMED
        found.append((standing, months[place - 1], usual, months[place], months[end - 1], end - place))
        place = end
    return found


def _number(month: str) -> int:
    parsed = date.fromisoformat(f"{month}-01")
    return parsed.year * 12 + parsed.month - 1


def _month(number: int) -> str:
    return f"{number // 12:04d}-{number % 12 + 1:02d}"
