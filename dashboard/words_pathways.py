"""The sentences and the names of steps on the Pathways page."""

import polars as pl

from analysis import pathways
from analysis.pathways import ALL_MET, CHANGE_OF_SUPPLIER, NOT_DUE, OTHER, OTHER_ROADS, REPORTED_FAILED, START
from dashboard.words import count, devices, percent
from data import reference

ARROW = " \u2192 "
KEYS = {"Digital Signature": " DS", "Key Agreement": " KA"}
NAMES = {row["check"]: row["srv"] + KEYS.get(row["qualifier"], "") for row in reference.checks()} | {
    "communicating": "DSP communicates",
    "recovery_cell": "DSP recovery cell",
    "network_operator_handover": "6.21",
    "supplier_update": "Supplier cells",
    CHANGE_OF_SUPPLIER: "CoS",
    START: "Start",
    OTHER_ROADS: "Other roads",
    ALL_MET: "All checks met",
    REPORTED_FAILED: "Reported failed",
    NOT_DUE: "Not due yet",
}
# What fits on a square of two lines.
ON_SQUARE = NAMES | {
    "communicating": "DSP com.",
    "recovery_cell": "DSP rec.",
    "supplier_update": "Sup. cells",
}
WHOSE = {"all": "All Devices", "failed": "Reported failed", "passed": "Reported passed"}
HEADINGS = {
    "rank": "Rank",
    "road": "Road",
    "devices": "Devices",
    "share_of_devices": "Share of Devices",
    "median_days": "Median days",
    "with_retry": "With a retry",
    "reported_failures": "Reported failed",
    "reported_failure_rate": "Reported failure rate",
    "secure": "Actually secure",
    "secure_share": "Secure, share of verified",
    "verified": "Verified",
    "device_keys_read_share": "Device keys read, share",
    "due": "Devices due",
}
SHARES = ("share_of_devices", "reported_failure_rate", "secure_share", "device_keys_read_share")
FORMATS = dict.fromkeys(SHARES, "percent") | {"median_days": "%.1f"}
LEGEND = (
    "DS: Digital Signature. KA: Key Agreement. 6.15.1 and 6.21: of the Network Operator's cells. Supplier cells: 6.23, "
    "or 6.15.1 or 6.21 of the Supplier's cells. CoS: the first change of Supplier after commissioning."
)
ROADS_HOW = (
    "A road is the order in which a Device's steps first succeeded, up to the last check that its type needs; with a "
    "check unmet it runs on to the day of the report. At the same instant the order of the criteria's list decides, "
    "and CoS comes last. A retry is more than one attempt at a step. The median is of the days from "
    "commissioning to the last check met. Reported and actual are of Devices due."
)
ATTEMPTS_HOW = "A hollow square is a step that was tried in vain; *again* marks a retry."
SHOW_FLOW = "Show the roads as a flow, beside the pathway that is defined"
FLOW_HOW = (
    "From top to bottom: the first step to succeed, the second and so on; the width is Devices. Drawn are the ten most "
    "frequent roads; all others flow together as other roads."
)
DEFINED_HOW = (
    "The width is Devices that need the check. The criteria here list the checks of each Device type; no order among "
    "them is known to be prescribed, so none is drawn."
)
TOO_OLD = "This snapshot was built before the roads were kept. Ask the operator to run `pco build`."


def road(variant: int) -> str:
    """A road in words: its steps in order, then what was tried again, in vain, and what is unmet."""
    again, vain = pathways.retried(variant), pathways.in_vain(variant)
    steps = pathways.steps_of(variant)
    text = ARROW.join(NAMES[step] + (" (retried)" if step in again else "") for step in steps) or "No step succeeded"
    unmet = [NAMES[check] + (" (not tried)" if _is_untried(check, vain) else "") for check in pathways.unmet(variant)]
    tried = [NAMES[step] + (" (retried)" if step in again else "") for step in vain]
    if tried:
        text += f"; in vain: {', '.join(tried)}"
    if unmet:
        text += f"; unmet: {', '.join(unmet)}"
    return text


def _is_untried(check: str, vain: tuple[str, ...]) -> bool:
    return check in pathways.SENT and check not in vain


def named(table: pl.DataFrame) -> pl.DataFrame:
    """The frame of `variants` as a person reads it: a rank and the road in words in front, then counts and shares."""
    total = table["devices"].sum()
    rows = table.select("variant", "roads").rows()
    roads = [road(variant) if variant != OTHER else f"All {count(roads)} other roads" for variant, roads in rows]
    ranks = [place if variant != OTHER else None for place, (variant, _) in enumerate(rows, start=1)]
    shares = {
        "share_of_devices": pl.col("devices") / total,
        "reported_failure_rate": _share("reported_failures", "due"),
        "secure_share": _share("secure", "verified"),
        "device_keys_read_share": _share("device_keys_read", "due"),
    }
    words = [pl.Series("rank", ranks, pl.Int64), pl.Series("road", roads, pl.String)]
    return table.with_columns(*words, **shares).select(HEADINGS.keys())


def _share(part: str, whole: str) -> pl.Expr:
    return pl.when(pl.col(whole) > 0).then(pl.col(part) / pl.col(whole))


def named_links(links: pl.DataFrame) -> pl.DataFrame:
    names = (pl.col(name).replace_strict(NAMES) for name in ("from_step", "to_step"))
    return links.with_columns(*names)


def named_checks(table: pl.DataFrame) -> pl.DataFrame:
    return table.with_columns(pl.col("check").replace_strict(NAMES))


def summary(totals: dict) -> str:
    """What stands out on the way, from the sums of `variants`."""
    number = totals["devices"]

    def part(name: str) -> str:
        return f"**{count(totals[name])}** ({percent(totals[name] / number)})"

    met = (
        f"* {part('completed')} met every check that their type needs, {count(totals['in_list_order'])} of them with "
        "the Service Requests in the order in which the criteria list them;"
    )
    return "\n".join(
        [
            f"Of {devices(number)}:",
            *([met] if totals["completed"] else []),
            f"* {part('with_retry')} had more than one attempt at a step;",
            f"* {part('handed_over')} had **6.21 in place of 6.15.1**: 6.21 succeeded, 6.15.1 is required and unmet;",
            f"* {part('changed')} changed Supplier before the last check was met; {count(totals['changed_open'])} of "
            "them have a check unmet to this day.",
        ]
    )


def roads_title(table: pl.DataFrame) -> str:
    shown = table.filter(pl.col("variant") != OTHER)
    number, total, roads = shown["devices"].sum(), table["devices"].sum(), table["roads"].sum()
    if shown.height == roads:
        return f"{devices(total)} took {count(roads)} road{'' if roads == 1 else 's'}"
    return (
        f"{devices(total)} took {count(roads)} roads; {percent(number / total)} of them "
        f"({count(number)}) took one of the {shown.height} most frequent"
    )


def flow_title(totals: dict) -> str:
    number, failed, met = totals["devices"], totals["reported_failures"], totals["completed"]
    if failed == number:
        return f"How far the {devices(number)} reported failed came"
    if met == number:
        return f"How the {devices(number)} reported passed came to meet every check"
    rest = number - met - failed
    return (
        f"{count(met)} of {devices(number)} met every check, {count(failed)} "
        f"{'was' if failed == 1 else 'were'} reported failed, {count(rest)} {'is' if rest == 1 else 'are'} not due yet"
    )


def defined_title(table: pl.DataFrame) -> str:
    """`Defined: 7 checks of an ESME and GPF, 6 of a GSME and CHF`."""
    numbers = table.group_by("device_type", maintain_order=True).len().rows()
    types = {number: [kind for kind, of_it in numbers if of_it == number] for _, number in numbers}
    return "Defined: " + "; ".join(f"{number} checks for {' and '.join(kinds)}" for number, kinds in types.items())
