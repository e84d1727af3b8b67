"""Section 6: what would be reported under every set of amendments to the criteria."""

from itertools import combinations

from .outcomes import judged_devices

AMENDMENTS = {
    "accept_change_of_supplier": "change_of_supplier",
    "accept_handover": "dcc_credential_handover",
    "accept_empty_status": "empty_status",
    "accept_timeout": "timeout",
}


def amendments(clean, as_at=None, grace_days=7):
    """All 16 sets, with and without evidence for all amendments alike."""
    judged = judged_devices(clean, as_at, grace_days)
    return [
        {"amendments": list(chosen), "evidence": evidence, **counts_under(chosen, evidence, judged)}
        for size in range(len(AMENDMENTS) + 1)
        for chosen in combinations(AMENDMENTS, size)
        for evidence in (False, True)
    ]


def counts_under(chosen, evidence, judged):
    amended = [(amended_report(row, holding, chosen, evidence), row["actual"]) for row, holding in judged]
    return {
        "reported_failures": sum(reported == "failed" for reported, _ in amended),
        "over_reported": amended.count(("failed", "secure")),
        "missed_failures": amended.count(("passed", "not_secure")),
    }


def amended_report(outcome, holding, chosen, evidence):
    """Passes instead when every unmet check has a holding cause whose amendment is in the set.

    Where that amendment asks for evidence, `actual` must be `secure` too.
    """
    if outcome["reported"] != "failed":
        return outcome["reported"]
    accepted = {AMENDMENTS[amendment] for amendment in chosen}
    every_check_excused = all(accepted.intersection(found) for found in holding.values())
    evidenced = outcome["actual"] == "secure" or not evidence
    return "passed" if every_check_excused and evidenced else "failed"
