"""Section 2: the reported verdict, by the criteria in force."""

from datetime import timedelta

from .contract import is_success

ALL_TYPES = ("ESME", "GSME", "GPF", "CHF")
NETWORK_OPERATOR_TYPES = ("ESME", "GPF")

# check -> (SRV, column, value, types); the order is the contract's.
USER_CHECKS = {
    "issue_digital_signature": ("6.17", "credential_type", "Digital Signature", ALL_TYPES),
    "issue_key_agreement": ("6.17", "credential_type", "Key Agreement", ALL_TYPES),
    "update_digital_signature": ("6.15.2", "credential_type", "Digital Signature", ALL_TYPES),
    "update_key_agreement": ("6.15.2", "credential_type", "Key Agreement", ALL_TYPES),
    "update_network_operator": ("6.15.1", "remote_party_role", "NetworkOperator", NETWORK_OPERATOR_TYPES),
}
DSP_CHECKS = ("communicating", "recovery_cell")
OUT_OF_SCOPE_STATUSES = ("Pending", "Whitelisted", "InstalledNotCommissioned", "Decommissioned", "Withdrawn")


def in_scope(device, as_at):
    """In the matrix, commissioned, not later than `as_at`, and in none of the five statuses."""
    return (
        device["device_type"] in ALL_TYPES
        and device["commissioned_at"] is not None
        and device["commissioned_at"] <= as_at
        and device["device_status"] not in OUT_OF_SCOPE_STATUSES
    )


def checks_of(device_type):
    user_checks = [name for name, (*_, types) in USER_CHECKS.items() if device_type in types]
    return user_checks + list(DSP_CHECKS)


def attempts_at(name, evidence):
    """An attempt at a check has its SRV and credential type or role; a DSP check has no attempts."""
    if name in DSP_CHECKS:
        return []
    srv, column, value, _ = USER_CHECKS[name]
    return [row for row in evidence.attempts if row["srv"] == srv and row[column] == value]


def met_at(name, evidence):
    """A check is met at the earliest of its successes; null when it has none."""
    if name in DSP_CHECKS:
        rows = evidence.dsp_checks
        times = [row["checked_at"] for row in rows if row["check"] == name and row["passed"]]
    else:
        times = [row["responded_at"] for row in attempts_at(name, evidence) if is_success(row)]
    return min(times, default=None)


def reported_verdict(evidence, grace_days):
    """`passed` if every check is met; otherwise `not_due` if `due_at` > `as_at`, else `failed`."""
    times = {name: met_at(name, evidence) for name in checks_of(evidence.device["device_type"])}
    unmet = [name for name, time in times.items() if time is None]
    due_at = evidence.device["commissioned_at"] + timedelta(days=grace_days)
    otherwise = "not_due" if due_at > evidence.as_at else "failed"
    return {
        "due_at": due_at,
        "reported": otherwise if unmet else "passed",
        "reported_passed_at": None if unmet else max(times.values()),
        "unmet_checks": unmet,
    }
