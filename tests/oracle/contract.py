"""Section 1: which rows keep the contract, and which rules the others break."""

import re
from collections import Counter
from datetime import UTC, date, datetime, time

COLUMNS = {
    "devices": {
        "device_id": "eui",
        "device_type": "text",
        "device_status": "text",
        "csp_region": "text",
        "manufacturer": "text?",
        "model": "text?",
        "firmware_version": "text?",
        "commissioned_at": "timestamp?",
        "responsible_supplier_id": "text?",
        "network_operator_id": "text?",
    },
    "service_responses": {
        "originator_id": "eui",
        "device_id": "eui",
        "originator_counter": "counter",
        "srv": "text",
        "command_variant": "int?",
        "credential_type": "text?",
        "remote_party_role": "text?",
        "sent_at": "timestamp",
        "responded_at": "timestamp?",
        "response_code": "text?",
        "execution_status": "text?",
    },
    "dsp_checks": {"device_id": "eui", "check": "text", "checked_at": "timestamp", "passed": "bool"},
    "registrations": {
        "device_id": "eui",
        "supplier_id": "text",
        "effective_from": "date",
        "effective_to": "date?",
    },
    "credential_reads": {
        "device_id": "eui",
        "read_at": "timestamp",
        "remote_party_role": "text",
        "certificate_usage": "text",
        "status_code": "text",
        "subject_unique_id": "eui?",
        "subject_key_identifier": "octets?",
    },
    "certificates": {
        "subject_unique_id": "eui",
        "remote_party_role": "text",
        "certificate_usage": "text",
        "subject_key_identifier": "octets",
        "status": "text",
    },
    "parties": {
        "eui": "eui",
        "party_id": "text",
        "party_name": "text",
        "category": "text",
        "role": "text",
        "is_dcc_user": "bool",
    },
    "incidents": {
        "incident_id": "text",
        "device_id": "eui",
        "raised_at": "timestamp",
        "closed_at": "timestamp?",
        "resolution": "text?",
    },
}

# raised_at and closed_at are not among the times that the contract bounds.
BOUNDED_TIMES = ("sent_at", "responded_at", "checked_at", "read_at", "commissioned_at")
EIGHT_HEX_PAIRS = re.compile(r"[0-9A-F]{2}(?:-[0-9A-F]{2}){7}")
MALFORMED = {"eui": "is no EUI-64", "octets": "is not 8 octets"}
CONFLICT = "two different devices rows of one device_id"


def check(extracts, build_start):
    """A row that breaks its contract is quarantined; the build goes on without it."""
    clean, quarantine = {}, []
    for extract in COLUMNS:
        clean[extract] = []
        for index, row, broken in judged_rows(extract, extracts.get(extract, []), to_utc(build_start)):
            if broken:
                quarantine.append((extract, index, broken))
            else:
                clean[extract].append(row)
    return clean, quarantine


def refused(extracts, quarantine, share=0.01):
    """More quarantined rows than a set share (default 1 % of an extract) refuses the build."""
    counts = Counter(extract for extract, _, _ in quarantine)
    return [extract for extract, count in counts.items() if count > share * len(extracts[extract])]


def judged_rows(extract, rows, build_start):
    read = [read_row(extract, row) for row in rows]
    in_conflict = conflicting_devices(read) if extract == "devices" else set()
    for index, (row, unreadable) in enumerate(read):
        broken = unreadable + rules_broken_by(row, build_start)
        if row.get("device_id") in in_conflict:
            broken.append(CONFLICT)
        yield index, row, broken


def conflicting_devices(read):
    """Two different `devices` rows of one `device_id`, then both."""
    variants = {}
    for row, unreadable in read:
        variants.setdefault(row["device_id"], set()).add((*row.values(), *unreadable))
    return {device_id for device_id, rows in variants.items() if device_id is not None and len(rows) > 1}


def read_row(extract, raw):
    """The row's contract columns as proper values, and what is wrong with the values of each."""
    row, broken = {}, []
    for column, kind in COLUMNS[extract].items():
        value = raw.get(column)
        row[column] = None if value is None else READERS[kind.rstrip("?")](value)
        if value is None:
            broken += [] if kind.endswith("?") else [f"{column} is null"]
        elif row[column] is None:
            broken.append(f"{column} is of the wrong kind: {value!r}")
        elif kind.rstrip("?") in MALFORMED and not EIGHT_HEX_PAIRS.fullmatch(value):
            broken.append(f"{column} {MALFORMED[kind.rstrip('?')]}")
    return row, broken


def rules_broken_by(row, build_start):
    broken = []
    for column in BOUNDED_TIMES:
        broken += out_of_bounds(column, row.get(column), build_start)
    if both(row, "sent_at", "responded_at") and row["responded_at"] < row["sent_at"]:
        broken.append("responded_at is before sent_at")
    if is_success(row) and row["responded_at"] is None:
        broken.append("success has no responded_at")
    if both(row, "effective_from", "effective_to") and row["effective_to"] <= row["effective_from"]:
        broken.append("spell ends no later than it starts")
    return broken


def out_of_bounds(column, value, build_start):
    """Before 2012 or later than the start of the build."""
    if value is not None and value < datetime(2012, 1, 1):
        return [f"{column} is before 2012"]
    if value is not None and value > build_start:
        return [f"{column} is later than the start of the build"]
    return []


def both(row, first, second):
    return row.get(first) is not None and row.get(second) is not None


def is_attempt(row):
    """An attempt's `command_variant` is not 4: 4 only asks for a Pre-Command."""
    return row["command_variant"] != 4


def is_success(row):
    """Success: an attempt with code `I0` and status `success`."""
    return row.get("response_code") == "I0" and row.get("execution_status") == "success" and is_attempt(row)


def to_utc(value):
    """A timestamp without a zone is UTC already, one with a zone is converted."""
    return value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)


def read_text(value):
    return value if isinstance(value, str) else None


def read_timestamp(value):
    if isinstance(value, str):
        value = parsed(datetime.fromisoformat, value)
    if isinstance(value, datetime):
        return to_utc(value)
    return datetime.combine(value, time.min) if isinstance(value, date) else None


def read_date(value):
    if isinstance(value, str):
        value = parsed(datetime.fromisoformat, value)
    if isinstance(value, datetime):
        return value.date() if value.time() == time.min else None
    return value if isinstance(value, date) else None


def read_int(value):
    if isinstance(value, str):
        value = parsed(int, value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if value == value // 1 else None


def read_counter(value):
    number = read_int(value)
    return number if number is not None and 0 <= number < 2**64 else None


def read_bool(value):
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return value if isinstance(value, bool) else None


def parsed(parse, text):
    try:
        return parse(text)
    except ValueError:
        return None


READERS = {
    "eui": read_text,
    "octets": read_text,
    "text": read_text,
    "timestamp": read_timestamp,
    "date": read_date,
    "int": read_int,
    "counter": read_counter,
    "bool": read_bool,
}
