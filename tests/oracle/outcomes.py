"""Sections 2 to 5 and the `outcomes` table of section 8: one row per Device in scope."""

from .actual import actual_verdict
from .evidence import gather, gather_world, resolve_as_at, rows_by_device
from .explain import cause_verdict, causes_by_check
from .reported import in_scope, reported_verdict
from .suppliers import changed_supplier_at, supplier_at_as_at, supplier_at_commissioning

OUTCOME_COLUMNS = (
    "device_id",
    "device_type",
    "csp_region",
    "manufacturer",
    "model",
    "firmware_version",
    "commissioned_at",
    "due_at",
    "supplier_at_commissioning",
    "supplier",
    "changed_supplier_at",
    "network_operator",
    "reported",
    "reported_passed_at",
    "unmet_checks",
    "actual",
    "faults",
    "device_keys",
    "verified_at",
    "finding",
    "cause",
    "causes",
)

FINDINGS = {
    ("failed", "secure"): "over_reported",
    ("failed", "not_secure"): "confirmed_failure",
    ("failed", "unverified"): "unverified_failure",
    ("passed", "secure"): "confirmed_pass",
    ("passed", "not_secure"): "missed_failure",
    ("passed", "unverified"): "unverified_pass",
}


def outcomes(clean, as_at=None, grace_days=7):
    return [outcome for outcome, _ in judged_devices(clean, as_at, grace_days)]


def judged_devices(clean, as_at, grace_days):
    """Each Device in scope with its outcome and the causes that hold for each unmet check."""
    as_at = resolve_as_at(clean, as_at)
    if as_at is None:  # no row has a time, so no Device is commissioned "not later than" it
        return []
    world, indexed = gather_world(clean), rows_by_device(clean)
    # The same row may stand twice; a second copy changes no verdict.
    devices = {row["device_id"]: row for row in clean.get("devices", []) if in_scope(row, as_at)}
    return [judge(gather(indexed, devices[key], as_at, world), grace_days) for key in sorted(devices)]


def judge(evidence, grace_days):
    device = evidence.device
    reported, actual = reported_verdict(evidence, grace_days), actual_verdict(evidence)
    holding = causes_by_check(reported["unmet_checks"], evidence)
    outcome = {
        **device,
        **reported,
        **actual,
        **cause_verdict(reported["reported"], holding),
        "supplier_at_commissioning": supplier_at_commissioning(evidence),
        "supplier": supplier_at_as_at(evidence),
        "changed_supplier_at": changed_supplier_at(evidence),
        "network_operator": device["network_operator_id"],
        "finding": finding(reported["reported"], actual["actual"]),
    }
    return {column: outcome[column] for column in OUTCOME_COLUMNS}, holding


def finding(reported, actual):
    """Not due: the finding is `not_due`, whatever `actual` is."""
    return "not_due" if reported == "not_due" else FINDINGS[reported, actual]
