"""The sentences of the Criteria page."""

import polars as pl

from analysis.amendments import AMENDMENTS
from analysis.causes import causes
from analysis.criteria import amendment_label
from dashboard.words import NO_BREAK, count, devices, percent

# A set in one short word of the picture, a letter an amendment.
LETTERS = dict(zip(AMENDMENTS, "SHET", strict=True))
MEASURE_NAMES = {"over_reported_removed": "Over-reported removed", "missed_created": "Missed failures created"}


def amendment_help(amendment: str) -> str:
    """What the amendment accepts, with an example that it fits."""
    cause = next(cause for cause in causes() if cause.amendment == amendment)
    return f"{cause.says} On: a check that was not met for this reason no longer fails the Device. Fits: {cause.fits}"


def set_name(chosen: tuple[str, ...] | list[str]) -> str:
    return " + ".join(map(amendment_label, chosen)) or "Criteria in force"


def named(table: pl.DataFrame) -> pl.DataFrame:
    """The frame of sets with each set's name and letters in front, and the set as the export writes it at the end."""
    chosen = table["amendments"].to_list()
    letters = ["".join(LETTERS[amendment] for amendment in one) for one in chosen]
    return table.select(
        pl.Series("set", map(set_name, chosen)), pl.Series("letters", letters), pl.exclude("amendments"), "amendments"
    )


def part_of_file_name(order: tuple[str, ...], evidence: bool) -> str:
    """Tells the files of two sets, or of one set in two orders, apart."""
    letters = "".join(LETTERS[amendment] for amendment in order).lower() or "in-force"
    return f"{letters}-evidence" if evidence else letters


def steps_how(order: tuple[str, ...], evidence: bool) -> str:
    return (
        f"{set_name(order)}, {'with' if evidence else 'without'} certificate evidence. Counts of Devices, each "
        "amendment after those above it; the scales differ. Over-reported: reported failed, certificates right. Missed "
        "failures: reported passed, found not secure; Devices not verified are in neither."
    )


def contributions_how(evidence: bool) -> str:
    return (
        f"{'With' if evidence else 'Without'} certificate evidence. Alone: the only amendment. In the chosen order: "
        "what it adds to those before it. Shapley share: what it adds, averaged over every order, so that the order "
        "does not matter; the shares sum to what the whole set brings."
    )


def frontier_how() -> str:
    return (
        f"A point is one of the 16 sets, with or without evidence: {letters_explained()}. On the frontier no other set "
        "removes as many false alarms and hides fewer failures. Evidence hides none, but leaves Devices that were not "
        "verified reported failed."
    )


def letters_explained() -> str:
    return ", ".join(f"{letter} {amendment_label(amendment)}" for amendment, letter in LETTERS.items())


def headline(now: dict, then: dict, any_chosen: bool) -> str:
    """The reported rate under the criteria in force, and under the set."""
    before = _rate(now)
    if not any_chosen:
        return f"Criteria in force: {before} reported failed"
    if now["reported_failures"] == then["reported_failures"]:
        return f"Reported failures stay at {before}"
    return f"Reported failures fall from {before} to {_rate(then)}"


def _rate(row: dict) -> str:
    return f"{percent(row['reported_failure_rate'])} ({count(row['reported_failures'])} of {count(row['due'])} due)"


def metrics(now: dict, then: dict) -> list[tuple[str, str, str]]:
    """Name, number, and what it is measured against."""
    return [
        (
            "Reported failure rate",
            percent(then["reported_failure_rate"]),
            f"in force {percent(now['reported_failure_rate'])}",
        ),
        ("Over-reported left", count(then["over_reported"]), f"in force {count(now['over_reported'])}"),
        ("Missed failures created", count(then["missed_created"]), f"beside {count(now['missed_failures'])} in force"),
        ("Pass unverified", count(then["unverified_passed"]), f"of {count(then['newly_passed'])} that would pass"),
    ]


def effect(then: dict, passing: dict, evidence: bool) -> str:
    """What becomes of the Devices that would pass: the gain, the harm and what nobody knows, side by side."""
    if not passing["due"]:
        return "No Device that is reported failed would pass."
    verdict = (
        f"**{devices(then['newly_passed'])} would pass** that are reported failed today: "
        f"**{_counted(then['over_reported_removed'], 'false alarm')} removed**, "
        f"**{_counted(then['missed_created'], 'true failure')} hidden**, "
        f"{count(then['unverified_passed'])} not verified either way."
    )
    if evidence:
        return f"{verdict} Evidence is asked for, so a Device passes only where its certificates are known to be right."
    if passing["actual_failure_rate"] is None:
        return f"{verdict} None of them was verified, so how many failures this hides is not known."
    low, high = percent(passing["actual_low"]), percent(passing["actual_high"])
    return (
        f"{verdict} Of the {count(passing['verified'])} of them that were verified, "
        f"{count(passing['not_secure'])} ({percent(passing['actual_failure_rate'])}) are not secure; "
        f"among all {count(passing['due'])} the share is between {low} and {high} (95{NO_BREAK}% interval)."
    )


def _counted(number: int, thing: str) -> str:
    return f"{count(number)} {thing}{'' if number == 1 else 's'}"


def steps_title(now: dict, then: dict) -> str:
    return (
        f"Over-reported failures {_move(now['over_reported'], then['over_reported'])}; "
        f"missed failures {_move(now['missed_failures'], then['missed_failures'])}"
    )


def _move(now: int, then: int) -> str:
    if now == then:
        return f"stay at {count(now)}"
    return f"{'rise' if then > now else 'fall'} from {count(now)} to {count(then)}"


def contributions_title(table: pl.DataFrame) -> str:
    """The amendment that removes most, and what it hides: by its share of the set, or alone when none is chosen."""
    way = "shapley" if table["shapley"].count() else "alone"
    removed = table.filter(pl.col("measure") == "over_reported_removed").sort(way, descending=True, nulls_last=True)
    most = removed.row(0, named=True)
    created = table.filter(measure="missed_created", amendment=most["amendment"])[way].item()
    if way == "alone":
        return (
            f"Alone, {most['amendment']} removes most: {count(most['alone'])} over-reported, "
            f"with {count(created)} missed failures created"
        )
    hidden = table.filter(measure="missed_created")[way].sum()
    gain = f"{_devices(most[way])} of the {_devices(removed[way].sum())} over-reported removed"
    loss = f", and {_devices(created)} of the {_devices(hidden)} missed failures created" if hidden else ""
    return f"Averaged over all orders, {most['amendment']} brings {gain}{loss or '; no failure is hidden'}"


def _devices(number: float) -> str:
    """A share of Devices: a whole number, or one decimal where it is none."""
    return f"{number:,.1f}".removesuffix(".0")


def frontier_title(table: pl.DataFrame) -> str:
    """The most that can be removed, and at what price with and without evidence."""
    most = table["over_reported_removed"].max()
    without = table.filter(~pl.col("evidence") & (pl.col("over_reported_removed") == most))["missed_created"].min()
    in_force = table["over_reported"].max()
    if not most:
        return "No set of amendments removes an over-reported failure"
    return (
        f"At most {count(most)} of {count(in_force)} over-reported failures can be removed: with {count(without)} "
        "missed failures created without evidence, none with it"
    )
