"""The sections for readers who are not the parties: aggregates only, through the disclosure policy."""

from collections.abc import Callable

import polars as pl

from analysis import report as contents
from analysis import report_parts as parts
from analysis.amendments import passes_under
from analysis.causes import labels
from analysis.disclosure import Sheet, policy, published
from analysis.rates import failures_by_cause, rates
from analysis.report import NONE, Asked, Figure, Section, Source, Table

NOT_SHOWN = "not shown"
TOTAL = "total"
AMENDED = "amended"
# Worked out from what is shown, so guarded as if they were.
COMPLEMENTS = ("reported_passed", "unverified", "keys_not_read")
COUNTS = (
    "due",
    "reported_failures",
    "verified",
    "not_secure",
    "over_reported",
    "confirmed_failures",
    "unverified_failures",
    "missed_failures",
    "device_keys_read",
    *COMPLEMENTS,
)
SUMS = {
    "due": ("reported_failures", "reported_passed"),
    "reported_failures": ("over_reported", "confirmed_failures", "unverified_failures"),
    "not_secure": ("confirmed_failures", "missed_failures"),
}
# The same whole twice needs a name of its own in a dict of sums.
ALSO_DUE = {"verified": "unverified", "device_keys_read": "keys_not_read"}
CAUSE_COUNTS = ("reported_failures", "over_reported", "confirmed_failures", "unverified_failures")


def sections(asked: Asked, given: Source) -> tuple[Section, ...]:
    counts = given.counts.filter(pl.col("commissioned_month") <= asked.month)
    month = counts.filter(pl.col("commissioned_month") == asked.month)
    by = {"device_type": "Device type"} | ({"csp_region": "CSP region"} if asked.audience == contents.PANEL else {})
    shown = published(_sheets(asked, counts, month, by))
    exact = rates(month)
    total = _with_rates(shown[TOTAL], exact.with_columns(group=pl.lit(TOTAL)), "group")
    amended = shown[AMENDED].row(0, named=True)
    causes = _causes(shown["causes"], total["reported_failures"][0])
    cause_title = "Reported failures of the month by cause"
    return (
        _standing(asked, total.row(0, named=True), amended),
        _trend(asked, counts, shown["trend"]),
        Section(
            "Causes",
            parts.cause_sentences(causes),
            (
                Table(
                    "causes", "Reported failures of the month by cause", parts.causes_first(causes), missing=NOT_SHOWN
                ),
            ),
            _cause_figures(cause_title, causes),
        ),
        *(_group(name, column, month, shown[column]) for column, name in by.items()),
        _to_act_on(total.row(0, named=True)),
        parts.how_to_read(asked),
        Section("Small numbers", (policy().in_words(),)),
    )


def _sheets(asked: Asked, counts: pl.DataFrame, month: pl.DataFrame, by: dict[str, str]) -> list[Sheet]:
    month_row = f"{TOTAL}/{TOTAL}"
    recent = counts.filter(pl.col("commissioned_month") >= parts.first_of_trend(asked.month))
    whole = {"total": month_row, "adds_up": {count: count for count in COUNTS}}
    sheets = [
        _rates_sheet(TOTAL, "group", month.with_columns(group=pl.lit(TOTAL))),
        _rates_sheet("trend", "commissioned_month", recent, same_as={asked.month: month_row}),
        *(_rates_sheet(column, column, month, **whole) for column in by),
        Sheet(
            "causes",
            "cause",
            lambda roles: failures_by_cause(month, roles),
            CAUSE_COUNTS,
            "reported_failures",
            sums={"reported_failures": CAUSE_COUNTS[1:]},
            adds_up={count: count for count in CAUSE_COUNTS},
            total=month_row,
        ),
        _amended_sheet(asked, month, month_row),
    ]
    return sheets


def _rates_sheet(name: str, key: str, counts: pl.DataFrame, **rest) -> Sheet:
    sums = SUMS | {f"due/{part}": (part, other) for part, other in ALSO_DUE.items()}
    return Sheet(name, key, _counted(counts, key), COUNTS, "due", sums=sums, **rest)


def _counted(counts: pl.DataFrame, key: str) -> Callable[[tuple[str, ...]], pl.DataFrame]:
    def make(roles: tuple[str, ...]) -> pl.DataFrame:
        table = rates(counts, (key, *roles)).filter(pl.col("due") > 0)
        confirmed = pl.col("not_secure") - pl.col("missed_failures")
        return table.with_columns(
            confirmed_failures=confirmed,
            unverified_failures=pl.col("reported_failures") - pl.col("over_reported") - confirmed,
            reported_passed=pl.col("due") - pl.col("reported_failures"),
            unverified=pl.col("due") - pl.col("verified"),
            keys_not_read=pl.col("due") - pl.col("device_keys_read"),
        )

    return make


def _amended_sheet(asked: Asked, month: pl.DataFrame, month_row: str) -> Sheet:
    """The figures under the set, and what it changes: the difference to those in force is guarded as well."""
    devices, passes = pl.col("devices"), pl.col("passes")
    failed, not_secure = pl.col("reported") == "failed", pl.col("actual") == "not_secure"
    marked = month.with_columns(group=pl.lit(AMENDED), passes=passes_under(asked.accepted, asked.evidence))

    def make(roles: tuple[str, ...]) -> pl.DataFrame:
        of = {
            "due": pl.col("reported").is_in(["passed", "failed"]),
            "reported_failures": failed & ~passes,
            "over_reported": failed & ~passes & (pl.col("actual") == "secure"),
            "missed_failures": ((pl.col("reported") == "passed") | passes) & not_secure,
            "newly_passed": passes,
            "over_removed": passes & (pl.col("actual") == "secure"),
            "missed_created": passes & not_secure,
        }
        sums = [devices.filter(condition).sum().cast(pl.Int64).alias(name) for name, condition in of.items()]
        return marked.group_by("group", *roles).agg(sums)

    counts = (
        "due",
        "reported_failures",
        "over_reported",
        "missed_failures",
        "newly_passed",
        "over_removed",
        "missed_created",
    )
    return Sheet(
        AMENDED,
        "group",
        make,
        counts,
        "due",
        differs={
            "reported_failures": ("reported_failures", "newly_passed", 1),
            "over_reported": ("over_reported", "over_removed", 1),
            "missed_failures": ("missed_failures", "missed_created", -1),
        },
        total=month_row,
    )


def _with_rates(shown: pl.DataFrame, exact: pl.DataFrame, key: str) -> pl.DataFrame:
    """Shares made of the numbers shown; an estimated share as the rounded number of Devices that it stands for."""
    rules, due = policy(), pl.col("due")

    def estimated(name: str) -> pl.Expr:
        number = (pl.col(name) * pl.col("exact_due") / rules.round_to + 0.5).floor() * rules.round_to
        is_known = pl.col("not_secure").is_not_null() & pl.col("verified").is_not_null()
        return pl.when(is_known & (due > 0)).then((number / due).clip(0, 1)).alias(name)

    estimates = ("actual_failure_rate", "actual_low", "actual_high")
    joined = shown.join(
        exact.select(key, *estimates, exact_due="due"), on=key, how="left", maintain_order="left", nulls_equal=True
    )
    share = {
        "reported_failure_rate": "reported_failures",
        "verified_share": "verified",
        "device_keys_read_share": "device_keys_read",
    }
    with_shares = joined.with_columns(
        *(estimated(name) for name in estimates),
        *(pl.when(due > 0).then((pl.col(of) / due).clip(0, 1)).alias(name) for name, of in share.items()),
    )
    return with_shares.select(
        key,
        "due",
        "reported_failures",
        "reported_failure_rate",
        "verified",
        "verified_share",
        "not_secure",
        *estimates,
        "device_keys_read",
        "device_keys_read_share",
        "over_reported",
        "confirmed_failures",
        "unverified_failures",
        "missed_failures",
    )


def _standing(asked: Asked, total: dict, amended: dict) -> Section:
    period, due = contents.month_name(asked.month), total["due"]
    amended_rate = _share(amended["reported_failures"], due)
    now_errors, then_errors = ((row["over_reported"], row["missed_failures"]) for row in (total, amended))
    actual = (total["actual_failure_rate"], total["actual_low"], total["actual_high"])
    rows = [
        ("Criteria in force", due, total["reported_failures"], total["reported_failure_rate"], None, None, *now_errors),
        ("Certificates", due, total["not_secure"], *actual, None, None),
        (parts.set_name(asked), due, amended["reported_failures"], amended_rate, None, None, *then_errors),
    ]
    frame = pl.DataFrame(rows, parts.FIGURES, orient="row").select(pl.lit(period).alias("period"), pl.all())
    said = [
        f"Of {_about(due)} Devices commissioned in {period} and due, "
        f"{parts.percent(total['reported_failure_rate'])} were reported failed; by the certificates on the Devices "
        f"{parts.actual(total['actual_failure_rate'])}.",
        f"Reported failed, yet secure (over-reported): {_about(total['over_reported'])}. Found not secure, yet "
        f"reported passed (missed): {_about(total['missed_failures'])}.",
        f"{parts.percent(total['verified_share'])} of those due could be judged by their certificates; the own keys of "
        f"{parts.percent(total['device_keys_read_share'])} were read, and right Trust Anchor Cells do not prove that a "
        "Device's own keys were replaced.",
        parts.NO_SET
        if not asked.accepted
        else f"{parts.set_name(asked)}. Reported failed would be {_about(amended['reported_failures'])}, over-reported "
        f"{_about(amended['over_reported'])}, missed {_about(amended['missed_failures'])}.",
    ]
    title = "Failures under the criteria in force, by the certificates, and as amended"
    how = f"{parts.RATES_HOW} A dash: does not apply, or is not shown."
    return Section("How things stand", tuple(said), (Table("figures", title, frame, how, NONE),))


def _share(part: int | None, whole: int | None) -> float | None:
    return None if part is None or not whole else min(part / whole, 1)


def _about(number: int | None) -> str:
    return "a number not shown" if number is None else f"about {number:,}" if number else "none"


def _trend(asked: Asked, counts: pl.DataFrame, shown: pl.DataFrame) -> Section:
    frame = _with_rates(shown, rates(counts, ("commissioned_month",)), "commissioned_month")
    title = "Reported and actual failure rate by month of commissioning"
    known = frame.filter(pl.col("reported_failure_rate").is_not_null())
    figures = (Figure("trend", "rates_by_month", title, frame),) if known.height > 1 else ()
    table = Table("trend", title, frame, parts.RATES_HOW, NOT_SHOWN)
    return Section("Trend", parts.trend_sentences(frame), (table,), figures)


def _causes(shown: pl.DataFrame, reported: int | None) -> pl.DataFrame:
    """The share is of all reported failures of the month, those of causes not shown too."""
    label = pl.col("cause").replace_strict(labels(), return_dtype=pl.String)
    share = (pl.col("reported_failures") / reported).clip(0, 1) if reported else pl.lit(None, pl.Float64)
    return shown.with_columns(label=label, share=share)


def _cause_figures(title: str, causes: pl.DataFrame) -> tuple[Figure, ...]:
    """None where no bar would stand: a bar without the parts that are not shown would be told too short."""
    shown = causes.filter(pl.col("reported_failures") > 0)
    return (Figure("causes", "reported_by_cause", f"{title}, as far as shown", shown),) if shown.height else ()


def _group(name: str, column: str, month: pl.DataFrame, shown: pl.DataFrame) -> Section:
    frame = _with_rates(shown, rates(month, (column,)), column)
    return Section(
        f"By {name}",
        (),
        (Table(f"by_{column}", f"Devices commissioned in the month by {name}", frame, parts.RATES_HOW, NOT_SHOWN),),
    )


def _to_act_on(total: dict) -> Section:
    said = (
        f"To be mended by the parties, who have them one by one in their own reports: confirmed failures "
        f"({_about(total['confirmed_failures'])}) and missed failures ({_about(total['missed_failures'])}).",
        f"Over-reported Devices ({_about(total['over_reported'])}) need no visit and no investigation.",
        f"Reported failures that could not be judged ({_about(total['unverified_failures'])}): their certificates are "
        "to be read (SRV 6.24.1) first.",
    )
    return Section("What to act on", said)
