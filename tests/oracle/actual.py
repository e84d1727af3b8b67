"""Section 3: the actual verdict, by the certificates on the Device."""

from datetime import datetime, time

from .evidence import certificate_of, is_open, time_of
from .suppliers import last_change_of_supplier, supplier_at_as_at

SUPPLIER = [("Supplier", "DigitalSigning"), ("Supplier", "KeyAgreement")]
NETWORK_OPERATOR = [("NetworkOperator", "DigitalSigning"), ("NetworkOperator", "KeyAgreement")]
ACB = [("ACB", "DigitalSigning"), ("ACB", "KeyAgreement")]
RECOVERY = [("Recovery", "DigitalSigning")]

REQUIRED_CELLS = {
    "ESME": SUPPLIER + NETWORK_OPERATOR + RECOVERY,
    "GPF": SUPPLIER + NETWORK_OPERATOR + RECOVERY,
    "GSME": SUPPLIER + RECOVERY,
    "CHF": ACB + RECOVERY,
}
FAULTS = ("wrong_party", "dcc_credentials", "supplier_credentials", "missing", "unknown_certificate")
WORST_FIRST = (*FAULTS, "not_judged", "not_read", "right")
CREDENTIAL_TYPE_OF = {"DigitalSigning": "Digital Signature", "KeyAgreement": "Key Agreement"}


def actual_verdict(evidence):
    cells = {cell: cell_verdict(cell, evidence) for cell in REQUIRED_CELLS[evidence.device["device_type"]]}
    verdicts = [verdict for verdict, _ in cells.values()]
    device_keys = device_keys_verdict(evidence)
    if device_keys == "not_in_use" or any(verdict in FAULTS for verdict in verdicts):
        actual = "not_secure"
    elif "not_read" in verdicts or "not_judged" in verdicts:
        actual = "unverified"
    else:
        actual = "secure"
    return {
        "actual": actual,
        "faults": faults_of(cells, device_keys),
        "device_keys": device_keys,
        "verified_at": None if actual == "unverified" else oldest_read_at(cells),
    }


def faults_of(cells, device_keys):
    """Those bad verdicts as `Role/Usage: verdict`, then `Device: not_in_use`."""
    bad = {cell: verdict for cell, (verdict, _) in cells.items() if verdict in FAULTS}
    faults = [f"{role}/{usage}: {verdict}" for (role, usage), verdict in bad.items()]
    return faults + (["Device: not_in_use"] if device_keys == "not_in_use" else [])


def oldest_read_at(cells):
    """The oldest `read_at` among the rows of the required cells that are not `not_read`."""
    return min((read_at for verdict, read_at in cells.values() if verdict != "not_read"), default=None)


def cell_verdict(cell, evidence):
    """Of the latest row by `read_at` (at the same instant: the worst verdict), with that `read_at`."""
    role, _ = cell
    rows = latest_reads(cell, evidence)
    if not rows or is_stale(rows[0]["read_at"], role, evidence):
        return "not_read", None
    verdicts = [row_verdict(row, role, evidence) for row in rows]
    return min(verdicts, key=WORST_FIRST.index), rows[0]["read_at"]


def latest_reads(cell, evidence):
    rows = [row for row in evidence.reads if (row["remote_party_role"], row["certificate_usage"]) == cell]
    latest = max((row["read_at"] for row in rows), default=None)
    return [row for row in rows if row["read_at"] == latest]


def is_stale(read_at, role, evidence):
    """`read_at` earlier than the last thing that may have changed the role's cells."""
    return any(read_at < changed_at for changed_at in changes_of(role, evidence))


def changes_of(role, evidence):
    """Other cells are never stale."""
    if role not in ("Supplier", "NetworkOperator"):
        return []
    times = [time_of(row) for row in evidence.attempts if is_open(row) and may_change(role, row)]
    change_day = last_change_of_supplier(evidence)
    if role == "Supplier" and change_day is not None:
        times.append(datetime.combine(change_day, time.min))
    return times


def may_change(role, attempt):
    """6.15.1 or 6.21 with the role as remote_party_role; 6.23 changes Supplier cells whatever it names."""
    if attempt["srv"] == "6.23":
        return role == "Supplier"
    return attempt["srv"] in ("6.15.1", "6.21") and attempt["remote_party_role"] == role


def row_verdict(row, role, evidence):
    """Rules 2 to 7: the first that holds."""
    world, subject = evidence.world, row["subject_unique_id"]
    expected = expected_euis(role, evidence)
    if row["status_code"] != "success":
        return "missing"
    if not expected:
        return "not_judged"
    accepted_as = role if subject in expected else None
    if role == "NetworkOperator" and accepted_as is None:
        if is_dcc_user(evidence) and (subject, "ACB") in world.euis:
            return "dcc_credentials"
        # An ACB's EUI is accepted in the NetworkOperator cell of an operator that is no DCC User.
        accepted_as = "ACB" if (subject, "ACB") in world.euis else None
        if accepted_as is None and (subject, "Supplier") in world.euis:
            return "supplier_credentials"
    if accepted_as is None:
        return "wrong_party"
    return "right" if certificate_of(row, accepted_as) in world.in_use else "unknown_certificate"


def expected_euis(role, evidence):
    """The EUIs of the expected party in that role; empty when it is unknown."""
    world = evidence.world
    if role in ("Recovery", "ACB"):
        return {eui for eui, held_role in world.euis if held_role == role}
    supplier = supplier_at_as_at(evidence)
    party = supplier if role == "Supplier" else evidence.device["network_operator_id"]
    return world.euis_of.get((party, role), set())


def is_dcc_user(evidence):
    return evidence.device["network_operator_id"] in evidence.world.dcc_users


def device_keys_verdict(evidence):
    """`not_in_use` if either is read and bad; else `in_use` if both are read; else `not_read`."""
    verdicts = [device_key_verdict(usage, evidence) for usage in CREDENTIAL_TYPE_OF]
    if "not_in_use" in verdicts:
        return "not_in_use"
    return "not_read" if "not_read" in verdicts else "in_use"


def device_key_verdict(usage, evidence):
    """Stale, so not read, if earlier than an open 6.15.2 of that credential type; else a bad row wins."""
    rows = latest_reads(("Device", usage), evidence)
    replaced = [
        time_of(row)
        for row in evidence.attempts
        if row["srv"] == "6.15.2" and row["credential_type"] == CREDENTIAL_TYPE_OF[usage] and is_open(row)
    ]
    if not rows or any(rows[0]["read_at"] < replaced_at for replaced_at in replaced):
        return "not_read"
    return "in_use" if all(is_device_key_in_use(row, evidence) for row in rows) else "not_in_use"


def is_device_key_in_use(row, evidence):
    """The certificate's `subject_unique_id` is the Device's EUI and the row's."""
    return (
        row["status_code"] == "success"
        and row["subject_unique_id"] == row["device_id"]
        and certificate_of(row, "Device") in evidence.world.in_use
    )
