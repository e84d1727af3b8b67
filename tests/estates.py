"""Small adversarial estates, in which the coincidences that break a classifier are common.

Hypothesis draws a seed and the sizes, so that a failure shrinks to few Devices and few rows; the rows come
from `random.Random(seed)`, which makes hundreds of estates a second.
"""

import operator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

# Every good time lies before BUILD_START and every "future" bad one long after any real clock, so that
# a build by the wall clock and one by this instant agree.
BUILD_START = datetime(2022, 1, 1)
FAR_FUTURE = datetime(2999, 1, 1)
FIRST_ALLOWED = datetime(2012, 1, 1)
INSTANTS = [datetime(2021, 3, 1) + timedelta(days=days) for days in (0, 1, 2, 4, 7, 8, 10, 14, 21, 30)] + [
    datetime(2021, 3, 1, 0, 0, 0, 1),
    datetime(2021, 3, 2, 23, 59, 59, 999999),
    datetime(2021, 3, 5, 12),
    datetime(2021, 3, 8, 12, 0, 0, 1),
    datetime(2021, 3, 31, 23, 59, 59, 999999),
    datetime(2021, 4, 1),
]

_TIME, _DATE, _TEXT, _BOOL = pa.timestamp("us"), pa.date32(), pa.string(), pa.bool_()
SCHEMAS = {
    "devices": {
        "device_id": _TEXT,
        "device_type": _TEXT,
        "device_status": _TEXT,
        "csp_region": _TEXT,
        "manufacturer": _TEXT,
        "model": _TEXT,
        "firmware_version": _TEXT,
        "commissioned_at": _TIME,
        "responsible_supplier_id": _TEXT,
        "network_operator_id": _TEXT,
    },
    "service_responses": {
        "originator_id": _TEXT,
        "device_id": _TEXT,
        "originator_counter": pa.uint64(),
        "srv": _TEXT,
        "command_variant": pa.int8(),
        "credential_type": _TEXT,
        "remote_party_role": _TEXT,
        "sent_at": _TIME,
        "responded_at": _TIME,
        "response_code": _TEXT,
        "execution_status": _TEXT,
    },
    "dsp_checks": {"device_id": _TEXT, "check": _TEXT, "checked_at": _TIME, "passed": _BOOL},
    "registrations": {
        "device_id": _TEXT,
        "supplier_id": _TEXT,
        "effective_from": _DATE,
        "effective_to": _DATE,
    },
    "credential_reads": {
        "device_id": _TEXT,
        "read_at": _TIME,
        "remote_party_role": _TEXT,
        "certificate_usage": _TEXT,
        "status_code": _TEXT,
        "subject_unique_id": _TEXT,
        "subject_key_identifier": _TEXT,
    },
    "certificates": {
        "subject_unique_id": _TEXT,
        "remote_party_role": _TEXT,
        "certificate_usage": _TEXT,
        "subject_key_identifier": _TEXT,
        "status": _TEXT,
    },
    "parties": {
        "eui": _TEXT,
        "party_id": _TEXT,
        "party_name": _TEXT,
        "category": _TEXT,
        "role": _TEXT,
        "is_dcc_user": _BOOL,
    },
    "incidents": {
        "incident_id": _TEXT,
        "device_id": _TEXT,
        "raised_at": _TIME,
        "closed_at": _TIME,
        "resolution": _TEXT,
    },
}
SCHEMAS = {extract: pa.schema(list(columns.items())) for extract, columns in SCHEMAS.items()}

# The time that a row belongs to, for `month=YYYY-MM` folders; the other extracts are small.
MAIN_TIMES = {"service_responses": "sent_at", "dsp_checks": "checked_at", "credential_reads": "read_at"}

# The first ones sit at the ends of 64 bits, where a signed or floating-point integer goes wrong.
DEVICE_IDS = [
    "FF-FF-FF-FF-FF-FF-FF-FF",
    "FF-FF-FF-FF-FF-FF-FF-FE",
    "00-00-00-00-00-00-00-00",
    "7F-FF-FF-FF-FF-FF-FF-FF",
    "80-00-00-00-00-00-00-00",
] + [f"90-B3-D5-1F-30-01-00-{number:02X}" for number in range(1, 8)]
STRANGER = "90-B3-D5-1F-30-09-00-01"
OTHER_KEY, UNKNOWN_KEY = "C1-00-00-00-00-00-00-01", "C2-00-00-00-00-00-00-02"


def party_eui(number):
    return f"90-B3-D5-1F-30-02-00-{number:02X}"


ALL_EUIS = [party_eui(number) for number in range(10)]
S1, S1_SECOND, S2, N1, N1_SECOND, N2, DCC_ACB, DCC_ACB_SECOND, DCC_RECOVERY, DCC_ROOT = ALL_EUIS
# (eui, party, role, is a DCC User). S-NONE and N-NONE are named by Devices and have no EUI.
USUAL_PARTIES = [
    (S1, "S-ONE", "Supplier", True),
    (S1_SECOND, "S-ONE", "Supplier", True),
    (S2, "S-TWO", "Supplier", True),
    (N1, "N-USER", "NetworkOperator", True),
    (N1_SECOND, "N-USER", "NetworkOperator", False),
    (N2, "N-QUIET", "NetworkOperator", False),
    (DCC_ACB, "DCC", "ACB", True),
    (DCC_RECOVERY, "DCC", "Recovery", True),
]
ODD_PARTIES = [
    (N2, "N-QUIET", "Supplier", True),  # a DCC User as a Supplier only: still no DCC User as an operator
    (N1, "N-USER", "Supplier", True),
    (S1, "N-USER", "NetworkOperator", True),
    (S1, "N-QUIET", "NetworkOperator", False),
    (S2, "S-TWO", "NetworkOperator", False),
    (DCC_ACB, "S-TWO", "Supplier", True),
    (DCC_ACB, "N-QUIET", "NetworkOperator", False),
    (DCC_ACB, "DCC", "Recovery", True),
    (DCC_ACB_SECOND, "DCC", "ACB", False),
    (DCC_ACB_SECOND, "S-ONE", "Supplier", True),
    (S1, "S-TWO", "Supplier", True),
    (DCC_ROOT, "DCC", "Root", True),
    (DCC_ROOT, "DCC", "TransCoS", True),
    (S2, "DCC", "WanProvider", True),  # an unknown role
]
SUPPLIERS = ["S-ONE", "S-ONE", "S-TWO", "S-TWO", "S-NONE", "N-QUIET"]
OPERATORS = ["N-USER", "N-USER", "N-QUIET", "N-QUIET", "N-NONE", "S-TWO", None]
UNUSUAL_CERTIFICATES = [[], ["Revoked"], ["Expired"], ["Revoked", "InUse"], ["InUse", "Expired"], ["inuse"]]
ROLES = ["Supplier", "NetworkOperator", "ACB", "Recovery"]
USAGES = ["DigitalSigning", "KeyAgreement"]

CODES = ["I0", "I0", "I0", "I0", None, "I99", "E20", "E21", "E30", "E4", "E061501", "i0", "E99999"]
STATUSES = ["success", "success", "", None, "partial", "failure", "Success", "no such status"]
TYPES = ["ESME"] * 6 + ["GSME"] * 4 + ["GPF"] * 3 + ["CHF"] * 5 + ["HCALCS", "PPMID", "IHD", "CAD", "esme"]
DEVICE_STATUSES = ["Commissioned"] * 16 + [
    "Pending",
    "Whitelisted",
    "InstalledNotCommissioned",
    "Decommissioned",
    "Withdrawn",
    "Suspended",
    "Recovery",
    "Recovered",
    "withdrawn",
]
REGIONS = ["North", "Central", "South", "4G North", "4G Central", "4G South", "Unknown", "Atlantis"]
NETWORK_OPERATOR_UPDATE = ("6.15.1", None, "NetworkOperator")
NETWORK_OPERATOR_HANDOVER = ("6.21", None, "NetworkOperator")
USER_ATTEMPTS = [
    ("6.17", "Digital Signature", None),
    ("6.17", "Key Agreement", None),
    ("6.15.2", "Digital Signature", None),
    ("6.15.2", "Key Agreement", None),
    NETWORK_OPERATOR_UPDATE,
]
OTHER_ATTEMPTS = [
    *USER_ATTEMPTS,
    NETWORK_OPERATOR_HANDOVER,
    NETWORK_OPERATOR_HANDOVER,
    ("6.21", None, "Supplier"),
    ("6.21", None, None),
    ("6.23", None, None),
    ("6.23", None, "Supplier"),
    ("6.23", None, "NetworkOperator"),
    ("6.15.1", None, "Supplier"),
    ("6.15.1", None, "ACB"),
    ("6.15.1", None, None),
    ("6.15.1", "Digital Signature", "NetworkOperator"),
    ("6.15.2", None, None),
    ("6.15.2", "Digital Signing", None),
    ("6.17", "digital signature", "Supplier"),
    ("6.17", "Key Agreement", "NetworkOperator"),
    ("6.2", "Digital Signature", "NetworkOperator"),
    ("6.24.1", None, "Supplier"),
    ("9.99", None, "Martian"),
]


class Case(NamedTuple):
    """An estate with the arguments of the report about it."""

    extracts: dict
    as_at: datetime | None
    grace_days: int


@dataclass
class Maker:
    """Draws the rows of one estate from few instants and few parties."""

    random: Random
    instants: list
    density: int

    def chance(self, probability):
        return self.random.random() < probability

    def some(self, choices, probability):
        return [choice for choice in choices if self.chance(probability)]

    def instant(self):
        return self.random.choice(self.instants)

    def early(self):
        return self.random.choice(self.instants[: len(self.instants) // 2 + 1])

    def late(self):
        return self.random.choice(self.instants[len(self.instants) // 2 :])

    def device_id(self, device):
        return STRANGER if self.chance(0.03) else device["device_id"]


def make_estate(seed, devices, instants, density, bad_rows=0):
    random = Random(seed)
    maker = Maker(random, sorted(random.sample(INSTANTS, instants)), density)
    parties = [*maker.some(USUAL_PARTIES, 0.92), *maker.some(ODD_PARTIES, 0.12)]
    inventory = [make_device(maker, device_id) for device_id in random.sample(DEVICE_IDS, devices)]
    extracts = {"devices": inventory, "parties": [party_row(*party) for party in parties]}
    extracts["certificates"] = make_certificates(maker, parties, inventory)
    extracts["registrations"] = [row for device in inventory for row in make_spells(maker, device)]
    extracts["service_responses"] = [row for device in inventory for row in make_responses(maker, device)]
    extracts["dsp_checks"] = [row for device in inventory for row in make_dsp_checks(maker, device)]
    extracts["credential_reads"] = [row for device in inventory for row in make_reads(maker, device, extracts)]
    if maker.chance(0.5):
        extracts["incidents"] = make_incidents(maker, inventory)
    repeat_some_rows(maker, extracts)
    for _ in range(bad_rows):
        random.choice(BAD_ROWS)(random, extracts)
    if bad_rows or not extracts["dsp_checks"]:
        extracts["dsp_checks"].append(some_time(maker))
    return extracts


def some_time(maker):
    """A row that keeps the contract and has a time: without any there is no default `as_at`."""
    return dsp_check(STRANGER, "communicating", maker.instant(), True)


def repeat_some_rows(maker, extracts):
    for rows in extracts.values():
        rows += [dict(row) for row in maker.some(rows, 0.06)]
        if maker.chance(0.5):
            maker.random.shuffle(rows)


def make_device(maker, device_id):
    commissioned_at = maker.random.choice([maker.early(), maker.early(), maker.instants[0]])
    if maker.chance(0.1):
        commissioned_at = maker.random.choice(
            [None, maker.instants[-1] + timedelta(microseconds=1), FIRST_ALLOWED, BUILD_START]
        )
    return {
        "device_id": device_id,
        "device_type": maker.random.choice(TYPES),
        "device_status": maker.random.choice(DEVICE_STATUSES),
        "csp_region": maker.random.choice(REGIONS),
        "manufacturer": maker.random.choice([None, "", "Acme", "Bolt"]),
        "model": maker.random.choice([None, "M1", "M2"]),
        "firmware_version": maker.random.choice([None, "1.0", "1.10"]),
        "commissioned_at": commissioned_at,
        "responsible_supplier_id": maker.random.choice([*SUPPLIERS, None]),
        "network_operator_id": maker.random.choice(OPERATORS),
    }


def party_row(eui, party_id, role, is_dcc_user):
    return {
        "eui": eui,
        "party_id": party_id,
        "party_name": f"The party {party_id}",
        "category": "Other SEC Parties",
        "role": role,
        "is_dcc_user": is_dcc_user,
    }


def key_identifier(eui, role, usage):
    """The key identifier of the usual certificate of an EUI in a role, for a usage."""
    place = [*ROLES, "Device"].index(role) if role in [*ROLES, "Device"] else 9
    return f"C0-{place:02X}-{len(usage):02X}-{eui[9:]}"


def make_certificates(maker, parties, inventory):
    owners = [(eui, role) for eui, _, role, _ in parties]
    owners += [(device["device_id"], "Device") for device in inventory]
    rows = []
    for eui, role in owners:
        for usage in USAGES:
            rows += certificates_of(maker, eui, role, usage)
    return rows


def certificates_of(maker, eui, role, usage):
    statuses = maker.random.choice([["InUse"]] * 50 + UNUSUAL_CERTIFICATES)
    rows = [certificate(eui, role, usage, key_identifier(eui, role, usage), status) for status in statuses]
    if maker.chance(0.1):
        rows.append(certificate(eui, role, usage, OTHER_KEY, "InUse"))
    if maker.chance(0.05):
        rows.append(certificate(eui, "NetworkOperator", usage, key_identifier(eui, role, usage), "InUse"))
    return rows


def certificate(eui, role, usage, identifier, status):
    return {
        "subject_unique_id": eui,
        "remote_party_role": role,
        "certificate_usage": usage,
        "subject_key_identifier": identifier,
        "status": status,
    }


def make_spells(maker, device):
    days = sorted({instant.date() for instant in maker.instants})
    days = [days[0] - timedelta(days=30), *days]
    return [make_spell(maker, device, days) for _ in range(maker.random.choice([0, 0, 1, 1, 2, 3]))]


def make_spell(maker, device, days):
    starts = maker.random.choice([days[0], maker.random.choice(days)])
    ends = maker.random.choice([None, starts + timedelta(days=1), maker.random.choice(days)])
    return {
        "device_id": maker.device_id(device),
        "supplier_id": maker.random.choice([*SUPPLIERS, device["responsible_supplier_id"] or "S-ONE"]),
        "effective_from": starts,
        "effective_to": ends if ends is None or ends > starts else None,
    }


def make_responses(maker, device):
    """The attempts at a check all go well or all badly; then comes noise about the same cells."""
    badly = maker.some(USER_ATTEMPTS, maker.random.choice([0, 0, 0.2, 0.2, 0.8]))
    planned = [
        (attempt, attempt not in badly)
        for attempt in USER_ATTEMPTS
        for _ in range(maker.random.choice([1, 1, 1, 1, 1, 1, 1, maker.density]))
    ]
    if NETWORK_OPERATOR_UPDATE in badly and maker.chance(0.6):
        planned.append((NETWORK_OPERATOR_HANDOVER, maker.chance(0.8)))
    for _ in range(maker.random.choice([0, 0, 1, maker.density])):
        planned.append((maker.random.choice(OTHER_ATTEMPTS), maker.chance(0.4)))
    return [response(maker, device, attempt, goes_well) for attempt, goes_well in planned]


def response(maker, device, attempt, goes_well):
    srv, credential_type, role = attempt
    sent_at = maker.random.choice([maker.early(), maker.instants[0], maker.instant()])
    later = maker.random.choice(after(sent_at, maker.instants))
    responded_at = maker.random.choice([sent_at, sent_at, later])
    variants = [5, 5, None, 7] if goes_well else [4, 5, 5, 5, 5, 5, None, 7]
    code, status = ("I0", "success") if goes_well else usual_failure(maker)
    variant = maker.random.choice(variants)
    if may_lack_response(variant, code, status) and maker.chance(0.5):
        responded_at = None
    return {
        "originator_id": maker.random.choice(ALL_EUIS),
        "device_id": maker.device_id(device),
        "originator_counter": maker.random.choice([0, 1, 2**63, 2**64 - 1, maker.random.randrange(2**64)]),
        "srv": srv,
        "command_variant": variant,
        "credential_type": credential_type,
        "remote_party_role": role,
        "sent_at": sent_at,
        "responded_at": responded_at,
        "response_code": code,
        "execution_status": status,
    }


def usual_failure(maker):
    explained = [("I0", ""), ("I0", None), (None, None), ("I99", None), ("E20", None), ("E30", "")]
    anything = (maker.random.choice(CODES), maker.random.choice(STATUSES))
    return maker.random.choice([*explained, ("I0", "failure"), ("I0", "partial"), anything])


def may_lack_response(variant, code, status):
    return variant == 4 or (code, status) != ("I0", "success")


def after(instant, instants):
    return [later for later in instants if later >= instant]


def make_dsp_checks(maker, device):
    diligence = maker.random.choice([0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    rows = []
    for check in ["communicating", "recovery_cell", *maker.some(["Communicating", "no such check"], 0.1)]:
        for _ in range(maker.random.choice([1, 1, 1, 1, 1, 1, 1, maker.density])):
            passed = maker.chance(diligence)
            rows.append(dsp_check(maker.device_id(device), check, maker.instant(), passed))
    return rows


def dsp_check(device_id, check, checked_at, passed):
    return {"device_id": device_id, "check": check, "checked_at": checked_at, "passed": passed}


def make_reads(maker, device, extracts):
    """Most cells hold the right certificate, so that a whole Device is often secure."""
    health = maker.random.choice([0.6, 0.9, 1.0, 1.0, 1.0, 1.0])
    coverage = maker.random.choice([0.6, 1.0, 1.0, 1.0])
    cells = [(role, usage) for role in [*ROLES, "Device"] for usage in USAGES]
    if maker.chance(0.1):
        cells += [("Supplier", "KeyAgreementTopUp"), ("Martian", "DigitalSigning")]
    return [
        credential_read(maker, device, cell, extracts, health)
        for cell in maker.some(cells, coverage)
        for _ in range(maker.random.choice([1, 1, 1, maker.density]))
    ]


def credential_read(maker, device, cell, extracts, health):
    role, usage = cell
    subject = expected_subject(maker, device, role, extracts)
    if not maker.chance(health):
        subject = maker.random.choice([*ALL_EUIS, DCC_ACB, S1, device["device_id"], STRANGER, None])
    identifier = identifier_of(maker, subject, cell, extracts)
    if not maker.chance(health):
        identifier = maker.random.choice([identifier, OTHER_KEY, UNKNOWN_KEY, None])
    last = maker.instants[-1]
    failures = ["trustAnchorNotFound", "noTrustAnchor", "badCertificate", "SUCCESS", ""]
    return {
        "device_id": maker.device_id(device),
        "read_at": maker.random.choice([last, last, maker.late(), maker.instant()]),
        "remote_party_role": role,
        "certificate_usage": usage,
        "status_code": "success" if maker.chance(max(health, 0.9)) else maker.random.choice(failures),
        "subject_unique_id": subject,
        "subject_key_identifier": identifier,
    }


def expected_subject(maker, device, role, extracts):
    """An EUI of a party that may be expected in the role; often the ACB's where that is accepted."""
    if role == "Device":
        return device["device_id"]
    spells = [row for row in extracts["registrations"] if row["device_id"] == device["device_id"]]
    party_ids = {
        "Supplier": [spells[-1]["supplier_id"] if spells else device["responsible_supplier_id"]],
        "NetworkOperator": [device["network_operator_id"]],
    }.get(role, ["DCC"])
    parties = extracts["parties"]
    euis = [row["eui"] for row in parties if row["role"] == role and row["party_id"] in party_ids]
    if role == "NetworkOperator" and maker.chance(0.15):
        euis = [DCC_ACB]
    return maker.random.choice(euis or ALL_EUIS)


def identifier_of(maker, subject, cell, extracts):
    role, usage = cell
    if role == "NetworkOperator" and subject in (DCC_ACB, DCC_ACB_SECOND) and maker.chance(0.7):
        role = "ACB"
    return key_identifier(subject, role, usage) if subject else None


def make_incidents(maker, inventory):
    return [
        {
            "incident_id": f"INC{number:06d}",
            "device_id": maker.device_id(device),
            "raised_at": maker.instant(),
            "closed_at": maker.random.choice([None, maker.instant()]),
            "resolution": maker.random.choice([None, "", "No fault found"]),
        }
        for number, device in enumerate(maker.some(inventory, 0.3))
    ]


# --- rows that break the contract ---------------------------------------------------------------------

EUI_COLUMNS = {
    "devices": ["device_id"],
    "service_responses": ["originator_id", "device_id"],
    "dsp_checks": ["device_id"],
    "registrations": ["device_id"],
    "credential_reads": ["device_id", "subject_unique_id", "subject_key_identifier"],
    "certificates": ["subject_unique_id", "subject_key_identifier"],
    "parties": ["eui"],
    "incidents": ["device_id"],
}
TIME_COLUMNS = [
    ("devices", "commissioned_at"),
    ("service_responses", "sent_at"),
    ("service_responses", "responded_at"),
    ("dsp_checks", "checked_at"),
    ("credential_reads", "read_at"),
]
NULLABLE = {
    "devices": {
        "manufacturer",
        "model",
        "firmware_version",
        "commissioned_at",
        "responsible_supplier_id",
        "network_operator_id",
    },
    "service_responses": {
        "command_variant",
        "credential_type",
        "remote_party_role",
        "responded_at",
        "response_code",
        "execution_status",
    },
    "registrations": {"effective_to"},
    "credential_reads": {"subject_unique_id", "subject_key_identifier"},
    "incidents": {"closed_at", "resolution"},
}


def malform(random, eui):
    return random.choice(
        [
            "ab" + eui[2:],
            eui.lower() if eui.lower() != eui else "ff" + eui[2:],
            eui[:-1],
            eui[:-3],
            eui + "-00",
            eui.replace("-", ""),
            eui.replace("-", ":"),
            eui + "\n",
            " " + eui,
            "G" + eui[1:],
            "",
            "\u0660" + eui[1:],  # an Arabic-Indic digit: a digit to str.isdigit, no hex digit
        ]
    )


def plant(random, extracts, extract, changes):
    """A changed copy beside the row, or the change in its place."""
    rows = extracts.get(extract)
    if not rows:
        return
    index = random.randrange(len(rows))
    changed = {**rows[index], **changes(rows[index])}
    if random.random() < 0.5:
        rows[index] = changed
    else:
        rows.insert(random.randrange(len(rows) + 1), changed)


def bad_eui(random, extracts):
    extract = random.choice(list(EUI_COLUMNS))
    column = random.choice(EUI_COLUMNS[extract])
    plant(random, extracts, extract, lambda row: {column: malform(random, row[column] or S1)})


def null_where_required(random, extracts):
    extract = random.choice(list(SCHEMAS))
    column = random.choice([name for name in SCHEMAS[extract].names if name not in NULLABLE.get(extract, ())])
    plant(random, extracts, extract, lambda row: {column: None})


def time_out_of_bounds(random, extracts):
    extract, column = random.choice(TIME_COLUMNS)
    value = random.choice([FIRST_ALLOWED - timedelta(microseconds=1), datetime(1970, 1, 1), FAR_FUTURE])
    plant(random, extracts, extract, lambda row: {column: value})


def response_before_request(random, extracts):
    gap = random.choice([timedelta(microseconds=1), timedelta(days=1)])
    plant(
        random,
        extracts,
        "service_responses",
        lambda row: {"responded_at": (row["sent_at"] or BUILD_START) - gap},
    )


def success_without_response_time(random, extracts):
    success = {"response_code": "I0", "execution_status": "success", "responded_at": None}
    success["command_variant"] = random.choice([5, None])
    plant(random, extracts, "service_responses", lambda row: success)


def spell_that_ends_no_later(random, extracts):
    gap = timedelta(days=random.choice([0, 1]))
    plant(
        random,
        extracts,
        "registrations",
        lambda row: {"effective_to": (row["effective_from"] or BUILD_START.date()) - gap},
    )


def devices_in_conflict(random, extracts):
    changes = random.choice(
        [
            {"firmware_version": "2.0"},
            {"model": ""},
            {"device_status": "Withdrawn"},
            {"commissioned_at": FAR_FUTURE},
            {"device_type": None},
        ]
    )
    rows = extracts["devices"]
    rows.insert(random.randrange(len(rows) + 1), {**random.choice(rows), **changes})


BAD_ROWS = [
    bad_eui,
    bad_eui,
    null_where_required,
    time_out_of_bounds,
    response_before_request,
    success_without_response_time,
    spell_that_ends_no_later,
    devices_in_conflict,
]

# --- strategies ---------------------------------------------------------------------------------------

SEEDS = st.integers(0, 2**32 - 1)


@st.composite
def estates(draw, with_bad_rows=False, max_devices=12):
    return make_estate(
        seed=draw(SEEDS),
        devices=draw(st.integers(1, max_devices)),
        instants=draw(st.integers(1, 6)),
        density=draw(st.integers(0, 4)),
        bad_rows=draw(st.integers(1, 8)) if with_bad_rows else 0,
    )


def as_ats():
    """None, one of the instants that estates use, or the microsecond beside it."""
    beside = st.sampled_from([0, 0, -1, 1]).map(lambda gap: timedelta(microseconds=gap))
    return st.none() | st.builds(operator.add, st.sampled_from(INSTANTS), beside)


def grace_days():
    return st.sampled_from([7, 7, 0, 1, 30])


def cases(with_bad_rows=False, max_devices=12):
    return st.builds(Case, estates(with_bad_rows, max_devices), as_ats(), grace_days())


# --- files --------------------------------------------------------------------------------------------


def write_estate(extracts, folder, *, files=1, months=False, shuffle_seed=None):
    """Writes the extracts as Parquet; returns (extract, row index) -> the file that holds the row."""
    placed = {}
    for extract, rows in extracts.items():
        indices = list(range(len(rows)))
        if shuffle_seed is not None:
            Random(f"{shuffle_seed} {extract}").shuffle(indices)
        for path, members in parts(extract, rows, indices, files, months).items():
            file = Path(folder) / extract / path
            write_rows(extract, [rows[index] for index in members], file)
            placed |= {(extract, index): file for index in members}
    return placed


def parts(extract, rows, indices, files, months):
    """Relative path -> row indices; an extract without rows still has a file with its columns."""
    held = {f"part-{number}.parquet": [] for number in range(files)}
    for place, index in enumerate(indices):
        path = f"{month_folder(extract, rows[index]) if months else ''}part-{place % files}.parquet"
        held.setdefault(path, []).append(index)
    return {path: members for path, members in held.items() if members} or {"part-0.parquet": []}


def month_folder(extract, row):
    """By the row's own main time; a row without one lies beside the folders, which the contract allows."""
    time = row.get(MAIN_TIMES.get(extract))
    return f"month={time:%Y-%m}/" if time else ""


def write_rows(extract, rows, file):
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMAS[extract]), file)
