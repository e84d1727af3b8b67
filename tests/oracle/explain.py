"""Section 5: the causes that hold for an unmet check."""

from .contract import is_success
from .evidence import got_no_response, is_empty_status
from .reported import DSP_CHECKS, attempts_at
from .suppliers import changed_supplier_at


def was_handed_over(name, evidence):
    """It is `update_network_operator`, and an SRV 6.21 with role NetworkOperator succeeded."""
    return name == "update_network_operator" and any(
        row["srv"] == "6.21" and row["remote_party_role"] == "NetworkOperator" and is_success(row)
        for row in evidence.attempts
    )


def had_empty_status(name, evidence):
    """Some attempt at it has code `I0` and an empty status."""
    return any(is_empty_status(row) for row in attempts_at(name, evidence))


def timed_out(name, evidence):
    """Some attempt at it got no Response."""
    return any(got_no_response(row) for row in attempts_at(name, evidence))


def changed_supplier(name, evidence):
    """It is a user check, and `changed_supplier_at` is not null."""
    return name not in DSP_CHECKS and changed_supplier_at(evidence) is not None


PRECEDENCE = {
    "dcc_credential_handover": was_handed_over,
    "empty_status": had_empty_status,
    "timeout": timed_out,
    "change_of_supplier": changed_supplier,
}


def causes_by_check(unmet_checks, evidence):
    return {name: [cause for cause, holds in PRECEDENCE.items() if holds(name, evidence)] for name in unmet_checks}


def cause_verdict(reported, holding):
    """`cause` is the first if *every* unmet check has at least one; unless reported failed both are null."""
    if reported != "failed":
        return {"cause": None, "causes": None}
    causes = [cause for cause in PRECEDENCE if any(cause in found for found in holding.values())]
    explained = all(holding.values())
    return {"cause": causes[0] if explained else "unexplained", "causes": causes}
