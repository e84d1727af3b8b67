"""What the Device page says of one Device: the reason in words, with clause and evidence."""

import re
from datetime import datetime

import polars as pl

from analysis.causes import UNEXPLAINED, Cause, causes, unexplained
from analysis.device import CLAUSE, EUI_DIGITS, FEWEST_DIGITS, ROLES, Asked, Device
from dashboard.words import count, devices
from data.history import MOST_FOUND, History

FINDINGS = {
    "over_reported": ("over-reported", "it is reported failed, and its certificates are right"),
    "confirmed_failure": ("a confirmed failure", "it is reported failed, and its certificates are not right"),
    "unverified_failure": ("an unverified failure", "it is reported failed, and its certificates could not be judged"),
    "confirmed_pass": ("a confirmed pass", "it is reported passed, and its certificates are right"),
    "missed_failure": ("a missed failure", "it is reported passed, but its certificates are not right"),
    "unverified_pass": ("an unverified pass", "it is reported passed, and its certificates could not be judged"),
    "not_due": ("not due yet", "a check is not met, but the days of grace are not over"),
}
VERDICTS = {
    "right": "A certificate in use, of the party that is expected.",
    "wrong_party": "The certificate of a party that is not expected here.",
    "dcc_credentials": "The DCC's credentials, although the operator is a DCC User.",
    "supplier_credentials": "A Supplier's credentials in a Network Operator's cell.",
    "missing": "The read came back without a certificate.",
    "unknown_certificate": "The right party, but no certificate of its that is in use.",
    "not_judged": "The expected party is not known, so nothing can be said.",
    "not_read": "Not read, or not since it may have changed.",
    "in_use": "One of the Device's own certificates in use.",
    "not_in_use": "No certificate of the Device's own that is in use.",
}
CAME_BACK = {
    "success": "success",
    "empty": "empty Execution Status",
    "partial": "partial",
    "no_response": "no Response",
    "other": "rejected or failed",
}
USAGES = {"DigitalSigning": "digital signing", "KeyAgreement": "key agreement"}
SEARCH_HELP = "16 hex digits, in upper or lower case, with or without hyphens, for instance 90-B3-D5-1F-30-01-00-00."
TIMELINE_HOW = (
    "Each lane is a check, a cell or a key; a Request is joined to its Response, which stands where it was sent if "
    "it has no time of its own. The filters of the side bar do not touch this page."
)
CHECKS_HOW = (
    f"The checks are those of the criteria in force ({CLAUSE}) for this type of Device. A check is met at its first "
    "success. Rows of the extract are counted; where the same row stands twice, it counts twice here."
)
CELLS_HOW = (
    "The read that counts is the latest, and of several at one instant the worst. It is stale, so not read, if it is "
    "earlier than the last thing that may have changed the cell. Certificates and parties are as in the extracts."
)
KEYS_HOW = (
    "Right Trust Anchor Cells do not prove that the Device's own keys were replaced; a certificate of its own in use "
    "does not prove when."
)
EXAMPLES = "Type the EUI-64 of a Device, or look at one of each finding:"
SPANS = ("All of it", "Until it is due")


def plain(text: str | None) -> str:
    """Text of the extracts as it stands: nothing in it is Markdown."""
    return re.sub(r"([\\`*_\[\]$<>:#~|])", r"\\\1", text or "not known")


def at(instant: datetime) -> str:
    return f"{instant:%-d %B %Y, %H:%M} UTC"


# --- nothing to show ----------------------------------------------------------------------------------------


def malformed(asked: Asked) -> str:
    """What is wrong with what was typed, and what to type instead."""
    if not asked.is_hex:
        return f"That is no EUI-64: it holds other characters than hex digits (0 to 9, A to F). {SEARCH_HELP}"
    wrong = "has too many" if len(asked.digits) > EUI_DIGITS else "is too short to look for"
    return (
        f"That is no EUI-64: with {len(asked.digits)} hex digits it {wrong}. Give all {EUI_DIGITS}, or the first "
        f"or the last {FEWEST_DIGITS} or more."
    )


def not_found(eui: str, found: History) -> str:
    """Why there is no outcome, as far as the snapshot tells, and what to do."""
    if found.rows:
        return (
            f"**{eui} is not in scope**, though the extracts hold {count(found.rows)} rows about it. A Device has an "
            "outcome when the inventory has it, once, commissioned by the instant of the snapshot, as an ESME, GSME, "
            "GPF or CHF, and not decommissioned or withdrawn. Look it up in the `devices` extract, or among the "
            "quarantined rows on *Data and method*."
        )
    return (
        f"**{eui} is not in this snapshot.** No row is about it: check the digits against the Device's label or the "
        "inventory, or ask whether the extracts are complete."
    )


def of_a_part(asked: Asked, found: list[int]) -> str:
    """How many Devices begin or end with the digits given."""
    if not found:
        return (
            f"No Device in scope begins or ends with these {len(asked.digits)} hex digits. Check them, or give all 16."
        )
    more = f"more than {MOST_FOUND}" if len(found) > MOST_FOUND else devices(len(found)).split()[0]
    noun = "Device begins or ends" if len(found) == 1 else "Devices begin or end"
    first = f" The first {MOST_FOUND}:" if len(found) > MOST_FOUND else ""
    return f"**{more.capitalize()} {noun} with these digits.** Give more of them, or pick one.{first}"


NO_EVIDENCE = (
    "This snapshot was built before the rows of each Device were kept, so there is nothing to show of one. Ask the "
    "operator to run `pco build` again."
)


def example(row: dict) -> str:
    """The button of an example: the finding, and how many Devices have it."""
    name = FINDINGS[row["finding"]][0].removeprefix("a ").removeprefix("an ")
    return f"{name.capitalize()} ({count(row['devices'])})"


# --- the Device ---------------------------------------------------------------------------------------------


def headline(device: Device) -> str:
    name, why = FINDINGS[device.outcome["finding"]]
    return f"{device.eui} is {name}: {why}"


def differs(device: Device) -> str:
    """Said when the verdict made anew is not the one in the snapshot."""
    apart = "".join(
        f"\n* `{name}`: in the snapshot {_value(device.outcome[name])}, made anew {_value(anew)}"
        for name, anew in device.differs.items()
    )
    return (
        "**Do not rely on what is said of this Device.** Made anew from the rows kept of it, the verdict is not the "
        f"one in the snapshot. Ask the operator to build again, and to report this. What follows is made anew.\n{apart}"
    )


def _value(value: object) -> str:
    return "nothing" if value is None or value == "" else plain(str(value))


def facts(device: Device) -> str:
    """What the Device is, and whose."""
    row = device.outcome
    made = " ".join(part for part in (row["manufacturer"], row["model"]) if part) or "maker not recorded"
    firmware = f", firmware {row['firmware_version']}" if row["firmware_version"] else ""
    return (
        f"{row['device_type']} in {plain(row['csp_region'])}, {plain(made + firmware)}. Commissioned "
        f"{at(row['commissioned_at'])}; due {at(row['due_at'])}."
    )


def reported_reason(device: Device) -> str:
    row, checks = device.outcome, device.checks
    unmet = checks.filter(pl.col("verdict") == "not met")
    if row["reported"] == "passed":
        last = checks.sort("met_at").row(-1, named=True)
        return (
            f"**Reported passed.** All {checks.height} checks for {_a(row['device_type'])} are met ({CLAUSE}), the "
            f"last one on {at(last['met_at'])}: {last['label']}."
        )
    said = f"{unmet.height} of the {checks.height} checks for {_a(row['device_type'])} {_is(unmet.height)} not met"
    listed = "".join(f"\n    * {c['label']}: {tries(c)}" for c in unmet.to_dicts())
    if row["reported"] == "not_due":
        return f"**Not due.** {said}, but the grace period runs until {at(row['due_at'])} ({CLAUSE}):{listed}"
    return f"**Reported failed.** {said}, and the grace period ended on {at(row['due_at'])} ({CLAUSE}):{listed}"


def tries(check: dict) -> str:
    """What came of the tries at a check that is not met."""
    if not check["tries"]:
        return "no Request was sent" if check["SRV"] else "the DSP made no such check"
    return came_back(check["came_back"])


def came_back(told: str) -> str:
    """`2 no_response (E21); 1 success` in words."""
    for outcome, words in CAME_BACK.items():
        told = re.sub(rf"\b{outcome}\b(?=$|;| \()", words, told)
    return told


def actual_reason(device: Device) -> str:
    row, cells = device.outcome, device.cells
    total = cells.height
    if row["actual"] == "secure":
        return (
            f"**Secure by its certificates.** Each of the {total} cells that must be right holds a certificate in use "
            f"of the party that is expected, none read before {at(row['verified_at'])}. {_keys(device)}"
        )
    wanted = cells.filter(~pl.col("verdict").is_in(["right"]))
    listed = "".join(f"\n    * {cell_reason(cell)}" for cell in wanted.to_dicts())
    if row["actual"] == "not_secure":
        return f"**Not secure by its certificates.** {_not_right(wanted, total)} {_keys(device)}{listed}"
    return f"**Not verified.** {_not_right(wanted, total)} {_keys(device)}{listed}"


def cell_name(cell: str) -> str:
    """`NetworkOperator/KeyAgreement` in words."""
    role, usage = cell.split("/")
    return f"{ROLES.get(role, role)}, {USAGES[usage]}"


def _not_right(cells: pl.DataFrame, total: int) -> str:
    if cells.is_empty():
        return f"All {total} cells that must be right are."
    return f"{cells.height} of the {total} cells that must be right {_is(cells.height)} not right, or not known to be."


def cell_reason(cell: dict) -> str:
    """Why a cell has a verdict other than right."""
    name, verdict = cell_name(cell["cell"]), cell["verdict"]
    if verdict == "not_read":
        if cell["read_at"] is None:
            return f"{name}: never read."
        return (
            f"{name}: last read {at(cell['read_at'])}, before {cell['changed_by']} on {at(cell['changed_at'])} may "
            "have changed it."
        )
    if verdict == "missing":
        return f"{name}: the read of {at(cell['read_at'])} came back {plain(cell['status_code'])}."
    return (
        f"{name}: {VERDICTS[verdict]} Read {at(cell['read_at'])}: {plain(cell['belongs_to'] or 'nobody')}; expected: "
        f"{plain(cell['expected'])}."
    )


def _keys(device: Device) -> str:
    return {
        "in_use": "Both of the Device's own keys have certificates in use.",
        "not_in_use": "A key of the Device's own was read, and **its certificate is not one in use**.",
        "not_read": "The Device's own keys were not both read since they may have changed.",
    }[device.outcome["device_keys"]]


def cause_reasons(device: Device) -> list[str]:
    """The cause first, then what else holds; each with its clause, the checks, and what would resolve it."""
    row = device.outcome
    if row["reported"] != "failed":
        return []
    held = [cause for cause in causes() if cause.name in row["causes"].split("; ")]
    told = [_cause(cause, cause.name == row["cause"], device) for cause in held]
    if row["cause"] != UNEXPLAINED:
        return told
    bare = device.checks.filter(pl.col("verdict") == "not met", pl.col("causes") == "")["label"].to_list()
    why = f"No cause holds for: {'; '.join(bare)}. Such a failure is the first to look into."
    return [f"**Cause: {unexplained()['label']}.** {why}", *told]


def _cause(cause: Cause, is_first: bool, device: Device) -> str:
    of_cause = pl.col("causes").str.split("; ").list.contains(cause.name)
    checks = device.checks.filter(pl.col("verdict") == "not met", of_cause)["label"].to_list()
    return (
        f"**{'Cause' if is_first else 'Also holds'}: {cause.label}.** {cause.says} It holds for: {'; '.join(checks)}.\n"
        f"    * Clause: {cause.clause}.\n    * What would resolve it: {cause.resolves}"
    )


def reasons(device: Device) -> str:
    """Reported, actual and cause in words, as a list."""
    return "\n".join(f"* {text}" for text in (reported_reason(device), actual_reason(device), *cause_reasons(device)))


def _is(number: int) -> str:
    return "is" if number == 1 else "are"


def _a(device_type: str) -> str:
    return f"{'an' if device_type == 'ESME' else 'a'} {device_type}"


# --- cards --------------------------------------------------------------------------------------------------


def marks(device: Device) -> dict[str, datetime]:
    """The instants that a verdict turns on."""
    row = device.outcome
    return {"Commissioned": row["commissioned_at"], "Due": row["due_at"], "Snapshot": device.history.as_at}


def end_of(device: Device, span: str) -> datetime | None:
    """Where the timeline ends; None where all of it is shown."""
    return device.outcome["due_at"] if span == SPANS[1] else None


def timeline_title(device: Device) -> str:
    met = device.checks.filter(pl.col("verdict") == "met").height
    right = device.cells.filter(pl.col("verdict") == "right").height
    return (
        f"{met} of {device.checks.height} checks are met, and {right} of the {device.cells.height} cells that must be "
        "right are"
    )


def checks_title(device: Device) -> str:
    met = device.checks.filter(pl.col("verdict") == "met").height
    return f"Checks: {met} of {device.checks.height} are met"


def cells_title(device: Device) -> str:
    right = device.cells.filter(pl.col("verdict") == "right").height
    return f"Cells: {right} of {device.cells.height} hold the right certificate"


def keys_title(device: Device) -> str:
    in_use = device.keys.filter(pl.col("verdict") == "in_use").height
    return f"Own keys: {in_use} of {device.keys.height} have a certificate in use"


def shown_checks(device: Device) -> pl.DataFrame:
    """The checks in a few short columns."""
    rows = device.checks.to_dicts()
    met = [f"met {at(c['met_at'])}" if c["met_at"] else f"**{c['verdict']}**" for c in rows]
    labels = {cause.name: cause.label for cause in causes()}
    return pl.DataFrame(
        {
            "Check": [c["label"] + (f", SRV {c['SRV']}" if c["SRV"] else "") for c in rows],
            "Verdict": met,
            "What came back": [tries(c) for c in rows],
            "Causes": ["; ".join(labels[name] for name in c["causes"].split("; ") if name) or "none" for c in rows],
        }
    )


def shown_cells(cells: pl.DataFrame) -> pl.DataFrame:
    """The cells, or the keys, in a few short columns."""
    rows = cells.to_dicts()
    good = ("right", "in_use")
    return pl.DataFrame(
        {
            "Cell": [cell_name(c["cell"]) for c in rows],
            "Verdict": [_verdict(c["verdict"], c["verdict"] in good) for c in rows],
            "Found": [f"{_found(c)}. Expected: {plain(c['expected'])}.{_changed(c)}" for c in rows],
        }
    )


def _changed(cell: dict) -> str:
    if cell["changed_at"] is None:
        return ""
    return f" May last have changed {at(cell['changed_at'])}, by {cell['changed_by']}."


def _verdict(verdict: str, is_good: bool) -> str:
    name = verdict.replace("_", " ")
    return f"{name if is_good else f'**{name}**'}: {VERDICTS[verdict]}"


def _found(cell: dict) -> str:
    if cell["read_at"] is None:
        return "Never read"
    found = plain(cell["belongs_to"] or "nobody") if cell["status_code"] == "success" else plain(cell["status_code"])
    key = f", key {cell['key_identifier']}" if cell["key_identifier"] else ""
    return f"{found}{key}, read {at(cell['read_at'])}"


EVIDENCE = {
    "attempts": (
        "Requests and their Responses",
        "Every Request at a check, or that may have changed a cell; others, such as SRV 8.2, are not kept, as no "
        "verdict rests on them.",
    ),
    "dsp_checks": ("DSP checks", "Every check by the DSP that the criteria name, passed or not."),
    "reads": (
        "Certificate reads",
        "Every read of a cell or key. The one that counts has the cell's verdict; a superseded one is followed by a "
        "later read, or one as late and worse.",
    ),
    "spells": ("Spells with a Supplier", "From inclusive, to exclusive; those begun by the instant of the snapshot."),
    "incidents": (
        "Incidents",
        "SEC Appendix AC 5.13 makes the DCC raise an Incident for every Communications Hub Function that fails; no "
        "verdict rests on one.",
    ),
}


def kept_rows(device: Device, name: str) -> pl.DataFrame:
    """The rows kept of one kind, without the columns that are only numbers of others."""
    rows = device.history.incidents if name == "incidents" else getattr(device, name)
    return rows.drop("step_no", "cell_no", strict=False)
