"""The counts that readers who are not the parties may have: through the disclosure policy, once, before any page.

What pages show is sums of these rows and nothing else, so charts, tooltips, tables, files and alternative text are
within the policy by construction. A row is a group of Devices alike in everything kept; it is published when it has
enough Devices of enough parties and none has too much of it, and then rounded. Devices of groups too small are told
together with fewer of their properties (region, then Device type, then the rarer combinations of causes), and left
out when even that is too small. Totals are sums of rounded rows: no exact number is ever told, so no difference of
two numbers tells one. Periods are as short as they can be with few Devices left out.
"""

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from analysis.case_volumes import window
from analysis.disclosure import Policy, policy
from analysis.selection import Selection

NOT_TOLD = "Not told apart"
OUTCOME = ("reported", "actual", "finding", "device_keys", "cause", "causes", "unmet", "signature")
WHERE = ("device_type", "csp_region")
# Not in any row: who a Device belongs to, and which make it is.
LEFT_OUT = ("supplier_at_commissioning", "supplier", "network_operator", "manufacturer", "model")
# Months that a period has, the shortest first; the last is taken whatever it leaves out.
PERIODS = (1, 3, 6, 12)
MOST_LEFT_OUT, MOST_FAILURES_LEFT_OUT = 0.01, 0.02
# What a rare combination shares with the frequent one among which it is counted, the closest first.
ALIKE = (("reported", "actual", "cause", "device_keys"), ("reported", "actual", "cause"))


@dataclass(frozen=True)
class Protected:
    """counts: in the columns of a snapshot's counts. months: in a period. Shares of Devices, and of those reported
    failed, that are in no row."""

    counts: pl.DataFrame
    months: int
    left_out: float
    failures_left_out: float

    def in_words(self, rules: Policy | None = None) -> str:
        rules = rules or policy()
        period = "month" if self.months == 1 else f"period of {self.months} months, told under its first month"
        return (
            f"Aggregates through the disclosure policy: a group of Devices is told from {rules.fewest_devices} Devices "
            f"and {rules.fewest_parties} parties on, where none has more than {rules.dominance:.0%}, rounded to "
            f"{rules.round_to}; sums are of rounded numbers. By {period} of commissioning. {self.left_out:.1%} of all "
            f"Devices and {self.failures_left_out:.1%} of those reported failed are in groups too small and are in no "
            "number."
        ).replace("%", "\u00a0%")


def protected(counts: pl.DataFrame, as_at: datetime, grace_days: int, rules: Policy | None = None) -> Protected:
    """The counts of a published snapshot for readers who are not the parties."""
    rules = rules or policy()
    told = None
    for months in PERIODS:
        told = _told(counts, as_at, grace_days, months, rules)
        if told.left_out <= MOST_LEFT_OUT and told.failures_left_out <= MOST_FAILURES_LEFT_OUT:
            break
    return told


def _told(counts: pl.DataFrame, as_at: datetime, grace_days: int, months: int, rules: Policy) -> Protected:
    few = counts.group_by("commissioned_month", *WHERE, *OUTCOME, *rules.party_roles).agg(pl.col("devices").sum())
    rest = few.with_columns(commissioned_month=_period(few["commissioned_month"], as_at, grace_days, months))
    published = []
    for columns in ((), ("csp_region",), WHERE):
        rest = rest.with_columns(pl.lit(NOT_TOLD).alias(name) for name in columns)
        shown, rest = _parted(rest, rules)
        published.append(shown)
    for alike in ALIKE:
        rest = _among_the_frequent(rest, pl.concat(published), alike)
        shown, rest = _parted(rest, rules)
        published.append(shown)
    rows = pl.concat(published).group_by("commissioned_month", *WHERE, *OUTCOME).agg(pl.col("devices").sum())
    rows = rows.with_columns(pl.lit(None, counts.schema[name]).alias(name) for name in LEFT_OUT)
    is_failed = pl.col("reported") == "failed"
    return Protected(
        rows.select(counts.columns).sort(pl.all()),
        months,
        _share(rest, few),
        _share(rest.filter(is_failed), few.filter(is_failed)),
    )


def _share(rest: pl.DataFrame, whole: pl.DataFrame) -> float:
    return rest["devices"].sum() / max(whole["devices"].sum(), 1)


def _period(column: pl.Series, as_at: datetime, grace_days: int, months: int) -> pl.Series:
    """Each month's period by its first month; periods end with the last month that is wholly due."""
    present = sorted(column.unique())
    if months == 1 or not present:
        return column
    found = window(as_at, grace_days, present[0], Selection())
    last = _number(found.last) if found else _number(present[-1])
    first_of = {month: max(last + 1 - months * (1 + (last - _number(month)) // months), 0) for month in present}
    names = {month: max(_name(number), present[0]) for month, number in first_of.items()}
    return column.replace_strict(names, return_dtype=pl.String)


def _number(month: str) -> int:
    return 12 * int(month[:4]) + int(month[5:]) - 1


def _name(number: int) -> str:
    return f"{number // 12:04d}-{number % 12 + 1:02d}"


def _parted(rest: pl.DataFrame, rules: Policy) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The groups that may be told, rounded, and the rows (by party) of the others."""
    by = ["commissioned_month", *WHERE, *OUTCOME]
    sizes = rest.group_by(by).agg(pl.col("devices").sum())
    may = pl.col("devices") >= max(rules.fewest_devices, rules.threshold)
    for role in rules.party_roles:
        of_party = rest.group_by(*by, role).agg(pl.col("devices").sum())
        told = of_party.group_by(by).agg(
            pl.col(role).is_not_null().sum().alias(f"parties {role}"),
            pl.col("devices").max().alias(f"largest {role}"),
        )
        sizes = sizes.join(told, on=by, nulls_equal=True)
        may &= pl.col(f"parties {role}") >= rules.fewest_parties
        may &= pl.col(f"largest {role}") <= rules.dominance * pl.col("devices")
    shown = sizes.filter(may)
    rounded = (pl.col("devices") / rules.round_to + 0.5).floor().cast(pl.Int64) * rules.round_to
    return shown.select(*by, rounded), rest.join(shown.select(by), on=by, how="anti", nulls_equal=True)


def _among_the_frequent(rest: pl.DataFrame, published: pl.DataFrame, alike: tuple[str, ...]) -> pl.DataFrame:
    """Rows with the outcome of the most frequent published group that is alike; as they are where there is none."""
    others = [name for name in OUTCOME if name not in alike]
    frequent = (
        published.group_by(OUTCOME)
        .agg(pl.col("devices").sum())
        .sort("devices", *OUTCOME, descending=[True] + [False] * len(OUTCOME))
        .unique(alike, keep="first", maintain_order=True)
    )
    joined = rest.join(
        frequent.select(*alike, *(pl.col(name).alias(f"of {name}") for name in others), is_found=pl.lit(True)),
        on=alike,
        how="left",
        nulls_equal=True,
    )
    return joined.with_columns(
        pl.when("is_found").then(pl.col(f"of {name}")).otherwise(pl.col(name)).alias(name) for name in others
    ).select(rest.columns)
