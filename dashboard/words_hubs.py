"""The sentences of the Communications Hubs page."""

import polars as pl

from analysis.amendments import AMENDMENTS
from analysis.criteria import amendment_label
from dashboard.words import NO_BREAK, count, percent

PC = f"{NO_BREAK}%"
STANDINGS = {
    "failed": "CHF reported failed now",
    "passed": "CHF reported passed now",
    "not_due": "CHF not due yet",
    "not_a_chf": "Device is no CHF",
    "not_in_scope": "Device not in scope",
}
VERDICT_NOTE = (
    "The certificates are judged as the snapshot knows them now, not as they were when the Incident was raised: a CHF "
    "that was put right since counts as secure."
)
FROM_FAILURES = (
    "**There is no extract of Incidents in this snapshot.** AC 5.13 makes the DCC raise an Incident for every "
    "'failing' CHF, so each CHF that is reported failed stands for one Incident below. When they were raised, "
    "whether they are open and how long they took to close is not known; months are of commissioning."
)
NO_CHF = (
    "These filters leave no Incident about a Communications Hub Function (CHF). Clear the Device type, or add CHF to "
    "it; or widen the period, the regions or the parties."
)
WHAT_IT_SAYS = (
    "A Communications Hub Function (CHF) that is reported failed has the DCC raise an Incident (SEC Appendix AC 5.13). "
    "This page shows how many of those Incidents were about a CHF that is secure by its certificates."
)
REGIONS_HOW = (
    "The share secure is of the CHFs behind the Incidents, each counted once, that are reported passed or failed: "
    f"estimated from those verified, with its 95{PC} interval. "
)
MEDIANS_HOW = (
    "Days to close: half are closed by then (Kaplan-Meier), with the interval; none where that is not reached."
)
CLOSING_HOW = (
    "Kaplan-Meier estimate: an Incident that is still open counts as open for as long as it has been, so that the slow "
    f"ones are not left out as in an average of the closed. The band is the 95{PC} interval. The table has a row for "
    "each day on which an Incident was closed; at risk are those open so long or longer."
)
STANDINGS_HOW = (
    "An Incident is no proof of a failure that still stands: a CHF may have passed since. A Device that is not in "
    "scope has no outcome: it is not in the inventory, not yet or no longer in use, or its rows were quarantined."
)


def noun(is_extract: bool) -> str:
    return "Incidents" if is_extract else "reported CHF failures"


def metrics(total: dict, is_extract: bool) -> list[tuple[str, str, str]]:
    """Name, number, and what it is measured against; `total` is the row of all regions."""
    known = total["raised"] - total["no_chf"]
    shown = [
        ("Incidents raised" if is_extract else "CHFs reported failed", count(total["raised"]), "in all"),
        ("For a CHF that is secure", count(total["secure"]), f"of {count(known)} about a CHF"),
        ("For a CHF not secure", count(total["not_secure"]), f"and {count(total['unverified'])} not verified"),
    ]
    if not is_extract:
        return [*shown, ("Still open", "not known", "no extract of Incidents")]
    return [
        *shown,
        ("Still open", count(total["open"]), f"of {count(total['raised'])}"),
        ("Half closed within", days(total["median_days"]), interval(total)),
    ]


def days(number: float | None) -> str:
    if number is None:
        return "not reached"
    return f"{number:,.1f} days" if number < 10 else f"{number:,.0f} days"


def interval(row: dict) -> str:
    """The 95 % interval of the median, of which an end may not be reached."""
    if row["median_low"] is None:
        return "too few to say"
    high = "no upper end" if row["median_high"] is None else days(row["median_high"])
    return f"95{PC} interval {days(row['median_low']).removesuffix(' days')} to {high}"


def months_title(total: dict, is_extract: bool) -> str:
    return (
        f"{count(total['secure'])} of {count(total['raised'])} {noun(is_extract)} were about a CHF that is secure, "
        f"{count(total['not_secure'])} about one that is not"
    )


def months_how(is_extract: bool) -> str:
    month = "Month in which the Incident was raised" if is_extract else "Month in which the CHF was commissioned"
    return f"{month}, by CSP region of the Device, all on one scale. {VERDICT_NOTE}"


def regions_title(total: dict, is_extract: bool) -> str:
    """The share secure of the CHFs behind the Incidents, with its interval."""
    of_what = f"of the CHFs behind the {count(total['raised'])} {noun(is_extract)}"
    if total["secure_share"] is None:
        return f"By CSP region: too few {of_what} were verified to say what share is secure"
    share, low, high = (percent(total[f"secure_{figure}"]) for figure in ("share", "low", "high"))
    still_open = f"; {count(total['open'])} are still open" if is_extract else ""
    return f"By CSP region: about {share} {of_what} are secure (95{PC} interval {low} to {high}){still_open}"


def regions_how(is_extract: bool) -> str:
    return REGIONS_HOW + (MEDIANS_HOW + " " if is_extract else "") + VERDICT_NOTE


def closing_title(total: dict) -> str:
    still_open = f"{count(total['open'])} of {count(total['raised'])} are still open"
    if total["median_days"] is None:
        return f"Fewer than half of the Incidents can be said to be closed; {still_open}"
    return f"Half of the Incidents are closed within {days(total['median_days'])} ({interval(total)}); {still_open}"


def standings_title(table: pl.DataFrame) -> str:
    raised = table["raised"].sum()
    failed = table.filter(standing="failed")["raised"].sum()
    return f"{count(failed)} of {count(raised)} Incidents are about a CHF that is still reported failed"


def left_out(rows: pl.DataFrame, chosen: pl.DataFrame, is_filtered: bool) -> str:
    """What of the extract is not in the figures; `rows` is all of it, `chosen` what the filters leave."""
    later, merged = rows["is_later"].sum(), rows["merged"].sum()
    nameless = rows.filter(~pl.col("is_later") & pl.col("csp_region").is_null()).height
    backwards = chosen["days"].null_count()
    said = [
        f"{count(later)} raised after the time that the snapshot speaks of" if later else "",
        f"{count(nameless)} about a Device not in scope, which no filter finds" if nameless and is_filtered else "",
    ]
    notes = [
        f"Left out: {' and '.join(filter(None, said))}." if any(said) else "",
        f"{count(merged)} rows repeat an Incident with other times: it counts once, closed at the latest."
        if merged
        else "",
        f"{count(backwards)} were closed before they were raised: no time to close." if backwards else "",
    ]
    return " ".join(filter(None, notes))


def missing(number: int) -> str:
    """CHFs of which the extract should speak and does not."""
    if not number:
        return "Every CHF that is reported failed has an Incident."
    have = "CHF that is reported failed has" if number == 1 else "CHFs that are reported failed have"
    return f"**{count(number)}** {have} no Incident in the extract."


def amended(table: pl.DataFrame) -> pl.DataFrame:
    """The frame of `hubs.not_raised` with each set's name in front, the chosen one marked."""
    names = [f"{_set_name(row['amendments'])}{' (chosen)' if row['is_chosen'] else ''}" for row in table.to_dicts()]
    return table.select(pl.Series("set", names, pl.String), pl.exclude("is_chosen"))


def _set_name(amendments: list[str]) -> str:
    if len(amendments) == len(AMENDMENTS):
        return "All four"
    if len(amendments) == 1:
        return amendment_label(amendments[0])
    return "<br>+ ".join(map(amendment_label, amendments))


def amended_title(then: dict, chosen: tuple[str, ...], is_extract: bool) -> str:
    """What the chosen set would not have raised; with none chosen, what all four would not."""
    which = "The chosen set" if chosen else "All four amendments together"
    raised = then["newly_passed"] + then["reported_failures"]
    return (
        f"{which} would not have raised {count(then['newly_passed'])} of {count(raised)} "
        f"{noun(is_extract)}: {count(then['over_reported_removed'])} about a secure CHF, "
        f"{count(then['missed_created'])} about one that is not secure, {count(then['unverified_passed'])} not verified"
    )


def amended_how(evidence: bool, not_judged: int) -> str:
    others = (
        f" {count(not_judged)} more are about no CHF that is reported failed now: what failed then is not known, so "
        "none of them is counted here."
        if not_judged
        else ""
    )
    return (
        f"{'With' if evidence else 'Without'} certificate evidence. Of the Incidents about a CHF that is reported "
        "failed now, those whose CHF would pass: every check that it has not met has a reason that is accepted. An "
        f"Incident not raised for a CHF that is not secure is a true failure that nobody would be told of.{others}"
    )
