"""The contract's outcomes in pandas: extracts in, outcomes Parquet out, sharing no code with the product.

    python tests/bench/pandas_peer.py EXTRACTS OUT.parquet

Written for speed as far as pandas goes: text is read as categories, so that a check or a comparison looks at
each distinct value once; rows are narrowed before they are joined; nothing loops over rows. It speaks of the
default as_at, at which no Response and no read is later. Lists are text joined with "; ".
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from peer_contract import CAUSES, EXTRACTS, FINDINGS, MOST_QUARANTINED, NO_RESPONSE, OUT_OF_SCOPE, VERDICTS

EUI64 = "(?:[0-9A-F]{2}-){7}[0-9A-F]{2}"
ERA_STARTS = pd.Timestamp("2012-01-01")
GRACE = pd.Timedelta(days=7)

TEXT = ("text", "eui", "octets")

CHECKS = [
    "issue_digital_signature",
    "issue_key_agreement",
    "update_digital_signature",
    "update_key_agreement",
    "update_network_operator",
    "communicating",
    "recovery_cell",
]
USER_CHECKS = 0b0011111
UPDATE_NETWORK_OPERATOR = 0b0010000
# Type -> the checks that it must meet, as bits in the order of CHECKS.
REQUIRED_CHECKS = {"ESME": 0b1111111, "GSME": 0b1101111, "GPF": 0b1111111, "CHF": 0b1101111}
# The steps of Service Requests; those that are checks have the check's place in CHECKS.
STEPS = {
    0: [("6.17", "credential_type", "Digital Signature")],
    1: [("6.17", "credential_type", "Key Agreement")],
    2: [("6.15.2", "credential_type", "Digital Signature")],
    3: [("6.15.2", "credential_type", "Key Agreement")],
    4: [("6.15.1", "remote_party_role", "NetworkOperator")],
    7: [("6.21", "remote_party_role", "NetworkOperator")],
    8: [("6.23", None, None), ("6.15.1", "remote_party_role", "Supplier"), ("6.21", "remote_party_role", "Supplier")],
}
UPDATE_DEVICE_SIGNATURE, UPDATE_DEVICE_AGREEMENT, UPDATE_OPERATOR, HANDOVER, UPDATE_SUPPLIER = 2, 3, 4, 7, 8

CELLS = [
    ("Supplier", "DigitalSigning", ("ESME", "GSME", "GPF")),
    ("Supplier", "KeyAgreement", ("ESME", "GSME", "GPF")),
    ("NetworkOperator", "DigitalSigning", ("ESME", "GPF")),
    ("NetworkOperator", "KeyAgreement", ("ESME", "GPF")),
    ("ACB", "DigitalSigning", ("CHF",)),
    ("ACB", "KeyAgreement", ("CHF",)),
    ("Recovery", "DigitalSigning", ("ESME", "GSME", "GPF", "CHF")),
]
DEVICE_KEYS = {"DigitalSigning": UPDATE_DEVICE_SIGNATURE, "KeyAgreement": UPDATE_DEVICE_AGREEMENT}
RIGHT, NOT_READ, NOT_JUDGED, UNKNOWN_CERTIFICATE, MISSING, SUPPLIERS, DCC, WRONG_PARTY = range(8)
NOT_REQUIRED = -1


# -- extracts and their row checks ----------------------------------------------------------------------


def read(folder: Path, extract: str, run_start: pd.Timestamp) -> pd.DataFrame:
    """The rows that keep the contract; refuses an extract of which too many do not."""
    kinds = EXTRACTS[extract]
    frame = pd.read_parquet(
        folder / extract,
        columns=list(kinds),
        partitioning=None,
        read_dictionary=[column for column, kind in kinds.items() if kind.rstrip("?") in TEXT],
    )
    for column, kind in kinds.items():
        if kind.startswith("date"):
            frame[column] = pd.to_datetime(frame[column])
    kept = keeps_kinds(frame, kinds, run_start) & keeps_own_rules(frame, extract)
    if (~kept).sum() > MOST_QUARANTINED * len(frame):
        sys.exit(f"{extract}: too many rows break the contract")
    return frame[kept]


def keeps_kinds(frame: pd.DataFrame, kinds: dict[str, str], run_start: pd.Timestamp) -> pd.Series:
    kept = pd.Series(True, index=frame.index)
    for column, kind in kinds.items():
        values = frame[column]
        if not kind.endswith("?"):
            kept &= values.notna()
        if kind.startswith(("eui", "octets")):
            kept &= is_well_formed(values)
        if kind.startswith("era"):
            kept &= values.between(ERA_STARTS, run_start) | values.isna()
    return kept


def is_well_formed(values: pd.Series) -> np.ndarray:
    """Of each distinct value once; null counts as kept. `values.str` would leave Arrow for a loop in Python."""
    well_formed = np.append(values.cat.categories.str.fullmatch(EUI64), True).astype(bool)
    return well_formed[values.cat.codes]


def keeps_own_rules(frame: pd.DataFrame, extract: str) -> pd.Series:
    if extract == "service_responses":
        unanswered = frame["responded_at"].isna()
        success = is_success(frame) & frame["command_variant"].ne(4)
        return ~(frame["responded_at"] < frame["sent_at"]) & ~(success & unanswered)
    if extract == "registrations":
        return ~(frame["effective_to"] <= frame["effective_from"])
    if extract == "devices":
        repeated = frame[frame.duplicated("device_id", keep=False)].drop_duplicates()
        return ~frame["device_id"].isin(repeated["device_id"][repeated.duplicated("device_id", keep=False)])
    return pd.Series(True, index=frame.index)


def is_success(responses: pd.DataFrame) -> pd.Series:
    return responses["response_code"].eq("I0") & responses["execution_status"].eq("success")


# -- evidence -------------------------------------------------------------------------------------------


def in_scope(devices: pd.DataFrame, as_at: pd.Timestamp) -> pd.DataFrame:
    """One row per Device in scope; its number is its place."""
    wanted = (
        devices["device_type"].isin(list(REQUIRED_CHECKS))
        & ~devices["device_status"].isin(OUT_OF_SCOPE)
        & (devices["commissioned_at"] <= as_at)
    )
    return devices[wanted].drop_duplicates("device_id").reset_index(drop=True)


def numbered(frame: pd.DataFrame, column: str, devices: pd.DataFrame) -> np.ndarray:
    """The number of the Device that a column names; -1 where it is none in scope."""
    return frame[column].cat.set_categories(devices["device_id"].astype("str")).cat.codes.to_numpy()


def open_attempts(responses: pd.DataFrame) -> pd.DataFrame:
    """One row per attempt at a step that succeeded or may have worked."""
    responses = responses[responses["command_variant"].ne(4)]
    code, status = responses["response_code"], responses["execution_status"]
    answered = code.eq("I0")
    attempts = pd.DataFrame(
        {
            "device_id": responses["device_id"],
            "step": step_of(responses),
            "at": responses["responded_at"].fillna(responses["sent_at"]),
            "success": answered & status.eq("success"),
            "empty": answered & (status.isna() | status.eq("")),
            "partial": answered & status.eq("partial"),
            "no_response": code.isna() | code.isin(NO_RESPONSE),
        }
    )
    is_open = attempts[["success", "empty", "partial", "no_response"]].any(axis=1)
    return attempts[is_open & attempts["step"].ge(0)]


def step_of(responses: pd.DataFrame) -> np.ndarray:
    step = np.full(len(responses), -1, np.int8)
    for number, alternatives in STEPS.items():
        for srv, qualified_by, qualifier in alternatives:
            is_step = responses["srv"].eq(srv)
            if qualified_by:
                is_step &= responses[qualified_by].eq(qualifier)
            step[is_step.to_numpy()] = number
    return step


def by_step(attempts: pd.DataFrame, devices: pd.DataFrame) -> pd.DataFrame:
    """One row per Device, columns (what, step): first_success, last_open, empty, no_response."""
    attempts = attempts.assign(
        device=numbered(attempts, "device_id", devices), succeeded_at=attempts["at"].where(attempts["success"])
    )
    steps = (
        attempts[attempts["device"] >= 0]
        .groupby(["device", "step"], sort=False)
        .agg(
            first_success=("succeeded_at", "min"),
            last_open=("at", "max"),
            empty=("empty", "max"),
            no_response=("no_response", "max"),
        )
    )
    return wide(steps, devices, STEPS)


def wide(long: pd.DataFrame | pd.Series, devices: pd.DataFrame, columns) -> pd.DataFrame:
    """One row per Device in its order, every column of `columns` there even when nothing has it."""
    frame = long.unstack()
    names = [(what, step) for what in long.columns for step in columns] if isinstance(long, pd.DataFrame) else columns
    return frame.reindex(index=devices.index, columns=names)


def passed_checks(checks: pd.DataFrame, devices: pd.DataFrame) -> pd.DataFrame:
    """One row per Device, a column a DSP check: when it was first met."""
    checks = checks[checks["passed"].eq(True) & checks["check"].isin(CHECKS[5:])]
    checks = checks.assign(device=numbered(checks, "device_id", devices))
    first = checks[checks["device"] >= 0].groupby(["device", "check"], observed=True)["checked_at"].min()
    return wide(first, devices, CHECKS[5:])


# -- suppliers ------------------------------------------------------------------------------------------


def with_suppliers(devices: pd.DataFrame, registrations: pd.DataFrame, as_at: pd.Timestamp) -> pd.DataFrame:
    """Adds supplier_at_commissioning, supplier, changed_supplier_at and last_change of supplier."""
    named = set(registrations["supplier_id"].cat.categories) | set(devices["responsible_supplier_id"].cat.categories)
    # Ordered: pandas takes two unordered kinds with the same categories for one, and would keep the old order.
    party = pd.CategoricalDtype(sorted(named), ordered=True)
    spells = pd.DataFrame(
        {
            "device": numbered(registrations, "device_id", devices),
            "supplier": registrations["supplier_id"].astype(party),
            "starts": registrations["effective_from"],
            "ends": registrations["effective_to"],
        }
    )
    spells = spells[(spells["device"] >= 0) & (spells["starts"] <= as_at)]
    spells = spells.sort_values(["device", "starts", "supplier"])
    spells["commissioned_on"] = devices["commissioned_at"].dt.normalize().to_numpy()[spells["device"]]
    otherwise = devices["responsible_supplier_id"].astype(party)
    devices = devices.assign(
        supplier_at_commissioning=supplier_on(spells, spells["commissioned_on"], otherwise),
        supplier=supplier_on(spells, as_at.normalize(), otherwise),
    )
    return devices.assign(**changes_of_supplier(spells, devices))


def supplier_on(spells: pd.DataFrame, day: pd.Series | pd.Timestamp, otherwise: pd.Series) -> pd.Series:
    """Of the spells in force on the day the last one in order; failing any, the responsible supplier."""
    in_force = spells[(spells["starts"] <= day) & (spells["ends"].isna() | (spells["ends"] > day))]
    last = in_force.drop_duplicates("device", keep="last").set_index("device")["supplier"]
    return last.reindex(otherwise.index).fillna(otherwise)


def changes_of_supplier(spells: pd.DataFrame, devices: pd.DataFrame) -> dict[str, pd.Series]:
    first = devices["supplier_at_commissioning"].take(spells["device"])
    first.index = spells.index
    before = spells.groupby("device")["supplier"].shift().fillna(first)
    is_later = spells["starts"] > spells["commissioned_on"]
    is_other = is_later & first.notna() & spells["supplier"].ne(first)
    is_change = is_later & before.notna() & spells["supplier"].ne(before)
    starts = spells.set_index("device")["starts"]
    return {
        "changed_supplier_at": starts[is_other.to_numpy()].groupby("device").min().reindex(devices.index),
        "last_change": starts[is_change.to_numpy()].groupby("device").max().reindex(devices.index),
    }


# -- the reported verdict -------------------------------------------------------------------------------


def reported(devices: pd.DataFrame, steps: pd.DataFrame, dsp: pd.DataFrame, as_at: pd.Timestamp) -> pd.DataFrame:
    """reported, reported_passed_at and the unmet checks as bits."""
    met_at = pd.concat([steps["first_success"][[0, 1, 2, 3, 4]].set_axis(CHECKS[:5], axis=1), dsp], axis=1)
    required = devices["device_type"].map(REQUIRED_CHECKS).astype("int64").to_numpy()
    is_required = (required[:, None] >> np.arange(len(CHECKS)) & 1).astype(bool)
    unmet = required & ~(met_at.notna().to_numpy() @ (1 << np.arange(len(CHECKS))))
    due_at = devices["commissioned_at"] + GRACE
    verdict = np.select([unmet == 0, due_at > as_at], ["passed", "not_due"], "failed")
    passed_at = met_at.where(is_required).max(axis=1).where(unmet == 0)
    return pd.DataFrame({"due_at": due_at, "reported": verdict, "reported_passed_at": passed_at, "unmet": unmet})


# -- the actual verdict ---------------------------------------------------------------------------------


def latest(reads: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Of each group the rows read last: several when they were read at the same instant."""
    return reads[reads["read_at"] == reads.groupby(by, sort=False)["read_at"].transform("max")]


def cell_reads(reads: pd.DataFrame, devices: pd.DataFrame, parties: pd.DataFrame, certificates: pd.DataFrame):
    """The latest read_at and the worst verdict, one row per Device and a column a cell each."""
    cell = np.full(len(reads), -1, np.int8)
    for number, (role, usage, _) in enumerate(CELLS):
        is_cell = reads["remote_party_role"].eq(role) & reads["certificate_usage"].eq(usage)
        cell[is_cell.to_numpy()] = number
    reads = reads.assign(cell=cell)[cell >= 0]
    reads["device"] = numbered(reads, "device_id", devices)
    reads = latest(reads[reads["device"] >= 0], ["device", "cell"])
    found = pd.DataFrame(
        {
            "device": reads["device"],
            "cell": reads["cell"],
            "read_at": reads["read_at"],
            "verdict": verdicts(reads, devices, parties, certificates),
        }
    )
    found = found.groupby(["device", "cell"], sort=False).agg({"read_at": "first", "verdict": "max"})
    found = wide(found, devices, range(len(CELLS)))
    return found["read_at"], found["verdict"]


def verdicts(reads: pd.DataFrame, devices: pd.DataFrame, parties: pd.DataFrame, certificates: pd.DataFrame):
    """The verdict of each read; what was in the cell and whose it should be are few combinations."""
    is_suppliers, is_operators = (
        reads["remote_party_role"].eq("Supplier"),
        reads["remote_party_role"].eq("NetworkOperator"),
    )
    party = list(parties["party_id"].unique())
    supplier = devices["supplier"].cat.set_categories(party).cat.codes.to_numpy()[reads["device"]]
    operator = devices["network_operator_id"].cat.set_categories(party).cat.codes.to_numpy()[reads["device"]]
    facts = pd.DataFrame(
        {
            "role": reads["remote_party_role"],
            "usage": reads["certificate_usage"],
            "status": reads["status_code"],
            "subject": reads["subject_unique_id"].astype(pd.CategoricalDtype(parties["eui"].unique())),
            "key": reads["subject_key_identifier"],
            "party": np.select([is_suppliers, is_operators], [supplier, operator], -1),
        }
    )
    group = facts.groupby(list(facts.columns), observed=True, dropna=False, sort=False).ngroup().to_numpy()
    distinct = facts[~pd.Series(group).duplicated().to_numpy()]
    named = pd.Categorical.from_codes(distinct["party"], categories=party)
    return judged(distinct.assign(party=named), parties, certificates)[group]


def judged(facts: pd.DataFrame, parties: pd.DataFrame, certificates: pd.DataFrame) -> np.ndarray:
    facts = facts.astype("object")
    euis = parties[["eui", "role", "party_id"]].set_axis(["subject", "role", "party"], axis=1)
    in_use = certificates.set_axis(["subject", "role", "usage", "key"], axis=1)
    of_acb, of_supplier = (facts["subject"].isin(euis["subject"][euis["role"] == role]) for role in ("ACB", "Supplier"))
    users = parties["party_id"][parties["role"].eq("NetworkOperator") & parties["is_dcc_user"].eq(True)]
    in_operator_cell = facts["role"].eq("NetworkOperator")
    of_user = facts["party"].isin(users)
    any_party = facts["role"].isin(["Recovery", "ACB"])
    known = np.where(any_party, facts["role"].isin(euis["role"]), among(facts, euis, ["role", "party"]))
    expected = np.where(
        any_party, among(facts, euis, ["subject", "role"]), among(facts, euis, ["subject", "role", "party"])
    )
    other_in_operator_cell = in_operator_cell & ~expected
    acb_accepted = other_in_operator_cell & of_acb & ~of_user
    certified = np.where(
        acb_accepted,
        among(facts.assign(role="ACB"), in_use, ["subject", "role", "usage", "key"]),
        among(facts, in_use, ["subject", "role", "usage", "key"]),
    )
    rules = {
        MISSING: facts["status"].ne("success"),
        NOT_JUDGED: ~known,
        DCC: other_in_operator_cell & of_acb & of_user,
        SUPPLIERS: other_in_operator_cell & of_supplier & ~acb_accepted,
        WRONG_PARTY: ~expected & ~acb_accepted,
        UNKNOWN_CERTIFICATE: ~certified,
    }
    return np.select(list(rules.values()), list(rules), RIGHT).astype(np.int8)


def among(left: pd.DataFrame, right: pd.DataFrame, on: list[str]) -> np.ndarray:
    """Whether the columns `on` of each row are those of some row of `right`."""
    right = right[on].astype("object").drop_duplicates()
    return left[on].merge(right, on=on, how="left", indicator=True)["_merge"].eq("both").to_numpy()


def with_staleness(read_at: pd.DataFrame, verdict: pd.DataFrame, devices: pd.DataFrame, steps: pd.DataFrame):
    """The verdict of each cell, NOT_REQUIRED where the type has no such cell."""
    last_open = steps["last_open"]
    changed_at = {
        "Supplier": pd.concat([last_open[UPDATE_SUPPLIER], devices["last_change"]], axis=1).max(axis=1),
        "NetworkOperator": last_open[[UPDATE_OPERATOR, HANDOVER]].max(axis=1),
    }
    cells = {}
    for number, (role, _, types) in enumerate(CELLS):
        found = verdict[number].fillna(NOT_READ).astype(np.int8)
        if role in changed_at:
            found = found.mask(read_at[number] < changed_at[role], NOT_READ)
        cells[number] = found.where(devices["device_type"].isin(types), NOT_REQUIRED)
    return pd.DataFrame(cells)


def device_keys(reads: pd.DataFrame, devices: pd.DataFrame, certificates: pd.DataFrame, steps: pd.DataFrame):
    reads = reads[reads["remote_party_role"].eq("Device") & reads["certificate_usage"].isin(list(DEVICE_KEYS))]
    reads = reads.assign(device=numbered(reads, "device_id", devices))
    reads = latest(reads[reads["device"] >= 0], ["device", "certificate_usage"])
    reads = key_of(reads)
    certificates = certificates[certificates["remote_party_role"].eq("Device")]
    certificates = key_of(certificates.assign(device=numbered(certificates, "subject_unique_id", devices)))
    on = ["device", "usage", "key"]
    in_use = reads[on].merge(certificates[on].drop_duplicates(), on=on, how="left", indicator=True)["_merge"].eq("both")
    is_own = numbered(reads, "subject_unique_id", devices) == reads["device"]
    reads["bad"] = ~(reads["status_code"].eq("success") & is_own & in_use.to_numpy())
    found = reads.groupby(["device", "usage"], sort=False).agg({"read_at": "first", "bad": "max"})
    found = wide(found, devices, DEVICE_KEYS)
    bad, good = [], []
    for usage, step in DEVICE_KEYS.items():
        is_read = found["read_at"][usage].notna() & ~(found["read_at"][usage] < steps["last_open"][step])
        is_bad = found["bad"][usage].eq(True)
        bad.append(is_read & is_bad)
        good.append(is_read & ~is_bad)
    return np.select([bad[0] | bad[1], good[0] & good[1]], ["not_in_use", "in_use"], "not_read")


def key_of(frame: pd.DataFrame) -> pd.DataFrame:
    """Usage and key identifier as plain text, which two frames with categories of their own can be joined by."""
    return frame.assign(
        usage=frame["certificate_usage"].astype("str"), key=frame["subject_key_identifier"].astype("str")
    )


def actual(cells: pd.DataFrame, keys: np.ndarray, read_at: pd.DataFrame) -> pd.DataFrame:
    worst = cells.max(axis=1)
    verdict = np.select(
        [(worst >= UNKNOWN_CERTIFICATE) | (keys == "not_in_use"), worst.isin([NOT_READ, NOT_JUDGED])],
        ["not_secure", "unverified"],
        "secure",
    )
    was_read = cells.ne(NOT_READ) & cells.ne(NOT_REQUIRED)
    return pd.DataFrame(
        {
            "actual": verdict,
            "faults": faults(cells.assign(keys=keys == "not_in_use")),
            "device_keys": keys,
            "verified_at": read_at.where(was_read).min(axis=1).where(verdict != "unverified"),
        }
    )


def faults(cells: pd.DataFrame) -> np.ndarray:
    """Every combination of verdicts is put into words once."""
    combination = cells.groupby(list(cells.columns), sort=False).ngroup().to_numpy()
    distinct = cells[~pd.Series(combination).duplicated().to_numpy()]
    words = [
        "; ".join(
            [
                f"{role}/{usage}: {VERDICTS[v]}"
                for (role, usage, _), v in zip(CELLS, row, strict=False)
                if v >= UNKNOWN_CERTIFICATE
            ]
            + (["Device: not_in_use"] if row[-1] else [])
        )
        for row in distinct.itertuples(index=False)
    ]
    return np.array(words, dtype=object)[combination]


# -- finding and cause ----------------------------------------------------------------------------------


def causes(devices: pd.DataFrame, steps: pd.DataFrame, verdict: pd.DataFrame) -> pd.DataFrame:
    unmet = verdict["unmet"].to_numpy()
    holds_for = [
        np.where(steps["first_success"][HANDOVER].notna(), UPDATE_NETWORK_OPERATOR, 0),
        check_bits(steps["empty"]),
        check_bits(steps["no_response"]),
        np.where(devices["changed_supplier_at"].notna(), USER_CHECKS, 0),
    ]
    held = np.array([bits & unmet for bits in holds_for])
    holding = (held != 0).T @ (1 << np.arange(len(CAUSES)))
    first = np.select([row != 0 for row in held], CAUSES, "unexplained")
    is_explained = np.bitwise_or.reduce(held) == unmet
    failed = verdict["reported"].eq("failed")
    return pd.DataFrame(
        {
            "cause": pd.Series(np.where(is_explained, first, "unexplained")).where(failed),
            "causes": pd.Series(names_of(CAUSES)[holding]).where(failed),
        }
    )


def check_bits(flags: pd.DataFrame) -> np.ndarray:
    return flags[[0, 1, 2, 3, 4]].eq(True).to_numpy() @ (1 << np.arange(5))


def names_of(names: list[str]) -> np.ndarray:
    """Set of names as bits -> the names joined."""
    sets = range(1 << len(names))
    return np.array(["; ".join(n for place, n in enumerate(names) if bits >> place & 1) for bits in sets], object)


def finding(reported: pd.Series, actual: pd.Series) -> pd.Series:
    return (reported + " " + actual).map({f"{r} {a}": name for r, row in FINDINGS.items() for a, name in row.items()})


# -- the whole ------------------------------------------------------------------------------------------


def outcomes(folder: Path) -> pd.DataFrame:
    run_start = pd.Timestamp(datetime.now(UTC).replace(tzinfo=None))
    extracts = {name: read(folder, name, run_start) for name in EXTRACTS if (folder / name).is_dir()}
    as_at = latest_instant(extracts)
    parties, reads = extracts["parties"], extracts["credential_reads"]
    certificates = extracts["certificates"]
    certificates = certificates[certificates["status"].eq("InUse")].drop(columns="status")

    devices = in_scope(extracts["devices"], as_at)
    devices = with_suppliers(devices, extracts["registrations"], as_at)
    steps = by_step(open_attempts(extracts["service_responses"]), devices)
    dsp = passed_checks(extracts["dsp_checks"], devices)
    says = reported(devices, steps, dsp, as_at)

    of_parties = certificates[certificates["remote_party_role"].ne("Device")]
    read_at, verdict = cell_reads(reads, devices, parties, of_parties)
    cells = with_staleness(read_at, verdict, devices, steps)
    proves = actual(cells, device_keys(reads, devices, certificates, steps), read_at)
    return pd.concat(
        [
            devices.rename(columns={"network_operator_id": "network_operator"}).drop(
                columns=["device_status", "responsible_supplier_id", "last_change"]
            ),
            says.assign(unmet_checks=names_of(CHECKS)[says["unmet"]]).drop(columns="unmet"),
            proves,
            causes(devices, steps, says),
        ],
        axis=1,
    ).assign(finding=finding(says["reported"], proves["actual"]))


def latest_instant(extracts: dict[str, pd.DataFrame]) -> pd.Timestamp:
    clocks = {
        "service_responses": ["sent_at", "responded_at"],
        "dsp_checks": ["checked_at"],
        "credential_reads": ["read_at"],
    }
    return max(extracts[name][column].max() for name, columns in clocks.items() for column in columns)


def main() -> None:
    outcomes(Path(sys.argv[1])).to_parquet(sys.argv[2], index=False)


if __name__ == "__main__":
    main()
