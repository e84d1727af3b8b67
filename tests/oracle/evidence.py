"""What is known at `as_at`, and gathered for one Device."""

from dataclasses import dataclass, field

from .contract import is_attempt, is_success, to_utc

NO_RESPONSE = (None, "I99", "E20", "E21", "E30")
EMPTY = (None, "")


@dataclass
class World:
    """What the extracts say of certificates and parties, whatever `as_at`."""

    euis: set = field(default_factory=set)  # (eui, role)
    euis_of: dict = field(default_factory=dict)  # (party_id, role) -> EUIs
    dcc_users: set = field(default_factory=set)  # party_ids
    in_use: set = field(default_factory=set)  # (eui, role, usage, key identifier)


@dataclass
class Evidence:
    """One Device with the rows about it that are known at `as_at`."""

    device: dict
    as_at: object
    attempts: list
    dsp_checks: list
    spells: list
    reads: list
    world: World


def default_as_at(clean):
    """The latest of these four times among the rows that keep the contract."""
    times = [
        row[column]
        for extract, column in (
            ("service_responses", "sent_at"),
            ("service_responses", "responded_at"),
            ("dsp_checks", "checked_at"),
            ("credential_reads", "read_at"),
        )
        for row in clean.get(extract, [])
        if row[column] is not None
    ]
    return max(times, default=None)


def resolve_as_at(clean, as_at):
    return default_as_at(clean) if as_at is None else to_utc(as_at)


def rows_by_device(clean):
    """extract -> device_id -> rows, so that each Device looks only at its own."""
    indexed = {}
    for extract in ("service_responses", "dsp_checks", "registrations", "credential_reads"):
        of_device = indexed[extract] = {}
        for row in clean.get(extract, []):
            of_device.setdefault(row["device_id"], []).append(row)
    return indexed


def gather(indexed, device, as_at, world):
    """Rows later than `as_at` are ignored."""

    def known(extract, column, limit):
        return [row for row in indexed[extract].get(device["device_id"], []) if row[column] <= limit]

    responses = known("service_responses", "sent_at", as_at)
    return Evidence(
        device=device,
        as_at=as_at,
        attempts=[hide_late_response(row, as_at) for row in responses if is_attempt(row)],
        dsp_checks=known("dsp_checks", "checked_at", as_at),
        spells=known("registrations", "effective_from", as_at.date()),
        reads=known("credential_reads", "read_at", as_at),
        world=world,
    )


def hide_late_response(row, as_at):
    """A Response later than `as_at` is not yet known: as if `responded_at`, code and status were null."""
    if row["responded_at"] is None or row["responded_at"] <= as_at:
        return row
    return {**row, "responded_at": None, "response_code": None, "execution_status": None}


def gather_world(clean):
    world = World()
    for party in clean.get("parties", []):
        world.euis.add((party["eui"], party["role"]))
        world.euis_of.setdefault((party["party_id"], party["role"]), set()).add(party["eui"])
        if party["role"] == "NetworkOperator" and party["is_dcc_user"]:
            world.dcc_users.add(party["party_id"])
    for row in clean.get("certificates", []):
        if row["status"] == "InUse":
            world.in_use.add(certificate_of(row, row["remote_party_role"]))
    return world


def certificate_of(row, role):
    return row["subject_unique_id"], role, row["certificate_usage"], row["subject_key_identifier"]


def is_empty_status(attempt):
    """Code `I0` and an empty status: null or the empty string."""
    return attempt["response_code"] == "I0" and attempt["execution_status"] in EMPTY


def got_no_response(attempt):
    return attempt["response_code"] in NO_RESPONSE


def is_open(attempt):
    """An attempt that may have worked: success, `I0` with an empty or `partial` status, or no Response."""
    partial = attempt["response_code"] == "I0" and attempt["execution_status"] == "partial"
    return is_success(attempt) or is_empty_status(attempt) or partial or got_no_response(attempt)


def time_of(attempt):
    """Its time is `responded_at`, or `sent_at` when that is null."""
    return attempt["sent_at"] if attempt["responded_at"] is None else attempt["responded_at"]
