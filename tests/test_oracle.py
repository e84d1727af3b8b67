"""The oracle against answers worked by hand: a small table in, the expected answer beside it."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta, timezone
from random import Random

import oracle
import pyarrow.parquet as pq
import pytest
from estates import (
    BUILD_START,
    FAR_FUTURE,
    SCHEMAS,
    as_ats,
    cases,
    estates,
    grace_days,
    make_estate,
    write_estate,
)
from hypothesis import HealthCheck, given, settings
from oracle.actual import REQUIRED_CELLS, cell_verdict
from oracle.evidence import gather, gather_world, rows_by_device
from oracle.rates import wilson
from oracle.suppliers import last_change_of_supplier
from statsmodels.stats.proportion import proportion_confint

quick = settings(
    max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)

# --- a Device that passes and is secure, and the words the tables below are written in -----------------

DEVICE = "90-B3-D5-1F-30-01-00-01"
EUIS = {
    name: f"90-B3-D5-1F-30-02-00-{number:02X}"
    for number, name in enumerate(["s1", "s1b", "s2", "n1", "n1b", "q1", "acb", "acb_s2", "rec", "nobody"])
} | {"device": DEVICE}
KEYS = {
    "key": "C0-00-00-00-00-00-00-01",
    "other": "C0-00-00-00-00-00-00-02",
    "old": "C0-00-00-00-00-00-00-03",
}
# S-NONE and N-NONE have no EUI; N-QUIET is no DCC User; acb_s2 is an ACB's and a Supplier's.
PARTIES = """
eui    | party_id | role            | is_dcc_user
s1     | S-ONE    | Supplier        | yes
s1b    | S-ONE    | Supplier        | yes
s2     | S-TWO    | Supplier        | yes
n1     | N-USER   | NetworkOperator | no
n1b    | N-USER   | NetworkOperator | yes
q1     | N-QUIET  | NetworkOperator | no
acb    | DCC      | ACB             | yes
acb_s2 | DCC      | ACB             | yes
acb_s2 | S-TWO    | Supplier        | yes
rec    | DCC      | Recovery        | yes
"""
PASSES = """
srv    | credential_type   | remote_party_role
6.17   | Digital Signature |
6.17   | Key Agreement     |
6.15.2 | Digital Signature |
6.15.2 | Key Agreement     |
6.15.1 |                   | NetworkOperator
"""
RIGHT = """
remote_party_role | certificate_usage | subject
Supplier          | DigitalSigning    | s1
Supplier          | KeyAgreement      | s1
NetworkOperator   | DigitalSigning    | n1
NetworkOperator   | KeyAgreement      | n1
Recovery          | DigitalSigning    | rec
ACB               | DigitalSigning    | acb
ACB               | KeyAgreement      | acb
Device            | DigitalSigning    | device
Device            | KeyAgreement      | device
"""
CHECKS = [
    "issue_digital_signature",
    "issue_key_agreement",
    "update_digital_signature",
    "update_key_agreement",
    "update_network_operator",
    "communicating",
    "recovery_cell",
]


def table(text):
    """Rows of a table; a blank cell is null and '' is the empty text."""
    header, *lines = [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()]
    assert all(len(line) == len(header) for line in lines)
    return [
        {name: {"": None, "''": ""}.get(cell, cell) for name, cell in zip(header, line, strict=True)} for line in lines
    ]


def each(text):
    """One test a row of the table."""
    return pytest.mark.parametrize(
        "row", [pytest.param(row, id=" ".join(map(str, row.values()))) for row in table(text)]
    )


def day(text):
    """`8` or `8 12:00`, of March 2021."""
    if text is None:
        return None
    number, _, clock = str(text).partition(" ")
    hours, minutes = clock.split(":") if clock else (0, 0)
    return datetime(2021, 2, 28) + timedelta(days=int(number), hours=int(hours), minutes=int(minutes))


def listed(cell):
    return [] if cell is None else cell.split(", ")


def device(**changes):
    usual = {
        "device_id": DEVICE,
        "device_type": "ESME",
        "device_status": "Commissioned",
        "csp_region": "North",
        "manufacturer": "Acme",
        "model": "M1",
        "firmware_version": "1.0",
        "commissioned_at": day("1"),
        "responsible_supplier_id": "S-ONE",
        "network_operator_id": "N-USER",
    }
    return usual | changes


def response(srv="6.17", sent="2", responded="2", code="I0", status="success", variant=5, **changes):
    usual = {
        "originator_id": EUIS["s1"],
        "device_id": DEVICE,
        "originator_counter": 1,
        "srv": srv,
        "command_variant": variant,
        "credential_type": None,
        "remote_party_role": None,
        "sent_at": day(sent),
        "responded_at": day(responded),
        "response_code": code,
        "execution_status": status,
    }
    return usual | changes


def dsp_check(name, at="2", passed=True):
    return {"device_id": DEVICE, "check": name, "checked_at": day(at), "passed": passed}


def read(role, usage, subject, key="key", at="9", status="success"):
    return {
        "device_id": DEVICE,
        "read_at": day(at),
        "remote_party_role": role,
        "certificate_usage": usage,
        "status_code": status,
        "subject_unique_id": EUIS.get(subject),
        "subject_key_identifier": KEYS.get(key),
    }


def spell(text, device_id=DEVICE):
    """`S-ONE 1..5`: from 1 March, up to and without 5 March; nothing after the dots: still in force."""
    supplier, _, days = text.partition(" ")
    starts, ends = days.split("..")
    return {
        "device_id": device_id,
        "supplier_id": supplier,
        "effective_from": day(starts).date(),
        "effective_to": day(ends).date() if ends else None,
    }


def certificate(subject, role, usage, key="key", status="InUse"):
    return {
        "subject_unique_id": EUIS[subject],
        "remote_party_role": role,
        "certificate_usage": usage,
        "subject_key_identifier": KEYS[key],
        "status": status,
    }


def party(row):
    changes = {"eui": EUIS[row["eui"]], "is_dcc_user": row["is_dcc_user"] == "yes"}
    return {"party_name": row["party_id"], "category": "Other SEC Parties", **row, **changes}


def usual_certificates():
    owners = [(row["eui"], row["role"]) for row in table(PARTIES)] + [("device", "Device")]
    usages = ["DigitalSigning", "KeyAgreement"]
    in_use = [certificate(*owner, usage) for owner in owners for usage in usages]
    return in_use + [certificate("s1", "Supplier", usage, "old", "Revoked") for usage in usages]


def estate(device_changes=None, **changes):
    """A Device that passes and is secure at 10 March, with some extracts changed."""
    usual = {
        "devices": [device(**(device_changes or {}))],
        "service_responses": [response(**row) for row in table(PASSES)],
        "dsp_checks": [dsp_check("communicating"), dsp_check("recovery_cell")],
        "registrations": [],
        "credential_reads": [
            read(row["remote_party_role"], row["certificate_usage"], row["subject"]) for row in table(RIGHT)
        ],
        "certificates": usual_certificates(),
        "parties": [party(row) for row in table(PARTIES)],
    }
    return usual | changes


def judged(extracts, as_at="10", grace_days=7):
    """The outcome of the one Device, or None when it is not in scope."""
    clean, quarantine = oracle.check(extracts, BUILD_START)
    assert quarantine == []
    rows = oracle.outcomes(clean, day(as_at), grace_days)
    return rows[0] if rows else None


def known(extracts, as_at="10"):
    clean, _ = oracle.check(extracts, BUILD_START)
    return gather(rows_by_device(clean), clean["devices"][0], day(as_at), gather_world(clean))


def without(extracts, extract, **values):
    """The extract less its rows with those values."""
    return [row for row in extracts[extract] if any(row[name] != value for name, value in values.items())]


def with_attempt(*attempts, replaces="issue_digital_signature", **kwargs):
    """The usual estate with these attempts in place of the success of one check."""
    extracts = estate(**kwargs)
    index = CHECKS.index(replaces)
    del extracts["service_responses"][index]
    extracts["service_responses"] += attempts
    return extracts


def verdict_of(cell, extracts, as_at="10"):
    return cell_verdict(cell, known(extracts, as_at))[0]


# --- section 2: the reported verdict -------------------------------------------------------------------


def test_a_device_with_everything_passes_and_is_secure():
    outcome = judged(estate())
    assert outcome == {
        "device_id": DEVICE,
        "device_type": "ESME",
        "csp_region": "North",
        "manufacturer": "Acme",
        "model": "M1",
        "firmware_version": "1.0",
        "commissioned_at": day("1"),
        "due_at": day("8"),
        "supplier_at_commissioning": "S-ONE",
        "supplier": "S-ONE",
        "changed_supplier_at": None,
        "network_operator": "N-USER",
        "reported": "passed",
        "reported_passed_at": day("2"),
        "unmet_checks": [],
        "actual": "secure",
        "faults": [],
        "device_keys": "in_use",
        "verified_at": day("9"),
        "finding": "confirmed_pass",
        "cause": None,
        "causes": None,
    }


@each("""
type   | status                   | commissioned | in_scope
ESME   | Commissioned             | 1            | yes
GSME   | Suspended                | 1            | yes
GPF    | Recovery                 | 1            | yes
CHF    | Recovered                | 1            | yes
ESME   | no such status           | 1            | yes
ESME   | Commissioned             | 10           | yes
ESME   | Commissioned             | 10 00:01     | no
ESME   | Commissioned             |              | no
ESME   | Pending                  | 1            | no
ESME   | Whitelisted              | 1            | no
ESME   | InstalledNotCommissioned | 1            | no
ESME   | Decommissioned           | 1            | no
ESME   | Withdrawn                | 1            | no
HCALCS | Commissioned             | 1            | no
PPMID  | Commissioned             | 1            | no
esme   | Commissioned             | 1            | no
""")
def test_scope(row):
    changes = {"device_type": row["type"], "device_status": row["status"]}
    outcome = judged(estate({**changes, "commissioned_at": day(row["commissioned"])}))
    assert (outcome is not None) == (row["in_scope"] == "yes")


@each("""
type | checks
ESME | issue_digital_signature, issue_key_agreement, update_digital_signature, update_key_agreement, update_network_operator, communicating, recovery_cell
GSME | issue_digital_signature, issue_key_agreement, update_digital_signature, update_key_agreement, communicating, recovery_cell
GPF  | issue_digital_signature, issue_key_agreement, update_digital_signature, update_key_agreement, update_network_operator, communicating, recovery_cell
CHF  | issue_digital_signature, issue_key_agreement, update_digital_signature, update_key_agreement, communicating, recovery_cell
""")  # noqa: E501 - a table's row is one line
def test_without_any_success_every_check_of_the_type_is_unmet(row):
    outcome = judged(estate({"device_type": row["type"]}, service_responses=[], dsp_checks=[]))
    assert outcome["unmet_checks"] == listed(row["checks"])


# An attempt at issue_digital_signature in place of its success; as_at is 10 March.
@each("""
variant | sent | responded | code    | status         | met | causes
5       | 2    | 2         | I0      | success        | yes |
7       | 2    | 2         | I0      | success        | yes |
        | 2    | 2         | I0      | success        | yes |
4       | 2    | 2         | I0      | success        | no  |
4       | 2    |           | I0      | success        | no  |
4       | 2    |           |         |                | no  |
5       | 2    | 2         | I0      |                | no  | empty_status
5       | 2    | 2         | I0      | ''             | no  | empty_status
5       | 2    | 2         | I0      | partial        | no  |
5       | 2    | 2         | I0      | failure        | no  |
5       | 2    | 2         | I0      | Success        | no  |
5       | 2    | 2         | i0      | success        | no  |
5       | 2    |           |         |                | no  | timeout
5       | 2    | 2         |         | success        | no  | timeout
5       | 2    |           | I99     |                | no  | timeout
5       | 2    | 2         | E20     | success        | no  | timeout
5       | 2    | 2         | E21     |                | no  | timeout
5       | 2    | 2         | E30     |                | no  | timeout
5       | 2    | 2         | E4      |                | no  |
5       | 2    | 2         | E061501 | success        | no  |
5       | 2    | 2         | E999    |                | no  |
5       | 10   | 10        | I0      | success        | yes |
5       | 2    | 10        | I0      | success        | yes |
5       | 2    | 10 00:01  | I0      | success        | no  | timeout
5       | 2    | 10 00:01  | I0      | ''             | no  | timeout
5       | 2    | 10 00:01  | E4      |                | no  | timeout
5       |10 00:01| 10 00:01| I0      | success        | no  |
""")
def test_attempt_at_a_check(row):
    attempt = response(
        "6.17",
        row["sent"],
        row["responded"],
        row["code"],
        row["status"],
        variant=int(row["variant"]) if row["variant"] else None,
        credential_type="Digital Signature",
    )
    outcome = judged(with_attempt(attempt))
    assert outcome["unmet_checks"] == ([] if row["met"] == "yes" else ["issue_digital_signature"])
    assert outcome["causes"] == (None if row["met"] == "yes" else listed(row["causes"]))
    assert outcome["cause"] == (None if row["met"] == "yes" else row["causes"] or "unexplained")


# A lone success; the check it satisfies.
@each("""
srv    | credential_type   | remote_party_role | satisfies
6.17   | Digital Signature |                   | issue_digital_signature
6.17   | Digital Signature | Martian           | issue_digital_signature
6.17   | Key Agreement     |                   | issue_key_agreement
6.15.2 | Digital Signature |                   | update_digital_signature
6.15.2 | Key Agreement     |                   | update_key_agreement
6.15.1 |                   | NetworkOperator   | update_network_operator
6.15.1 | Key Agreement     | NetworkOperator   | update_network_operator
6.15.1 |                   | Supplier          |
6.15.1 |                   |                   |
6.17   | digital signature |                   |
6.17   |                   |                   |
6.21   |                   | NetworkOperator   |
6.23   |                   | NetworkOperator   |
6.2    | Digital Signature | NetworkOperator   |
""")
def test_what_satisfies_a_user_check(row):
    outcome = judged(estate(service_responses=[response(**{k: v for k, v in row.items() if k != "satisfies"})]))
    assert [name for name in CHECKS[:5] if name not in outcome["unmet_checks"]] == listed(row["satisfies"])


@each("""
check         | at       | passed | met
communicating | 2        | yes    | yes
communicating | 2        | no     | no
communicating | 10       | yes    | yes
communicating | 10 00:01 | yes    | no
Communicating | 2        | yes    | no
recovery_cell | 2        | yes    | no
""")
def test_dsp_check(row):
    checks = [dsp_check(row["check"], row["at"], row["passed"] == "yes"), dsp_check("recovery_cell")]
    outcome = judged(estate(dsp_checks=checks))
    assert outcome["unmet_checks"] == ([] if row["met"] == "yes" else ["communicating"])


def test_a_check_is_met_at_its_earliest_success_and_the_device_at_the_latest_check():
    extracts = estate()
    extracts["service_responses"] += [
        response("6.17", "4", "5", credential_type="Digital Signature"),
        response("6.15.1", "2", "3", remote_party_role="NetworkOperator"),
        response("6.15.2", "0", "0", credential_type="Key Agreement"),
    ]
    extracts["service_responses"][4]["responded_at"] = day("4")
    assert judged(extracts)["reported_passed_at"] == day("3")


def test_success_before_commissioning_counts_like_any_other():
    extracts = estate({"commissioned_at": day("5")})
    assert (judged(extracts)["reported"], judged(extracts)["reported_passed_at"]) == ("passed", day("2"))


@each("""
grace | as_at    | complete | reported
7     | 7 23:59  | no       | not_due
7     | 8        | no       | failed
7     | 8 00:01  | no       | failed
7     | 3        | yes      | passed
0     | 3        | no       | failed
30    | 10       | no       | not_due
30    | 10       | yes      | passed
""")
def test_due(row):
    extracts = estate() if row["complete"] == "yes" else estate(dsp_checks=[dsp_check("communicating", "2", False)])
    outcome = judged(extracts, row["as_at"], int(row["grace"]))
    assert outcome["reported"] == row["reported"]
    assert outcome["due_at"] == day("1") + timedelta(days=int(row["grace"]))


def test_not_due_has_no_cause_and_the_finding_not_due():
    outcome = judged(estate(service_responses=[]), as_at="7")
    assert (outcome["finding"], outcome["cause"], outcome["causes"]) == ("not_due", None, None)
    assert outcome["unmet_checks"] == CHECKS[:5]


# --- section 3: cells ----------------------------------------------------------------------------------


# One DigitalSigning read in place of the right one of that role; the supplier is S-ONE.
@each("""
role            | operator | status   | subject | key   | verdict
Supplier        | N-USER   | success  | s1      | key   | right
Supplier        | N-USER   | success  | s1b     | key   | right
Supplier        | N-USER   | success  | s2      | key   | wrong_party
Supplier        | N-USER   | success  | n1      | key   | wrong_party
Supplier        | N-USER   | success  | acb     | key   | wrong_party
Supplier        | N-USER   | success  |         | key   | wrong_party
Supplier        | N-USER   | success  | s1      | other | unknown_certificate
Supplier        | N-USER   | success  | s1      | old   | unknown_certificate
Supplier        | N-USER   | success  | s1      |       | unknown_certificate
Supplier        | N-USER   | trustAnchorNotFound | s1 | key | missing
Supplier        | N-USER   | SUCCESS  | s1      | key   | missing
NetworkOperator | N-USER   | success  | n1      | key   | right
NetworkOperator | N-USER   | success  | n1b     | key   | right
NetworkOperator | N-USER   | success  | n1      | other | unknown_certificate
NetworkOperator | N-USER   | success  | q1      | key   | wrong_party
NetworkOperator | N-USER   | success  | nobody  | key   | wrong_party
NetworkOperator | N-USER   | success  |         | key   | wrong_party
NetworkOperator | N-USER   | success  | rec     | key   | wrong_party
NetworkOperator | N-USER   | success  | acb     | key   | dcc_credentials
NetworkOperator | N-USER   | success  | acb     | other | dcc_credentials
NetworkOperator | N-USER   | success  | acb_s2  | key   | dcc_credentials
NetworkOperator | N-USER   | success  | s1      | key   | supplier_credentials
NetworkOperator | N-USER   | badCertificate | acb | key | missing
NetworkOperator | N-QUIET  | success  | q1      | key   | right
NetworkOperator | N-QUIET  | success  | acb     | key   | right
NetworkOperator | N-QUIET  | success  | acb     | other | unknown_certificate
NetworkOperator | N-QUIET  | success  | acb_s2  | key   | right
NetworkOperator | N-QUIET  | success  | s1      | key   | supplier_credentials
NetworkOperator | N-QUIET  | success  | n1      | key   | wrong_party
NetworkOperator | N-NONE   | success  | n1      | key   | not_judged
NetworkOperator | N-NONE   | success  | acb     | key   | not_judged
NetworkOperator | N-NONE   | noTrustAnchor | n1 | key   | missing
NetworkOperator |          | success  | acb     | key   | not_judged
NetworkOperator | S-ONE    | success  | s1      | key   | not_judged
Recovery        | N-USER   | success  | rec     | key   | right
Recovery        | N-USER   | success  | acb     | key   | wrong_party
Recovery        | N-USER   | success  | rec     | other | unknown_certificate
ACB             | N-USER   | success  | acb     | key   | right
ACB             | N-USER   | success  | acb_s2  | key   | right
ACB             | N-USER   | success  | rec     | key   | wrong_party
""")
def test_cell_verdict(row):
    extracts = estate({"network_operator_id": row["operator"]})
    cell = (row["role"], "DigitalSigning")
    extracts["credential_reads"] = [read(*cell, row["subject"], row["key"], status=row["status"])]
    assert verdict_of(cell, extracts) == row["verdict"]


@each("""
supplier | spells                    | subject | verdict
         |                           | s1      | not_judged
S-NONE   |                           | s1      | not_judged
S-ONE    |                           | s1      | right
S-ONE    | S-TWO 0..                 | s2      | right
S-ONE    | S-TWO 0..                 | s1      | wrong_party
S-ONE    | S-NONE 0..                | s1      | not_judged
S-ONE    | S-ONE 0..9, S-TWO 9..     | s2      | right
S-ONE    | S-ONE 0..10, S-TWO 10..   | s2      | not_read
S-ONE    | S-ONE 0..11, S-TWO 11..   | s1      | right
""")
def test_the_supplier_expected_is_the_one_registered_at_as_at(row):
    extracts = estate({"responsible_supplier_id": row["supplier"]})
    extracts["registrations"] = [spell(text) for text in listed(row["spells"])]
    extracts["credential_reads"] = [read("Supplier", "DigitalSigning", row["subject"])]
    assert verdict_of(("Supplier", "DigitalSigning"), extracts) == row["verdict"]


def test_without_any_recovery_or_acb_party_those_cells_are_not_judged():
    extracts = estate()
    extracts["parties"] = [row for row in extracts["parties"] if row["role"] in ("Supplier", "NetworkOperator")]
    cells = [("Recovery", "DigitalSigning"), ("ACB", "KeyAgreement")]
    assert [verdict_of(cell, extracts) for cell in cells] == ["not_judged", "not_judged"]


def test_an_operator_whose_supplier_row_is_a_dcc_user_is_itself_none():
    extracts = estate({"network_operator_id": "N-QUIET"})
    extracts["parties"].append(party({"eui": "q1", "party_id": "N-QUIET", "role": "Supplier", "is_dcc_user": "yes"}))
    extracts["credential_reads"] = [read("NetworkOperator", "DigitalSigning", "acb")]
    assert verdict_of(("NetworkOperator", "DigitalSigning"), extracts) == "right"


# Certificates of s1 in role Supplier, usage DigitalSigning, in place of the usual ones.
@each("""
certificates                | verdict
InUse                       | right
Revoked                     | unknown_certificate
Expired                     | unknown_certificate
inuse                       | unknown_certificate
                            | unknown_certificate
Revoked, InUse              | right
InUse, Expired              | right
""")
def test_only_a_certificate_in_use_makes_a_cell_right(row):
    cell = ("Supplier", "DigitalSigning")
    usual = [
        c for c in usual_certificates() if (c["subject_unique_id"], c["certificate_usage"]) != (EUIS["s1"], cell[1])
    ]
    extracts = estate(certificates=usual + [certificate("s1", *cell, "key", s) for s in listed(row["certificates"])])
    assert verdict_of(cell, extracts) == row["verdict"]


@each("""
subject | role            | usage          | verdict
s1      | Supplier        | DigitalSigning | right
s1      | NetworkOperator | DigitalSigning | unknown_certificate
s1      | Supplier        | KeyAgreement   | unknown_certificate
s1b     | Supplier        | DigitalSigning | unknown_certificate
""")
def test_a_certificate_is_of_one_subject_role_and_usage(row):
    extracts = estate(certificates=[certificate(row["subject"], row["role"], row["usage"])])
    assert verdict_of(("Supplier", "DigitalSigning"), extracts) == row["verdict"]


def test_an_acb_in_the_cell_of_an_operator_that_is_no_user_needs_the_acbs_certificate():
    extracts = estate({"network_operator_id": "N-QUIET"})
    extracts["credential_reads"] = [read("NetworkOperator", "KeyAgreement", "acb")]
    extracts["certificates"] = [certificate("acb", "NetworkOperator", "KeyAgreement")]
    assert verdict_of(("NetworkOperator", "KeyAgreement"), extracts) == "unknown_certificate"
    extracts["certificates"] = [certificate("acb", "ACB", "KeyAgreement")]
    assert verdict_of(("NetworkOperator", "KeyAgreement"), extracts) == "right"


# Reads of one Supplier cell; at the same instant the worst verdict, else the latest.
@each("""
reads                     | verdict
8 s2, 9 s1                | right
9 s2, 8 s1                | wrong_party
9 s1, 9 s2                | wrong_party
9 s1, 9 s1                | right
9 s1, 10 s2               | wrong_party
9 s1, 10 00:01 s2         | right
""")
def test_the_latest_read_counts(row):
    cell = ("Supplier", "KeyAgreement")
    rows = [text.rsplit(" ", 1) for text in listed(row["reads"])]
    extracts = estate(credential_reads=[read(*cell, subject, at=at) for at, subject in rows])
    assert verdict_of(cell, extracts) == row["verdict"]


def test_the_worst_of_verdicts_at_one_instant():
    cell = ("NetworkOperator", "DigitalSigning")
    worst_first = [
        ("wrong_party", read(*cell, "q1")),
        ("dcc_credentials", read(*cell, "acb")),
        ("supplier_credentials", read(*cell, "s1")),
        ("missing", read(*cell, "n1", status="noTrustAnchor")),
        ("unknown_certificate", read(*cell, "n1", "other")),
        ("right", read(*cell, "n1")),
    ]
    for place, (verdict, _) in enumerate(worst_first):
        rows = [row for _, row in worst_first[place:]]
        assert verdict_of(cell, estate(credential_reads=rows[::-1])) == verdict


# One more attempt beside reads of 9 March; are the Supplier and the NetworkOperator cells still read?
@each("""
srv    | role            | variant | sent | responded | code | status  | supplier | operator
6.23   |                 | 5       | 9    | 9         | I0   | success | right    | right
6.23   |                 | 5       | 9    | 9 00:01   | I0   | success | not_read | right
6.23   | NetworkOperator | 5       | 9    | 9 00:01   | I0   | success | not_read | right
6.23   |                 | 4       | 9    | 9 00:01   | I0   | success | right    | right
6.23   |                 | 5       | 9    | 9 00:01   | I0   | failure | right    | right
6.23   |                 | 5       | 9    | 9 00:01   | E4   |         | right    | right
6.23   |                 | 5       | 9    | 9 00:01   | I0   | ''      | not_read | right
6.23   |                 | 5       | 9    | 9 00:01   | I0   |         | not_read | right
6.23   |                 | 5       | 9    | 9 00:01   | I0   | partial | not_read | right
6.23   |                 | 5       | 9    | 9 00:01   | E20  |         | not_read | right
6.23   |                 | 5       | 9    | 9 00:01   | E21  |         | not_read | right
6.23   |                 | 5       | 9    | 9 00:01   | E30  | partial | not_read | right
6.23   |                 | 5       | 9    | 9 00:01   | E30  | failure | not_read | right
6.23   |                 | 5       | 9    |           | I99  |         | right    | right
6.23   |                 | 5       |9 00:01|          |      |         | not_read | right
6.23   |                 | 5       | 8    | 10 00:01  | I0   | success | right    | right
6.23   |                 | 5       |9 00:01| 10 00:01 | I0   | failure | not_read | right
6.23   |                 | 5       |10 00:01| 10 00:01| I0   | success | right    | right
6.15.1 | Supplier        |         | 9    | 9 00:01   | I0   | success | not_read | right
6.15.1 | NetworkOperator | 7       | 9    | 9 00:01   | I0   | success | right    | not_read
6.15.1 | ACB             | 5       | 9    | 9 00:01   | I0   | success | right    | right
6.15.1 |                 | 5       | 9    | 9 00:01   | I0   | success | right    | right
6.21   | Supplier        | 5       | 9    | 9 00:01   | I0   | success | not_read | right
6.21   | NetworkOperator | 5       | 9    | 9 00:01   | I0   | success | right    | not_read
6.15.2 |                 | 5       | 9    | 9 00:01   | I0   | success | right    | right
""")
def test_a_read_is_stale_after_an_open_attempt(row):
    extracts = estate()
    extracts["service_responses"].append(
        response(
            row["srv"],
            row["sent"],
            row["responded"],
            row["code"],
            row["status"],
            variant=int(row["variant"]) if row["variant"] else None,
            remote_party_role=row["role"],
        )
    )
    verdicts = [verdict_of((role, "KeyAgreement"), extracts) for role in ("Supplier", "NetworkOperator")]
    assert verdicts == [row["supplier"], row["operator"]]


@each("""
spells                         | read    | verdict
S-TWO 0..9, S-ONE 9..          | 9       | right
S-TWO 0..9, S-ONE 9..          | 8 23:59 | not_read
S-TWO 0..4, S-ONE 4..          | 5       | right
S-ONE 0..4, S-ONE 4..          | 2       | right
""")
def test_a_supplier_cell_read_before_the_last_change_of_supplier_is_stale(row):
    extracts = estate(registrations=[spell(text) for text in listed(row["spells"])])
    extracts["credential_reads"] = [
        read(role, "KeyAgreement", subject, at=row["read"])
        for role, subject in [("Supplier", "s1"), ("NetworkOperator", "n1")]
    ]
    assert verdict_of(("Supplier", "KeyAgreement"), extracts) == row["verdict"]
    # A change of supplier leaves the other cells alone; the 6.15.1 of 2 March does not outlast these reads.
    assert verdict_of(("NetworkOperator", "KeyAgreement"), extracts) == "right"


def test_recovery_and_acb_cells_are_never_stale():
    extracts = estate()
    extracts["service_responses"] += [
        response(srv, "10", "10", remote_party_role=role)
        for srv in ("6.23", "6.21", "6.15.1")
        for role in ("Recovery", "ACB")
    ]
    cells = [("Recovery", "DigitalSigning"), ("ACB", "DigitalSigning")]
    assert [verdict_of(cell, extracts) for cell in cells] == ["right", "right"]


@each("""
type | cells
ESME | Supplier/DigitalSigning, Supplier/KeyAgreement, NetworkOperator/DigitalSigning, NetworkOperator/KeyAgreement, Recovery/DigitalSigning
GPF  | Supplier/DigitalSigning, Supplier/KeyAgreement, NetworkOperator/DigitalSigning, NetworkOperator/KeyAgreement, Recovery/DigitalSigning
GSME | Supplier/DigitalSigning, Supplier/KeyAgreement, Recovery/DigitalSigning
CHF  | ACB/DigitalSigning, ACB/KeyAgreement, Recovery/DigitalSigning
""")  # noqa: E501 - a table's row is one line
def test_every_required_cell_can_be_a_fault(row):
    extracts = estate({"device_type": row["type"]})
    extracts["credential_reads"] = [{**r, "status_code": "noTrustAnchor"} for r in extracts["credential_reads"]]
    outcome = judged(extracts)
    assert outcome["faults"] == [f"{cell}: missing" for cell in listed(row["cells"])] + ["Device: not_in_use"]
    assert outcome["actual"] == "not_secure"


@each("""
supplier | operator | keys  | actual     | faults                                          | verified_at
9 s1     | 8 n1     | key   | secure     |                                                 | 8
9 s1     | 8 n1     |       | secure     |                                                 | 8
9 s1     |          | key   | unverified |                                                 |
9 s2     |          | key   | not_secure | Supplier/KeyAgreement: wrong_party              | 9
         |          | other | not_secure | Device: not_in_use                              | 9
9 s2     | 8 acb    | other | not_secure | Supplier/KeyAgreement: wrong_party, NetworkOperator/KeyAgreement: dcc_credentials, Device: not_in_use | 8
""")  # noqa: E501 - a table's row is one line
def test_actual_verdict(row):
    """KeyAgreement reads and the Device's key, beside right DigitalSigning reads of 9 March."""
    reads = [r for r in estate()["credential_reads"] if r["certificate_usage"] == "DigitalSigning"]
    for role, cell in [("Supplier", row["supplier"]), ("NetworkOperator", row["operator"])]:
        reads += [read(role, "KeyAgreement", cell.split()[1], at=cell.split()[0])] if cell else []
    reads += [read("Device", "KeyAgreement", "device", row["keys"])] if row["keys"] else []
    outcome = judged(estate(credential_reads=reads))
    assert outcome["actual"] == row["actual"]
    assert outcome["faults"] == listed(row["faults"])
    assert outcome["verified_at"] == day(row["verified_at"])


def test_verified_at_counts_a_cell_that_is_not_judged_but_none_that_is_not_read():
    """The NetworkOperator read of 4 March is not judged; the Supplier one of 3 March is stale."""
    extracts = estate({"network_operator_id": "N-NONE"})
    extracts["credential_reads"] = [
        read("Supplier", "DigitalSigning", "s1", at="3"),
        read("NetworkOperator", "DigitalSigning", "n1", at="4"),
        read("Recovery", "DigitalSigning", "acb", at="5"),
    ]
    extracts["service_responses"].append(response("6.23", "6", "6"))
    outcome = judged(extracts)
    assert (outcome["actual"], outcome["verified_at"]) == ("not_secure", day("4"))


def test_not_secure_by_the_devices_keys_alone_has_no_verified_at():
    outcome = judged(estate(credential_reads=[read("Device", "KeyAgreement", "device", "other")]))
    assert (outcome["actual"], outcome["verified_at"]) == ("not_secure", None)


# The Device's own two keys: reads as `day subject key status`.
@each("""
signing                | agreement               | open_6_15_2               | device_keys
9 device key success   | 9 device key success    |                           | in_use
9 device key success   |                         |                           | not_read
                       |                         |                           | not_read
9 device other success | 9 device key success    |                           | not_in_use
9 device other success |                         |                           | not_in_use
9 device key failure   | 9 device key success    |                           | not_in_use
9 s1 key success       | 9 device key success    |                           | not_in_use
9 nobody key success   |                         |                           | not_in_use
8 device other success, 9 device key success | 9 device key success | | in_use
9 device other success, 9 device key success | 9 device key success | | not_in_use
9 device key success   | 9 device key success    | Digital Signature 9       | in_use
9 device key success   | 9 device key success    | Digital Signature 10      | not_read
9 device other success | 9 device key success    | Digital Signature 10      | not_read
9 device other success | 9 device key success    | Key Agreement 10          | not_in_use
9 device key success   | 9 device other success  | Digital Signature 10      | not_in_use
9 device key success   | 9 device key success    | Key Agreement 10          | not_read
9 device key success   | 9 device other success  | Key Agreement 10          | not_read
9 device key success   | 9 device key success    | Digital Signature 11      | in_use
""")
def test_device_keys(row):
    extracts = estate(credential_reads=[])
    for usage, cell in [("DigitalSigning", row["signing"]), ("KeyAgreement", row["agreement"])]:
        for at, subject, key, status in map(str.split, listed(cell)):
            extracts["credential_reads"].append(read("Device", usage, subject, key, at, status))
    for text in listed(row["open_6_15_2"]):
        credential_type, at = text.rsplit(" ", 1)
        extracts["service_responses"].append(response("6.15.2", at, at, credential_type=credential_type))
    assert judged(extracts)["device_keys"] == row["device_keys"]


def test_a_closed_update_leaves_the_device_key_read():
    extracts = estate()
    rejected = response("6.15.2", "10", "10", "E4", None, credential_type="Key Agreement")
    extracts["service_responses"].append(rejected)
    assert judged(extracts)["device_keys"] == "in_use"


# --- section 3: suppliers ------------------------------------------------------------------------------


# Commissioned at noon of 3 March, as_at noon of 20 March.
@each("""
responsible | spells                                 | at_commissioning | now    | changed | last
S-ONE       |                                        | S-ONE            | S-ONE  |         |
            |                                        |                  |        |         |
S-TWO       | S-ONE 1..                              | S-ONE            | S-ONE  |         |
S-TWO       | S-ONE 3..                              | S-ONE            | S-ONE  |         |
S-TWO       | S-ONE 1..3                             | S-TWO            | S-TWO  |         |
S-ONE       | S-ONE 1..5, S-TWO 5..                  | S-ONE            | S-TWO  | 5       | 5
S-TWO       | S-ONE 1..5                             | S-ONE            | S-TWO  |         |
S-ONE       | S-TWO 5..                              | S-ONE            | S-TWO  | 5       | 5
S-ONE       | S-ONE 5..                              | S-ONE            | S-ONE  |         |
S-ONE       | S-TWO 3..                              | S-TWO            | S-TWO  |         |
S-ONE       | S-ONE 1..3, S-TWO 3..                  | S-TWO            | S-TWO  |         |
S-ONE       | S-ONE 3.., S-TWO 3..                   | S-TWO            | S-TWO  |         |
S-ONE       | S-ONE 1..4, S-TWO 4..                  | S-ONE            | S-TWO  | 4       | 4
            | S-ONE 5..                              |                  | S-ONE  |         |
            | S-ONE 5..8, S-TWO 8..                  |                  | S-TWO  |         | 8
S-ONE       | S-ONE 1..5, S-TWO 5..9, S-ONE 9..      | S-ONE            | S-ONE  | 5       | 9
S-ONE       | S-ONE 1..5, S-TWO 5..9, S-TWO 9..      | S-ONE            | S-TWO  | 5       | 5
S-ONE       | S-ONE 1..5, S-ONE 5.., S-TWO 5..       | S-ONE            | S-TWO  | 5       | 5
S-TWO       | S-TWO 1..5, S-TWO 5.., S-ONE 5..       | S-TWO            | S-TWO  | 5       | 5
S-ONE       | S-ONE 1.., S-TWO 5..9                  | S-ONE            | S-ONE  | 5       | 5
S-ONE       | S-ONE 1..20, S-TWO 20..                | S-ONE            | S-TWO  | 20      | 20
S-ONE       | S-ONE 1..21, S-TWO 21..                | S-ONE            | S-ONE  |         |
S-ONE       | S-ONE 1..5, S-ONE 1..5, S-TWO 5.., S-TWO 5.. | S-ONE      | S-TWO  | 5       | 5
S-ONE       | S-TWO 1..2, S-ONE 5..                  | S-ONE            | S-ONE  |         | 5
S-ONE       | S-ZED 1..2, S-ONE 1.., S-TWO 6..7      | S-ONE            | S-ONE  | 6       | 6
""")
def test_suppliers(row):
    extracts = estate({"responsible_supplier_id": row["responsible"], "commissioned_at": day("3 12:00")})
    extracts["registrations"] = [spell(text) for text in listed(row["spells"])][::-1]
    outcome = judged(extracts, "20 12:00")
    assert outcome["supplier_at_commissioning"] == row["at_commissioning"]
    assert outcome["supplier"] == row["now"]
    assert outcome["changed_supplier_at"] == (day(row["changed"]).date() if row["changed"] else None)
    last = last_change_of_supplier(known(extracts, "20 12:00"))
    assert last == (day(row["last"]).date() if row["last"] else None)


# --- section 4: findings -------------------------------------------------------------------------------


@each("""
reported | supplier_cell | finding
failed   | s1            | over_reported
failed   | s2            | confirmed_failure
failed   |               | unverified_failure
passed   | s1            | confirmed_pass
passed   | s2            | missed_failure
passed   |               | unverified_pass
""")
def test_finding(row):
    extracts = estate() if row["reported"] == "passed" else estate(dsp_checks=[])
    cell = {"remote_party_role": "Supplier", "certificate_usage": "DigitalSigning"}
    extracts["credential_reads"] = without(extracts, "credential_reads", **cell)
    if row["supplier_cell"]:
        extracts["credential_reads"].append(read(*cell.values(), row["supplier_cell"]))
    assert judged(extracts)["finding"] == row["finding"]


# --- section 5: causes ---------------------------------------------------------------------------------

ATTEMPTS = {
    "handover": {"srv": "6.21", "remote_party_role": "NetworkOperator"},
    "handover_partial": {"srv": "6.21", "remote_party_role": "NetworkOperator", "status": "partial"},
    "handover_supplier": {"srv": "6.21", "remote_party_role": "Supplier"},
    "handover_later": {"srv": "6.21", "remote_party_role": "NetworkOperator", "responded": "11"},
    "operator_empty": {"srv": "6.15.1", "remote_party_role": "NetworkOperator", "status": ""},
    "operator_timeout": {"srv": "6.15.1", "remote_party_role": "NetworkOperator", "code": "E20"},
    "operator_rejected": {"srv": "6.15.1", "remote_party_role": "NetworkOperator", "code": "E4"},
    "supplier_timeout": {"srv": "6.15.1", "remote_party_role": "Supplier", "code": "E20"},
    "issue_empty": {"srv": "6.17", "credential_type": "Digital Signature", "status": None},
    "issue_timeout": {"srv": "6.17", "credential_type": "Digital Signature", "code": "I99"},
    "agreement_timeout": {"srv": "6.17", "credential_type": "Key Agreement", "code": "I99"},
}


# The checks left unmet, by number in the contract's table; the attempts beside the successes of the others.
@each("""
unmet | attempts                           | change | causes                                              | cause
5     |                                    | no     |                                                     | unexplained
5     | handover                           | no     | dcc_credential_handover                             | dcc_credential_handover
5     | handover_partial                   | no     |                                                     | unexplained
5     | handover_supplier                  | no     |                                                     | unexplained
5     | handover_later                     | no     |                                                     | unexplained
5     | operator_rejected                  | no     |                                                     | unexplained
5     | supplier_timeout                   | no     |                                                     | unexplained
5     | operator_empty                     | no     | empty_status                                        | empty_status
5     | operator_timeout                   | no     | timeout                                             | timeout
5     | operator_timeout, operator_empty   | no     | empty_status, timeout                               | empty_status
5     | operator_timeout, handover         | yes    | dcc_credential_handover, timeout, change_of_supplier | dcc_credential_handover
5     |                                    | yes    | change_of_supplier                                  | change_of_supplier
1     | handover                           | no     |                                                     | unexplained
1     | issue_empty                        | no     | empty_status                                        | empty_status
1     | agreement_timeout                  | no     |                                                     | unexplained
1, 2  | issue_empty                        | no     | empty_status                                        | unexplained
1, 2  | issue_empty, agreement_timeout     | no     | empty_status, timeout                               | empty_status
1, 5  | issue_timeout, handover            | no     | dcc_credential_handover, timeout                    | dcc_credential_handover
1, 5  | issue_timeout                      | yes    | timeout, change_of_supplier                         | timeout
6     |                                    | yes    |                                                     | unexplained
6     | issue_timeout                      | no     |                                                     | unexplained
5, 6  | handover                           | yes    | dcc_credential_handover, change_of_supplier         | unexplained
2, 7  | agreement_timeout                  | no     | timeout                                             | unexplained
""")  # noqa: E501 - a table's row is one line
def test_cause(row):
    unmet = [CHECKS[int(number) - 1] for number in listed(row["unmet"])]
    extracts = estate(registrations=[spell("S-TWO 9..")] if row["change"] == "yes" else [])
    usual = zip(CHECKS, extracts["service_responses"] + extracts["dsp_checks"], strict=True)
    kept = [made for name, made in usual if name not in unmet]
    extracts["service_responses"] = [made for made in kept if "srv" in made]
    extracts["service_responses"] += [response(**ATTEMPTS[name]) for name in listed(row["attempts"])]
    extracts["dsp_checks"] = [made for made in kept if "check" in made]
    outcome = judged(extracts)
    assert outcome["unmet_checks"] == unmet
    assert (outcome["causes"], outcome["cause"]) == (listed(row["causes"]), row["cause"])


# --- section 6: amendments -----------------------------------------------------------------------------


def amended(extracts, chosen, evidence):
    clean, _ = oracle.check(extracts, BUILD_START)
    rows = oracle.amendments(clean, day("10"))
    (row,) = [r for r in rows if r["amendments"] == chosen and r["evidence"] == evidence]
    return row["reported_failures"], row["over_reported"], row["missed_failures"]


def test_all_sixteen_sets_with_and_without_evidence():
    rows = oracle.amendments(oracle.check(estate(), BUILD_START)[0])
    assert len({(tuple(row["amendments"]), row["evidence"]) for row in rows}) == 32
    assert rows[-1]["amendments"] == list(oracle.AMENDMENTS)


# One Device, failed for two checks: 6.17 timed out, and 6.21 took the place of 6.15.1.
@each("""
supplier_cell | accepted                        | evidence | failures | over_reported | missed
s1            |                                 | no       | 1        | 1             | 0
s1            | accept_timeout                  | no       | 1        | 1             | 0
s1            | accept_handover                 | no       | 1        | 1             | 0
s1            | accept_handover, accept_timeout | no       | 0        | 0             | 0
s1            | accept_handover, accept_timeout | yes      | 0        | 0             | 0
s2            | accept_handover, accept_timeout | no       | 0        | 0             | 1
s2            | accept_handover, accept_timeout | yes      | 1        | 0             | 0
              | accept_handover, accept_timeout | no       | 0        | 0             | 0
              | accept_handover, accept_timeout | yes      | 1        | 0             | 0
s1            | accept_change_of_supplier, accept_empty_status | no | 1   | 1            | 0
""")
def test_amendments(row):
    extracts = estate()
    del extracts["service_responses"][4], extracts["service_responses"][0]
    extracts["service_responses"] += [response(**ATTEMPTS["issue_timeout"]), response(**ATTEMPTS["handover"])]
    extracts["credential_reads"] = [
        made for made in extracts["credential_reads"] if made["remote_party_role"] != "Supplier"
    ]
    for usage in ["DigitalSigning", "KeyAgreement"] if row["supplier_cell"] else []:
        extracts["credential_reads"].append(read("Supplier", usage, row["supplier_cell"]))
    counts = amended(extracts, listed(row["accepted"]), row["evidence"] == "yes")
    assert counts == (int(row["failures"]), int(row["over_reported"]), int(row["missed"]))


def test_no_amendment_excuses_an_unmet_dsp_check():
    extracts = estate(dsp_checks=[], registrations=[spell("S-TWO 9..")])
    assert amended(extracts, list(oracle.AMENDMENTS), False)[0] == 1


# --- section 7: rates ----------------------------------------------------------------------------------


def made_outcomes(text):
    """`3 passed secure, 1 failed not_secure` as rows with as much as the rates look at."""
    findings = {
        ("failed", "secure"): "over_reported",
        ("failed", "not_secure"): "confirmed_failure",
        ("failed", "unverified"): "unverified_failure",
        ("passed", "secure"): "confirmed_pass",
        ("passed", "not_secure"): "missed_failure",
        ("passed", "unverified"): "unverified_pass",
    }
    rows = []
    for count, reported, actual in map(str.split, listed(text)):
        finding = findings.get((reported, actual), "not_due")
        cause = "timeout" if reported == "failed" else None
        row = {"reported": reported, "actual": actual, "finding": finding, "cause": cause}
        rows += [row] * int(count)
    return rows


# Counts: due, failures, verified, not secure, over-reported, missed.
@each("""
outcomes                                                       | counts        | reported | actual | low      | high
                                                               | 0 0 0 0 0 0   |          |        |          |
5 not_due secure                                               | 0 0 0 0 0 0   |          |        |          |
4 passed secure                                                | 4 0 4 0 0 0   | 0        | 0      | 0        | 0
3 passed secure, 1 failed not_secure                           | 4 1 4 1 0 0   | 0.25     | 0.25   | 0.25     | 0.25
3 passed secure, 1 failed secure, 9 not_due not_secure         | 4 1 4 0 1 0   | 0.25     | 0      | 0        | 0
2 passed not_secure, 2 failed secure                           | 4 2 4 2 2 2   | 0.5      | 0.5    | 0.5      | 0.5
4 passed unverified                                            | 4 0 0 0 0 0   | 0        |        |          |
3 passed secure, 1 failed unverified                           | 4 1 3 0 0 0   | 0.25     |        |          |
1 passed unverified, 1 failed secure                           | 2 1 1 0 1 0   | 0.5      |        |          |
2 failed unverified, 1 failed secure, 1 failed not_secure      | 4 4 2 1 1 0   | 1        | 0.5    | 0.125335 | 0.874665
3 passed secure, 1 passed not_secure, 2 failed unverified, 1 failed secure, 1 failed not_secure | 8 4 6 2 1 1 | 0.5 | 0.375 | 0.187667 | 0.562333
6 passed secure, 2 failed unverified, 2 failed not_secure      | 10 4 8 2 0 0  | 0.4      | 0.4    | 0.175401 | 0.4
""")  # noqa: E501 - a table's row is one line
def test_rates(row):
    """Two of four verified have the effective size 2*3/2 = 3. By hand, with z*z = 3.841459:

    one bad: 0.5 -+ z/2 / sqrt(3 + z*z) = 0.5 -+ 0.374665; both bad: from 3 / (3 + z*z) = 0.438503 to 1.
    """
    (found,) = oracle.rates(made_outcomes(row["outcomes"]))
    counts = ["due", "reported_failures", "verified", "not_secure", "over_reported", "missed_failures"]
    assert [found[name] for name in counts] == [int(number) for number in row["counts"].split()]
    for column, name in [
        ("reported_failure_rate", "reported"),
        ("actual_failure_rate", "actual"),
        ("actual_low", "low"),
        ("actual_high", "high"),
    ]:
        assert found[column] == (pytest.approx(float(row[name]), abs=1e-6) if row[name] else None)


def test_over_reporting_and_verified_share_go_with_the_rates():
    rows = made_outcomes("6 passed secure, 2 passed unverified, 1 failed secure, 1 failed not_secure")
    (found,) = oracle.rates(rows)
    assert found["actual_failure_rate"] == pytest.approx(0.1)
    assert found["over_reporting"] == pytest.approx(0.1)
    assert found["verified_share"] == pytest.approx(0.8)
    (found,) = oracle.rates(made_outcomes("1 failed unverified"))
    assert (found["over_reporting"], found["verified_share"]) == (None, 0)
    (found,) = oracle.rates([])
    assert (found["over_reporting"], found["verified_share"]) == (None, None)


@pytest.mark.parametrize(("events", "n"), [(0, 20), (1, 1), (5, 37), (20, 20), (300, 900)])
def test_wilson_agrees_with_statsmodels_in_a_boundless_population(events, n):
    expected = proportion_confint(events, n, method="wilson")
    assert wilson(events, n, population=10**13) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("events", "n", "population"), [(0, 5, 9), (3, 10, 40), (49, 50, 51), (1, 2, 4)])
def test_wilson_of_a_finite_population_is_that_of_the_effective_size(events, n, population):
    size = n * (population - 1) / (population - n)
    expected = proportion_confint(events / n * size, size, method="wilson")
    assert wilson(events, n, population) == pytest.approx(expected, abs=1e-9)


def test_by_groups():
    def at(month, region, **more):
        return {"commissioned_at": datetime(2021, month, 1), "csp_region": region, **more}

    rows = [
        *[made | at(3, "North") for made in made_outcomes("1 failed secure")],
        *[made | at(3, "South") for made in made_outcomes("1 passed secure, 1 not_due secure")],
        *[made | at(4, None) for made in made_outcomes("1 not_due secure")],
    ]
    by = ("csp_region", "commissioned_month")
    found = {(r["csp_region"], r["commissioned_month"]): r["reported_failure_rate"] for r in oracle.rates(rows, by)}
    assert found == {("North", "2021-03"): 1, ("South", "2021-03"): 0, (None, "2021-04"): None}
    counted = {(r["csp_region"], r["cause"]): r["reported_failures"] for r in oracle.causes(rows, ["csp_region"])}
    assert counted == {
        (region, cause): int((region, cause) == ("North", "timeout"))
        for region in ("North", "South", None)
        for cause in oracle.CAUSES
    }


def test_causes_count_every_cause_with_its_findings():
    rows = made_outcomes("2 failed secure, 3 failed not_secure, 4 failed unverified, 5 passed secure")
    rows += [{**made, "cause": "unexplained"} for made in made_outcomes("1 failed secure")]
    found = {row["cause"]: list(row.values())[1:] for row in oracle.causes(rows)}
    assert found == {
        "dcc_credential_handover": [0, 0, 0, 0],
        "empty_status": [0, 0, 0, 0],
        "timeout": [9, 2, 3, 4],
        "change_of_supplier": [0, 0, 0, 0],
        "unexplained": [1, 1, 0, 0],
    }


def test_no_groups_of_nothing_give_no_rows_and_no_grouping_gives_one():
    assert oracle.rates([], ["model"]) == []
    assert [row["due"] for row in oracle.rates([])] == [0]
    assert [row["reported_failures"] for row in oracle.causes([])] == [0, 0, 0, 0, 0]


# --- section 1: as_at and bad input --------------------------------------------------------------------


def test_default_as_at_is_the_latest_of_the_four_times():
    late = {
        "service_responses": [
            response(sent="2", responded="12"),
            response(sent="11", responded=None, code=None),
        ],
        "dsp_checks": [dsp_check("communicating", "13")],
        "credential_reads": [read("Root", "KeyCertSign", "rec", at="14")],
        "registrations": [spell("S-TWO 20..")],
        "incidents": [{"incident_id": "I1", "device_id": DEVICE, "raised_at": day("21")}],
    }
    latest = {}
    for removed in [None, "credential_reads", "dsp_checks"]:
        late |= {removed: []} if removed else {}
        latest[removed] = oracle.default_as_at(oracle.check(estate() | late, BUILD_START)[0])
    assert latest == {None: day("14"), "credential_reads": day("13"), "dsp_checks": day("12")}


def test_a_quarantined_row_has_no_part_in_the_default_as_at():
    extracts = estate(dsp_checks=[dsp_check("communicating", "20"), dsp_check("x", "25") | {"device_id": "junk"}])
    assert oracle.default_as_at(oracle.check(extracts, BUILD_START)[0]) == day("20")


def test_a_time_with_a_zone_is_converted():
    zone = timezone(timedelta(hours=5))
    extracts = estate({"commissioned_at": datetime(2021, 3, 1, 5, tzinfo=zone)})
    assert judged(extracts)["commissioned_at"] == datetime(2021, 3, 1)
    clean, _ = oracle.check(extracts, BUILD_START.replace(tzinfo=UTC))
    assert oracle.outcomes(clean, datetime(2021, 3, 8, 5, tzinfo=zone))[0]["due_at"] == datetime(2021, 3, 8)


MICROSECOND = timedelta(microseconds=1)
FIRST = datetime(2012, 1, 1)


@pytest.mark.parametrize(
    ("extract", "changes", "broken"),
    [
        ("devices", {"device_type": None}, ["device_type is null"]),
        ("devices", {"csp_region": None}, ["csp_region is null"]),
        ("devices", {"manufacturer": None, "model": None, "commissioned_at": None}, []),
        ("devices", {"responsible_supplier_id": None, "network_operator_id": None}, []),
        ("devices", {"device_type": "TOASTER", "device_status": "?", "csp_region": ""}, []),
        ("devices", {"device_id": DEVICE.lower()}, ["device_id is no EUI-64"]),
        ("devices", {"device_id": DEVICE + "\n"}, ["device_id is no EUI-64"]),
        ("devices", {"device_id": DEVICE.replace("-", "")}, ["device_id is no EUI-64"]),
        ("devices", {"device_id": DEVICE[:-3]}, ["device_id is no EUI-64"]),
        ("devices", {"device_id": ""}, ["device_id is no EUI-64"]),
        ("devices", {"device_id": None}, ["device_id is null"]),
        ("devices", {"device_id": "FF-FF-FF-FF-FF-FF-FF-FF"}, []),
        ("devices", {"commissioned_at": FIRST}, []),
        ("devices", {"commissioned_at": FIRST - MICROSECOND}, ["commissioned_at is before 2012"]),
        ("devices", {"commissioned_at": BUILD_START}, []),
        (
            "devices",
            {"commissioned_at": BUILD_START + MICROSECOND},
            ["commissioned_at is later than the start of the build"],
        ),
        ("devices", {"commissioned_at": "2021-03-01T00:00:00Z"}, []),
        ("devices", {"commissioned_at": "soon"}, ["commissioned_at is of the wrong kind: 'soon'"]),
        ("devices", {"model": 7}, ["model is of the wrong kind: 7"]),
        ("devices", {"colour": "an extra column"}, []),
        ("service_responses", {"originator_id": "x"}, ["originator_id is no EUI-64"]),
        ("service_responses", {"originator_counter": -1}, ["originator_counter is of the wrong kind: -1"]),
        ("service_responses", {"originator_counter": 2**64 - 1}, []),
        (
            "service_responses",
            {"originator_counter": 2**64},
            ["originator_counter is of the wrong kind: 18446744073709551616"],
        ),
        ("service_responses", {"command_variant": 5.5}, ["command_variant is of the wrong kind: 5.5"]),
        ("service_responses", {"command_variant": 5.0}, []),
        ("service_responses", {"command_variant": True}, ["command_variant is of the wrong kind: True"]),
        ("service_responses", {"command_variant": "five"}, ["command_variant is of the wrong kind: 'five'"]),
        ("service_responses", {"originator_counter": "7"}, []),
        ("service_responses", {"originator_counter": 0}, []),
        ("service_responses", {"command_variant": None}, []),
        ("service_responses", {"srv": "9.99", "response_code": "Z1", "execution_status": "?"}, []),
        ("service_responses", {"srv": None}, ["srv is null"]),
        ("service_responses", {"sent_at": None}, ["sent_at is null"]),
        ("service_responses", {"responded_at": day("1")}, ["responded_at is before sent_at"]),
        ("service_responses", {"responded_at": day("2")}, []),
        ("service_responses", {"responded_at": None}, ["success has no responded_at"]),
        (
            "service_responses",
            {"responded_at": None, "command_variant": None},
            ["success has no responded_at"],
        ),
        ("service_responses", {"responded_at": None, "command_variant": 4}, []),
        ("service_responses", {"responded_at": None, "execution_status": "partial"}, []),
        (
            "service_responses",
            {"responded_at": FAR_FUTURE},
            ["responded_at is later than the start of the build"],
        ),
        (
            "service_responses",
            {"responded_at": datetime(2011, 1, 1)},
            ["responded_at is before 2012", "responded_at is before sent_at"],
        ),
        ("dsp_checks", {"passed": None}, ["passed is null"]),
        ("dsp_checks", {"passed": "maybe"}, ["passed is of the wrong kind: 'maybe'"]),
        ("dsp_checks", {"checked_at": datetime(1970, 1, 1)}, ["checked_at is before 2012"]),
        ("dsp_checks", {"check": "no such check"}, []),
        ("registrations", {"effective_to": date(2021, 3, 1)}, ["spell ends no later than it starts"]),
        ("registrations", {"effective_to": date(2021, 2, 1)}, ["spell ends no later than it starts"]),
        ("registrations", {"effective_to": date(2021, 3, 2)}, []),
        ("registrations", {"effective_from": date(1999, 1, 1)}, []),
        ("registrations", {"effective_from": datetime(2021, 2, 1)}, []),
        ("registrations", {"effective_from": "2021-02-01"}, []),
        (
            "registrations",
            {"effective_from": "2021-02-01 12:00"},
            ["effective_from is of the wrong kind: '2021-02-01 12:00'"],
        ),
        ("registrations", {"effective_from": None}, ["effective_from is null"]),
        ("credential_reads", {"read_at": FAR_FUTURE}, ["read_at is later than the start of the build"]),
        ("credential_reads", {"subject_unique_id": None, "subject_key_identifier": None}, []),
        ("credential_reads", {"subject_unique_id": "s1"}, ["subject_unique_id is no EUI-64"]),
        ("credential_reads", {"subject_key_identifier": "s1"}, ["subject_key_identifier is not 8 octets"]),
        ("certificates", {"subject_unique_id": None}, ["subject_unique_id is null"]),
        ("certificates", {"status": "Lost"}, []),
        ("parties", {"eui": "90-b3-D5-1F-30-02-00-01"}, ["eui is no EUI-64"]),
        ("parties", {"is_dcc_user": None}, ["is_dcc_user is null"]),
        ("incidents", {"raised_at": FAR_FUTURE, "closed_at": None}, []),
        ("incidents", {"incident_id": None}, ["incident_id is null"]),
    ],
)
def test_bad_input(extract, changes, broken):
    incident = {"incident_id": "I1", "device_id": DEVICE, "raised_at": day("2")}
    extracts = estate(registrations=[spell("S-ONE 1..")], incidents=[incident])
    extracts[extract] = [extracts[extract][0] | changes]
    clean, quarantine = oracle.check(extracts, BUILD_START)
    assert quarantine == ([(extract, 0, broken)] if broken else [])
    assert len(clean[extract]) == (0 if broken else 1)


CONFLICT = "two different devices rows of one device_id"


def test_two_different_rows_of_one_device_are_both_quarantined():
    other = "90-B3-D5-1F-30-01-00-02"
    rows = [device(), device(device_id=other), device(model="M2"), device()]
    clean, quarantine = oracle.check(estate(devices=rows), BUILD_START)
    assert quarantine == [("devices", 0, [CONFLICT]), ("devices", 2, [CONFLICT]), ("devices", 3, [CONFLICT])]
    assert [row["device_id"] for row in clean["devices"]] == [other]


def test_a_conflict_counts_even_if_one_of_the_rows_breaks_another_rule():
    clean, quarantine = oracle.check(estate(devices=[device(), device(device_type=None)]), BUILD_START)
    assert quarantine == [("devices", 0, [CONFLICT]), ("devices", 1, ["device_type is null", CONFLICT])]
    assert clean["devices"] == []


def test_the_same_row_twice_is_no_conflict_and_one_outcome():
    aware = device(commissioned_at=day("1").replace(tzinfo=UTC))
    clean, quarantine = oracle.check(estate(devices=[device(), aware]), BUILD_START)
    assert quarantine == []
    assert len(oracle.outcomes(clean)) == 1


def test_more_than_the_set_share_refuses():
    extracts = {"dsp_checks": [dsp_check("communicating")] * 99 + [dsp_check(None)]}
    assert oracle.refused(extracts, oracle.check(extracts, BUILD_START)[1]) == []
    extracts["dsp_checks"].pop(0)
    assert oracle.refused(extracts, oracle.check(extracts, BUILD_START)[1]) == ["dsp_checks"]


# --- random estates ------------------------------------------------------------------------------------


def outcomes_of(case):
    clean, _ = oracle.check(case.extracts, BUILD_START)
    return oracle.outcomes(clean, case.as_at, case.grace_days)


@quick
@given(cases(with_bad_rows=True))
def test_findings_sum_to_devices_and_causes_to_reported_failures(case):
    rows = outcomes_of(case)
    findings = Counter(row["finding"] for row in rows)
    failed = sum(row["reported"] == "failed" for row in rows)
    assert len({row["device_id"] for row in rows}) == sum(findings.values()) == len(rows)
    assert findings["over_reported"] + findings["confirmed_failure"] + findings["unverified_failure"] == failed
    for by in [(), ("device_type",), ("supplier", "commissioned_month")]:
        counted, rated = oracle.causes(rows, by), oracle.rates(rows, by)
        assert sum(row["reported_failures"] for row in counted) == failed
        assert sum(row["reported_failures"] for row in rated) == failed
        assert len(counted) == 5 * len(rated)


@quick
@given(estates(), as_ats(), grace_days())
def test_an_interval_holds_its_rate(extracts, as_at, grace):
    clean, _ = oracle.check(extracts, BUILD_START)
    for row in oracle.rates(oracle.outcomes(clean, as_at, grace), ["device_type"]):
        rate = row["actual_failure_rate"]
        assert (rate is None) == (row["actual_low"] is None) == (row["over_reporting"] is None)
        if rate is not None:
            assert -1e-12 <= row["actual_low"] <= rate + 1e-12
            assert rate - 1e-12 <= row["actual_high"] <= 1 + 1e-12


@quick
@given(cases())
def test_a_larger_set_of_amendments_never_fails_more(case):
    clean, quarantine = oracle.check(case.extracts, BUILD_START)
    assert quarantine == []
    rows = oracle.amendments(clean, case.as_at, case.grace_days)
    failures = {(frozenset(row["amendments"]), row["evidence"]): row["reported_failures"] for row in rows}
    missed = {(frozenset(row["amendments"]), row["evidence"]): row["missed_failures"] for row in rows}
    for (chosen, evidence), count in failures.items():
        for amendment in oracle.AMENDMENTS:
            assert failures[chosen | {amendment}, evidence] <= count
        assert count <= failures[chosen, True]
        assert missed[chosen, True] == missed[frozenset(), True]


@quick
@given(cases(with_bad_rows=True))
def test_neither_order_nor_copies_change_a_verdict(case):
    random = Random(0)
    repeated = {extract: rows * 2 for extract, rows in case.extracts.items()}
    for rows in repeated.values():
        random.shuffle(rows)
    assert outcomes_of(case._replace(extracts=repeated)) == outcomes_of(case)


@quick
@given(cases())
def test_what_is_later_than_as_at_is_not_looked_at(case):
    """Cutting the rows later than `as_at`, and the late Responses, changes nothing."""
    clean, _ = oracle.check(case.extracts, BUILD_START)
    as_at = case.as_at or oracle.default_as_at(clean)
    unknown = {"responded_at": None, "response_code": None, "execution_status": None}
    cut = clean | {
        "service_responses": [
            row | unknown if row["responded_at"] and row["responded_at"] > as_at else row
            for row in clean["service_responses"]
            if row["sent_at"] <= as_at
        ],
        "dsp_checks": [row for row in clean["dsp_checks"] if row["checked_at"] <= as_at],
        "credential_reads": [row for row in clean["credential_reads"] if row["read_at"] <= as_at],
        "registrations": [row for row in clean["registrations"] if row["effective_from"] <= as_at.date()],
    }
    assert oracle.outcomes(cut, as_at) == oracle.outcomes(clean, as_at)


ALL_FINDINGS = {
    "over_reported",
    "confirmed_failure",
    "unverified_failure",
    "confirmed_pass",
    "missed_failure",
    "unverified_pass",
    "not_due",
}
ALL_VERDICTS = {
    "wrong_party",
    "dcc_credentials",
    "supplier_credentials",
    "missing",
    "unknown_certificate",
    "not_judged",
    "not_read",
    "right",
}


def test_random_estates_reach_every_verdict():
    """Otherwise a comparison over random estates would compare nothing."""
    seen = {}

    def see(kind, value):
        seen.setdefault(kind, set()).add(value)

    @settings(quick, max_examples=400)
    @given(cases())
    def look(case):
        clean, _ = oracle.check(case.extracts, BUILD_START)
        as_at = case.as_at or oracle.default_as_at(clean)
        indexed, world = rows_by_device(clean), gather_world(clean)
        devices = {row["device_id"]: row for row in clean["devices"]}
        for row in oracle.outcomes(clean, as_at, case.grace_days):
            for column in ("finding", "cause", "device_keys", "device_type"):
                see(column, row[column])
            see(("finding", row["device_type"]), row["finding"])
            see("changed", row["changed_supplier_at"] is not None)
            see("supplier_at_commissioning", row["supplier_at_commissioning"] is None)
            for name in row["unmet_checks"]:
                see("unmet", name)
            evidence = gather(indexed, devices[row["device_id"]], as_at, world)
            for cell in REQUIRED_CELLS[row["device_type"]]:
                see(cell, cell_verdict(cell, evidence)[0])

    look()
    assert seen["finding"] == ALL_FINDINGS
    assert all(seen["finding", kind] == ALL_FINDINGS for kind in REQUIRED_CELLS)
    assert seen["cause"] == {*oracle.CAUSES, None}
    assert seen["device_keys"] == {"in_use", "not_in_use", "not_read"}
    assert seen["device_type"] == set(REQUIRED_CELLS)
    assert seen["unmet"] == set(CHECKS)
    assert seen["changed"] == seen["supplier_at_commissioning"] == {True, False}
    operators_only = {"dcc_credentials", "supplier_credentials"}
    assert seen["NetworkOperator", "DigitalSigning"] == seen["NetworkOperator", "KeyAgreement"] == ALL_VERDICTS
    assert seen["Supplier", "DigitalSigning"] == ALL_VERDICTS - operators_only
    assert seen["Recovery", "DigitalSigning"] == ALL_VERDICTS - operators_only
    assert seen["ACB", "KeyAgreement"] == ALL_VERDICTS - operators_only


ALL_RULES = {
    "is null",
    "is no EUI-64",
    "is not 8 octets",
    "is before 2012",
    "is later than the start of the build",
    "is before sent_at",
    "has no responded_at",
    "ends no later than it starts",
    "devices rows of one device_id",
}


def test_random_bad_rows_break_every_rule_that_a_file_can_hold():
    seen = set()

    @settings(quick, max_examples=300)
    @given(estates(with_bad_rows=True))
    def look(extracts):
        for _, _, broken in oracle.check(extracts, BUILD_START)[1]:
            seen.update(text for text in ALL_RULES for rule in broken if rule.endswith(text))

    look()
    assert seen == ALL_RULES


@pytest.mark.parametrize("months", [False, True])
@pytest.mark.parametrize(("files", "shuffle_seed"), [(1, None), (3, 7)])
def test_write_estate_writes_every_row_once_in_the_contracts_types(tmp_path, files, months, shuffle_seed):
    extracts = make_estate(seed=5, devices=8, instants=6, density=3, bad_rows=6) | {"incidents": []}
    placed = write_estate(extracts, tmp_path, files=files, months=months, shuffle_seed=shuffle_seed)
    for extract, rows in extracts.items():
        found = []
        for file in sorted((tmp_path / extract).rglob("*.parquet")):
            written = pq.ParquetFile(file).read()
            assert written.schema.equals(SCHEMAS[extract])
            assert written.num_rows == sum(path == file for (name, _), path in placed.items() if name == extract)
            found += written.to_pylist()
        assert sorted(map(repr, found)) == sorted(map(repr, rows))
    assert any(path.parent.name.startswith("month=") for path in placed.values()) == months
