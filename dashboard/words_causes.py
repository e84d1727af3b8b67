"""The sentences of the Causes page's list of deviations and of what is left out of it."""

import polars as pl

from analysis.causes import UNEXPLAINED, causes, label_of, unexplained
from dashboard.words import DIMENSIONS, NO_BREAK, count, devices, percent

PC = f"{NO_BREAK}%"
SCENARIO = (
    "A scenario: each switch leaves the failures of one cause out of the reported failures. Devices due stay the same. "
    "A Device goes by its one cause, whatever else is wrong with it, and nobody looks at its certificates. **That is "
    "not an amendment to the criteria**: under one, *every* check that was not met must have a reason that is "
    "accepted, and certificate evidence can be asked for. See *Criteria* in the menu for that."
)
LIST_HOW = (
    "Trend: share of the Devices due that were commissioned in the last 12 months that have any, beside the 12 before; "
    "all small charts are on one scale, which a month with few Devices due may leave. A Change of Supplier comes with "
    "time, so Devices commissioned of late have had less of it. Parties most affected: those whose share of Devices "
    f"due failed for the cause is above the upper 99.8{PC} limit of chance around the share of all together, at most "
    "three, the highest first. Chance is all that the limit allows for: ask what differs before asking who."
)


def resolves(cause: str) -> str:
    """What would resolve it; of the unexplained, what to do first."""
    known = {one.name: one.resolves for one in causes()}
    return known.get(cause) or "Not known: look into these Devices first, one by one."


def meaning(cause: str) -> str:
    """What the cause is, what would resolve it, and where the criteria stand."""
    if cause == UNEXPLAINED:
        return f"{unexplained()['says']}\n\n*What would resolve it:* {resolves(cause)}"
    one = next(one for one in causes() if one.name == cause)
    return f"{one.says}\n\n*What would resolve it:* {one.resolves}\n\n*Criteria:* {one.clause}."


def example(cause: str) -> str | None:
    return next((f"Fits: {one.fits} Does not fit: {one.does_not_fit}" for one in causes() if one.name == cause), None)


def trend(row: dict) -> str:
    """How the share of Devices due has moved."""
    if row["change"] is None:
        return "*Trend:* not known, as the period does not hold 24 months."
    return (
        f"*Trend:* {percent(row['earlier_share'], 2)} of Devices due in the 12 months before, "
        f"{percent(row['recent_share'], 2)} in the last 12 ({points(row['change'])})."
    )


def points(change: float) -> str:
    """A difference of two shares in percentage points."""
    return f"{100 * change:+.2f} percentage points".replace("-", "\u2212")


def affected(rows: pl.DataFrame, role: str, names: dict[str, str]) -> str:
    """The parties above the limit of chance, or that there is none."""
    if rows.is_empty():
        return f"*{DIMENSIONS[role]} most affected:* none stands out beyond chance."
    return f"*{DIMENSIONS[role]} most affected:* {parties(rows, role, names)}."


def parties(rows: pl.DataFrame, role: str, names: dict[str, str]) -> str:
    return "; ".join(
        f"{names.get(row[role], row[role])} {percent(row['share_of_due'])} "
        f"({count(row['failures'])} of {count(row['due'])} due)"
        for row in rows.to_dicts()
    )


def scenario_headline(now: dict, then: dict, left_out: tuple[str, ...]) -> str:
    before = f"{percent(now['reported_failure_rate'])} ({count(now['reported_failures'])} of {count(now['due'])} due)"
    if not left_out:
        return f"Nothing left out: {before} reported failed"
    return (
        f"Without {' and '.join(map(label_of, left_out))}: {percent(then['reported_failure_rate'])} "
        f"({count(then['reported_failures'])} of {count(then['due'])} due) reported failed, not {before}"
    )


def scenario_metrics(now: dict, then: dict) -> list[tuple[str, str, str]]:
    """Name, number, and what it is measured against."""
    return [
        (
            "Reported failure rate",
            percent(then["reported_failure_rate"]),
            f"nothing left out {percent(now['reported_failure_rate'])}",
        ),
        ("Over-reported left", count(then["over_reported"]), f"nothing left out {count(now['over_reported'])}"),
        ("Confirmed failures hidden", count(then["hidden"]), f"of {count(now['confirmed_failures'])} reported"),
        ("Missed failures", count(then["missed_failures"] + then["hidden"]), _beside(now, then)),
    ]


def _beside(now: dict, then: dict) -> str:
    return f"{count(now['missed_failures'])} as it is, {count(then['hidden'])} hidden"


def scenario_sentence(then: dict) -> str:
    """What becomes of those left out, by what the certificates say."""
    return (
        f"**{devices(then['left_out'])}** would no longer be reported failed: **{count(then['removed'])}** are secure, "
        f"so false alarms; **{count(then['hidden'])}** are not secure, so true failures that the report would hide; "
        f"{count(then['unverified_left_out'])} were not verified."
    )


def listed(table: pl.DataFrame, found: pl.DataFrame, role: str, names: dict[str, str]) -> pl.DataFrame:
    """The list of deviations as a table, a row a cause."""
    by_cause = [found.filter(pl.col("cause") == cause) for cause in table["cause"]]
    return table.select(
        "label",
        "reported_failures",
        "share",
        "over_reported",
        "confirmed_failures",
        "unverified_failures",
        "earlier_share",
        "recent_share",
        "change",
        pl.Series("most_affected", [parties(rows, role, names) for rows in by_cause], pl.String),
        pl.Series("resolves", [resolves(cause) for cause in table["cause"]], pl.String),
    )
