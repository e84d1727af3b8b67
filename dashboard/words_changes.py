"""The sentences about months over the tolerance, reports, and what changed between two."""

import polars as pl

from analysis.changes import ABSENT, KINDS, MENDED, NEWLY_MISSED, NEWLY_NOT_SECURE, OUT_OF_SIGHT
from analysis.reporting import MOST_REPORTS, runs
from analysis.views import months_over
from dashboard.words import count, devices, moment, month, percent
from data.marts import Snapshot

REPORTS_HOW = (
    "One point a kept snapshot of this estate, under the filters of the page; reported: Devices reported failed of "
    "Devices due; actual: estimated, with its 95 % interval. A later report speaks of more Devices, as more are due."
)
MATRIX_HOW = (
    "Each Device of the two snapshots once: its finding before, its finding now. Filters go by what the later says of "
    "a Device, of one that left by what the earlier said."
)
# Kind of change -> what follows `1 Device`, and what follows `2 Devices`.
MEANS = {
    NEWLY_MISSED: (
        "became a missed failure: the report says pass, the certificates say no",
        "became missed failures: the report says pass, the certificates say no",
    ),
    NEWLY_NOT_SECURE: (
        "is newly found not secure, and is reported failed",
        "are newly found not secure, and are reported failed",
    ),
    OUT_OF_SIGHT: (
        "was not secure and is gone, or can no longer be judged: nothing shows that it was put right",
        "were not secure and are gone, or can no longer be judged: nothing shows that they were put right",
    ),
    MENDED: (
        "was not secure and is put right, or was missed and is reported now",
        "were not secure and are put right, or were missed and are reported now",
    ),
}
KIND_NAMES = dict(
    zip(
        KINDS,
        ("newly missed", "newly not secure", "out of sight", "put right or reported now", "other", "unchanged"),
        strict=True,
    )
)


def last_month(row: dict) -> str:
    """`In July 2021 ...`: the seed's own sentence, of one month of commissioning (a row of `rates`)."""
    said = (
        f"Of the {devices(row['due'])} commissioned in {month(row['commissioned_month'])}, "
        f"{count(row['reported_failures'])} were reported failed; "
    )
    if row["actual_failure_rate"] is None:
        return said + "how many are, the certificates that were read cannot say."
    return said + f"the certificates say about {count(round(row['actual_failure_rate'] * row['due']))} are."


def breaches(months: pl.DataFrame, tolerance: float) -> str:
    """The months in which each series is over the tolerance, as a list; `months` is the frame by month."""
    reported = months_over(months, "reported_failure_rate", tolerance)
    actual = months_over(months, "actual_failure_rate", tolerance)
    certain = months_over(months, "actual_low", tolerance)
    beyond = (
        f" The whole 95 % interval is over it in {len(certain)} of these: {in_runs(certain)}."
        if certain
        else " In none of these is the whole 95 % interval over it."
    )
    return (
        f"Months of commissioning over the tolerance of {percent(tolerance)}:\n"
        f"* **Reported** ({len(reported)}): {in_runs(reported)}.\n"
        f"* **Actual** ({len(actual)}): {in_runs(actual)}.{beyond if actual else ''}"
    )


def in_runs(months: list[str]) -> str:
    """`May 2018, July 2018 to August 2021`, or none."""
    told = [month(first) if length == 1 else f"{month(first)} to {month(last)}" for first, last, length in runs(months)]
    return ", ".join(told) or "none"


def reports_title(table: pl.DataFrame) -> str:
    """From the first report to the last, by as_at; `table` is of `reporting.by_report`."""
    first, last = (table.filter(~pl.col("superseded")).row(place, named=True) for place in (0, -1))
    if first["snapshot"] == last["snapshot"]:
        return (
            f"Every report kept speaks of {last['as_at']:%-d %B %Y}; the one built last says "
            f"{percent(last['reported_failure_rate'])} reported ({_of(last, 'reported_failures', 'due')}), "
            f"{percent(last['actual_failure_rate'])} actual"
        )
    return (
        f"From the report of {first['as_at']:%-d %B %Y} to that of {last['as_at']:%-d %B %Y} the reported rate went "
        f"from {percent(first['reported_failure_rate'])} ({_of(first, 'reported_failures', 'due')}) to "
        f"{percent(last['reported_failure_rate'])} ({_of(last, 'reported_failures', 'due')}), the actual from "
        f"{percent(first['actual_failure_rate'])} to {percent(last['actual_failure_rate'])}"
    )


def _of(row: dict, numerator: str, denominator: str) -> str:
    return f"{count(row[numerator])} of {count(row[denominator])}"


def reports_beside(table: pl.DataFrame, foreign: list[int], left_out: int) -> list[str]:
    """What a reader must know of the reports that the chart cannot show."""
    said = []
    superseded = table.filter("superseded")["snapshot"].to_list()
    if superseded:
        said.append(f"Open marks, joined to none: {_snapshots(superseded)}, of whose instant another was built later.")
    if table["grace_days"].n_unique() > 1:
        graces = ", ".join(f"snapshot {n}: {days} days" for n, days in table.select("snapshot", "grace_days").rows())
        said.append(f"The grace period is not the same in all, so rates differ for that alone ({graces}).")
    if foreign:
        said.append(f"Not shown, as it is of another estate: {_snapshots(foreign)}.")
    if left_out:
        said.append(f"Of more than {MOST_REPORTS} reports the latest are shown; {count(left_out)} earlier are kept.")
    return said


def one_report(foreign: list[int]) -> str:
    """Said in place of a chart of one dot."""
    beside = f" Also kept, but of another estate: {_snapshots(foreign)}." if foreign else ""
    return (
        "**By report:** this is the only report of this estate that is kept, so there is nothing to compare it with. "
        f"Each further `pco build` into the same marts folder adds one.{beside}"
    )


def _snapshots(numbers: list[int]) -> str:
    return f"snapshot{'' if len(numbers) == 1 else 's'} {', '.join(map(str, numbers))}"


def no_previous(snapshot: Snapshot) -> str:
    """Why nothing can be said of what changed since the snapshot before."""
    parent = snapshot.manifest.get("parent")
    if parent is None:
        return "**Since the previous snapshot:** this is the first one, so there is none to compare it with."
    return (
        f"**Since the previous snapshot:** snapshot {int(parent)}, which came before this one, is no longer kept, so "
        "what changed since cannot be shown."
    )


def other_estate(earlier: Snapshot, later: Snapshot, shared: int) -> str:
    """Why two snapshots are not compared."""
    held = f"only {devices(shared)} of theirs are in both" if shared else "no Device is in both"
    return (
        f"**Snapshots {earlier.number} and {later.number} are of different estates:** {held} "
        f"({devices(earlier.rows('outcomes'))} before, {devices(later.rows('outcomes'))} now), so findings are not "
        "compared."
    )


def changes_title(earlier: Snapshot, found: dict[str, int]) -> str:
    """What is dangerous, then how much changed in all; `found` is of `changes.totals`."""
    newly = found[NEWLY_MISSED]
    became = f"{devices(newly)} became {'a missed failure' if newly == 1 else 'missed failures'}"
    return (
        f"{became if newly else 'No Device became a missed failure'} since snapshot {earlier.number}; "
        f"{count(found['changed'])} of the {devices(found['both'])} in both have another finding"
    )


def dangerous_first(earlier: Snapshot, later: Snapshot, found: dict[str, int], changes: pl.DataFrame) -> str:
    """Each kind of change that matters, the most serious first, with the pairs that it is made of."""
    said = [f"From snapshot {earlier.number} to snapshot {later.number}:"]
    for kind, (one, more) in MEANS.items():
        if found[kind]:
            pairs = "; ".join(pair(row) for row in changes.filter(kind=kind).to_dicts())
            said.append(f"* **{devices(found[kind])}** {one if found[kind] == 1 else more} ({pairs}).")
    are = "is" if found["new"] == 1 else "are"
    said.append(f"* {devices(found['new'])} {are} new, and {count(found['left'])} left: no longer in scope.")
    return "\n".join(said)


def spoken_of(earlier: Snapshot, later: Snapshot) -> str:
    """The instants of both, and what makes them differ for another reason than the Devices."""
    before, now = earlier.manifest, later.manifest
    said = f"Before: snapshot {earlier.number}, as at {moment(before['as_at'])}."
    if before["grace_days"] != now["grace_days"]:
        said += f" Its grace period was {before['grace_days']} days, now it is {now['grace_days']}."
    return said


def pair(row: dict) -> str:
    before = "new" if row["before"] == ABSENT else row["before"].replace("_", " ")
    now = "left" if row["now"] == ABSENT else row["now"].replace("_", " ")
    return f"{before} → {now}: {count(row['devices'])}"
