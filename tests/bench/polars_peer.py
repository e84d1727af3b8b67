"""The contract's outcomes in polars alone: extracts in, outcomes Parquet out, sharing no code with the product.

    python tests/bench/polars_peer.py EXTRACTS OUT.parquet

Two lazy queries on the streaming engine: the first checks every row and finds as_at, the second goes from the
extracts to the file of outcomes. It speaks of the default as_at, at which no Response and no read is later.
Lists are text joined with "; ".

It does less than the product: bad rows are left out without their file, row and reason; no evidence is kept for
a later build; unknown codes and extra columns are not counted; nothing else than the outcomes is computed
(amendments, rates, causes by party); no snapshot is published.
"""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
from peer_contract import EXTRACTS, FINDINGS, MOST_QUARANTINED, NO_RESPONSE, OUT_OF_SCOPE, VERDICTS
from polars import col, lit, when

EUI64 = "^(?:[0-9A-F]{2}-){7}[0-9A-F]{2}$"
ERA_STARTS = datetime(2012, 1, 1)
GRACE = timedelta(days=7)

CLOCKS = {
    "service_responses": ["sent_at", "responded_at"],
    "dsp_checks": ["checked_at"],
    "credential_reads": ["read_at"],
}

USER_CHECKS = [
    "issue_digital_signature",
    "issue_key_agreement",
    "update_digital_signature",
    "update_key_agreement",
    "update_network_operator",
]
DSP_CHECKS = ["communicating", "recovery_cell"]
CHECKS = USER_CHECKS + DSP_CHECKS
UPDATE_NETWORK_OPERATOR = "update_network_operator"
TYPES = ["ESME", "GSME", "GPF", "CHF"]
WITH_OPERATOR = ["ESME", "GPF"]
# The steps of Service Requests; the first five are the user checks.
STEPS = {
    "issue_digital_signature": [("6.17", "credential_type", "Digital Signature")],
    "issue_key_agreement": [("6.17", "credential_type", "Key Agreement")],
    "update_digital_signature": [("6.15.2", "credential_type", "Digital Signature")],
    "update_key_agreement": [("6.15.2", "credential_type", "Key Agreement")],
    "update_network_operator": [("6.15.1", "remote_party_role", "NetworkOperator")],
    "handover": [("6.21", "remote_party_role", "NetworkOperator")],
    "update_supplier": [
        ("6.23", None, None),
        ("6.15.1", "remote_party_role", "Supplier"),
        ("6.21", "remote_party_role", "Supplier"),
    ],
}

CELLS = {
    ("Supplier", "DigitalSigning"): ["ESME", "GSME", "GPF"],
    ("Supplier", "KeyAgreement"): ["ESME", "GSME", "GPF"],
    ("NetworkOperator", "DigitalSigning"): WITH_OPERATOR,
    ("NetworkOperator", "KeyAgreement"): WITH_OPERATOR,
    ("ACB", "DigitalSigning"): ["CHF"],
    ("ACB", "KeyAgreement"): ["CHF"],
    ("Recovery", "DigitalSigning"): TYPES,
}
DEVICE_KEYS = {
    ("Device", "DigitalSigning"): "update_digital_signature",
    ("Device", "KeyAgreement"): "update_key_agreement",
}
# What makes a read of a role's cells stale.
CHANGED_BY = {
    "Supplier": ["last_open update_supplier", "last_change_of_supplier"],
    "NetworkOperator": ["last_open update_network_operator", "last_open handover"],
}
RIGHT, NOT_READ, NOT_JUDGED, UNKNOWN_CERTIFICATE, MISSING, SUPPLIERS, DCC, WRONG_PARTY = (
    lit(number, pl.Int64) for number in range(8)
)


# -- extracts and their row checks ----------------------------------------------------------------------


def scan(folder: Path, extract: str, run_start: datetime) -> pl.LazyFrame:
    """The columns of the contract and `kept`: whether the row keeps it."""
    kinds = EXTRACTS[extract]
    rows = pl.scan_parquet(folder / extract / "**/*.parquet", hive_partitioning=False, extra_columns="ignore")
    rules = [rule for column, kind in kinds.items() for rule in rules_of(col(column), kind, run_start)]
    return rows.select(*kinds, kept=pl.all_horizontal(*rules, *own_rules(extract)))


def rules_of(column: pl.Expr, kind: str, run_start: datetime) -> list[pl.Expr]:
    rules = [] if kind.endswith("?") else [column.is_not_null()]
    if kind.startswith(("eui", "octets")):
        rules.append(column.str.contains(EUI64).fill_null(True))
    if kind.startswith("era"):
        rules.append(column.is_between(ERA_STARTS, run_start).fill_null(True))
    return rules


def own_rules(extract: str) -> list[pl.Expr]:
    if extract == "service_responses":
        is_success = (IS_ATTEMPT & HAS_ANSWER & HAS_WORKED).fill_null(False)
        early = (col("responded_at") < col("sent_at")).fill_null(False)
        return [~early, ~(is_success & col("responded_at").is_null())]
    if extract == "registrations":
        return [(col("effective_to") > col("effective_from")).fill_null(True)]
    return []


def conflicting(devices: pl.LazyFrame) -> pl.LazyFrame:
    """The Devices that have two different rows."""
    return devices.unique().group_by("device_id").len().filter(col("len") > 1).select("device_id")


def checked(rows: dict[str, pl.LazyFrame]) -> tuple[dict[str, pl.LazyFrame], datetime]:
    """The rows that keep the contract, and as_at; refuses an extract of which too many do not."""
    conflicts = conflicting(rows["devices"]).collect(engine="streaming")["device_id"].to_list()
    rows["devices"] = rows["devices"].with_columns(col("kept") & ~col("device_id").is_in(conflicts))
    facts = pl.collect_all(
        [
            frame.select(
                bad=(~col("kept")).mean(),
                latest=pl.max_horizontal(
                    lit(None, pl.Datetime("us")), *[col(clock).filter("kept").max() for clock in CLOCKS.get(name, [])]
                ),
            )
            for name, frame in rows.items()
        ],
        engine="streaming",
    )
    for name, found in zip(rows, facts, strict=True):
        if (found["bad"].item() or 0) > MOST_QUARANTINED:
            sys.exit(f"{name}: too many rows break the contract")
    as_at = max(found["latest"].item() for found in facts if found["latest"].item())
    return {name: frame.filter("kept").drop("kept") for name, frame in rows.items()}, as_at


# -- evidence: one row a Device --------------------------------------------------------------------------

IS_ATTEMPT = col("command_variant").ne_missing(4)
HAS_ANSWER = col("response_code").eq_missing(lit("I0"))
HAS_WORKED = col("execution_status").eq_missing(lit("success"))


def in_scope(devices: pl.LazyFrame, as_at: datetime) -> pl.LazyFrame:
    wanted = (
        col("device_type").is_in(TYPES)
        & ~col("device_status").is_in(OUT_OF_SCOPE)
        & (col("commissioned_at") <= as_at).fill_null(False)
    )
    return devices.filter(wanted).drop("device_status").unique("device_id", keep="any")


def attempts_of(responses: pl.LazyFrame) -> pl.LazyFrame:
    """Of each step the first success, the last open attempt, and whether one was empty or got no Response."""
    is_empty = col("execution_status").is_null() | (col("execution_status") == "")
    is_open_answer = HAS_ANSWER & (is_empty | col("execution_status").is_in(["success", "partial"]))
    attempts = responses.filter(IS_ATTEMPT).select(
        "device_id",
        step=step_of_row(),
        at=pl.coalesce("responded_at", "sent_at"),
        is_open=is_open_answer | col("response_code").is_null() | col("response_code").is_in(NO_RESPONSE),
        succeeded=HAS_ANSWER & HAS_WORKED,
        empty=HAS_ANSWER & is_empty,
        no_response=~HAS_ANSWER,
    )
    attempts = attempts.filter(col("is_open") & col("step").is_not_null())
    found = []
    for number, step in enumerate(STEPS):
        is_step = col("step") == number
        found.append(when(is_step).then("at").max().alias(f"last_open {step}"))
        found.append(when(is_step & col("succeeded")).then("at").min().alias(f"first_success {step}"))
        if step in USER_CHECKS:
            found.append((is_step & col("empty")).any().alias(f"empty {step}"))
            found.append((is_step & col("no_response")).any().alias(f"no_response {step}"))
    return attempts.group_by("device_id").agg(found)


def step_of_row() -> pl.Expr:
    number_of = {step: number for number, step in enumerate(STEPS)}
    return pl.coalesce(
        when((col("srv") == srv) & (col(column) == value if column else True)).then(lit(number_of[step], pl.Int8))
        for step, alternatives in STEPS.items()
        for srv, column, value in alternatives
    )


def passed_checks(checks: pl.LazyFrame) -> pl.LazyFrame:
    return (
        checks.filter("passed")
        .group_by("device_id")
        .agg(
            when(col("check") == check).then("checked_at").min().alias(f"first_success {check}") for check in DSP_CHECKS
        )
    )


def suppliers_of(devices: pl.LazyFrame, registrations: pl.LazyFrame, as_at: datetime) -> pl.LazyFrame:
    """supplier_at_commissioning, supplier, changed_supplier_at and last_change_of_supplier of each Device."""
    devices = devices.select("device_id", "responsible_supplier_id", commissioned_on=col("commissioned_at").dt.date())
    starts, ends, supplier = col("effective_from"), col("effective_to"), col("supplier_id")
    spells = registrations.filter(starts <= as_at.date()).join(devices, on="device_id")
    # In order, so that of the spells in force on a day the last one counts.
    spells = spells.sort("device_id", "effective_from", "supplier_id")

    def on(day: pl.Expr) -> pl.Expr:
        in_force = (starts <= day) & (ends.is_null() | (ends > day))
        return pl.coalesce(supplier.filter(in_force).last(), col("responsible_supplier_id").first())

    first, is_later = col("supplier_at_commissioning"), starts > col("commissioned_on")
    by_device = spells.group_by("device_id", maintain_order=True).agg(
        supplier_at_commissioning=on(col("commissioned_on")), supplier=on(lit(as_at.date()))
    )
    before = when(col("device_id") == col("device_id").shift()).then(supplier.shift()).otherwise(first)
    changes = spells.join(by_device, on="device_id", maintain_order="left").with_columns(before=before)
    return changes.group_by("device_id").agg(
        first.first(),
        col("supplier").first(),
        changed_supplier_at=starts.filter(is_later & (supplier != first)).min().cast(pl.Datetime("us")),
        last_change_of_supplier=starts.filter(is_later & (supplier != col("before"))).max().cast(pl.Datetime("us")),
    )


def cells_of(
    reads: pl.LazyFrame, devices: pl.LazyFrame, parties: pl.DataFrame, certificates: pl.LazyFrame
) -> pl.LazyFrame:
    """Of each cell and Device key the latest read and the worst verdict at that instant, as one number:
    microseconds since 1970 times 8, plus the verdict. Its maximum is what is sought."""
    cells = [*CELLS, *DEVICE_KEYS]
    role, usage = col("remote_party_role"), col("certificate_usage")
    reads = reads.with_columns(
        cell=pl.coalesce(
            when((role == of_role) & (usage == of_usage)).then(lit(number, pl.Int8))
            for number, (of_role, of_usage) in enumerate(cells)
        )
    ).filter(col("cell").is_not_null())
    reads = reads.join(devices.select("device_id", "supplier", "network_operator_id"), on="device_id")
    judged = with_verdict(reads, parties, certificates)
    number = col("read_at").dt.timestamp("us") * 8 + col("verdict")
    return judged.group_by("device_id").agg(
        when(col("cell") == place).then(number).max().alias(" ".join(cell)) for place, cell in enumerate(cells)
    )


def with_verdict(reads: pl.LazyFrame, parties: pl.DataFrame, certificates: pl.LazyFrame) -> pl.LazyFrame:
    # Whose EUI is expected in a role; "any" for the roles in which any party's is.
    expected = parties.select(role="role", subject="eui", party="party_id")
    any_party = expected.filter(col("role").is_in(["Recovery", "ACB"])).with_columns(party=lit("any"))
    expected = pl.concat([expected, any_party]).unique().lazy()
    of_acb, of_supplier = (
        col("subject").is_in(parties.filter(col("role") == role)["eui"].to_list()).fill_null(False)
        for role in ("ACB", "Supplier")
    )
    users = parties.filter((col("role") == "NetworkOperator") & col("is_dcc_user"))["party_id"].unique().to_list()
    in_use = certificates.filter(col("status") == "InUse").select(
        "subject_unique_id", "remote_party_role", "certificate_usage", "subject_key_identifier", is_in_use=True
    )
    role, of_user = col("role"), col("party").is_in(users).fill_null(False)
    reads = reads.select(
        "device_id",
        "cell",
        "read_at",
        read="status_code",
        role="remote_party_role",
        usage="certificate_usage",
        subject="subject_unique_id",
        key="subject_key_identifier",
        party=when(col("remote_party_role") == "Supplier")
        .then("supplier")
        .when(col("remote_party_role") == "NetworkOperator")
        .then("network_operator_id")
        .otherwise(lit("any")),
    )
    reads = reads.join(expected.with_columns(is_expected=True), on=["role", "subject", "party"], how="left").join(
        expected.select("role", "party", is_known=True).unique(), on=["role", "party"], how="left"
    )
    other_in_operator_cell = (role == "NetworkOperator") & col("is_expected").is_null()
    reads = reads.with_columns(accepted=other_in_operator_cell & of_acb & ~of_user)
    # A certificate that stands twice makes a second row with the same verdict: no harm to a maximum.
    reads = reads.with_columns(certified_as=when("accepted").then(lit("ACB")).otherwise("role")).join(
        in_use,
        left_on=["subject", "certified_as", "usage", "key"],
        right_on=["subject_unique_id", "remote_party_role", "certificate_usage", "subject_key_identifier"],
        how="left",
    )
    is_own = (col("subject") == col("device_id")).fill_null(False)
    return reads.with_columns(
        verdict=when(col("read") != "success")
        .then(MISSING)
        .when((role == "Device") & is_own & col("is_in_use").is_not_null())
        .then(RIGHT)
        .when(role == "Device")
        .then(UNKNOWN_CERTIFICATE)
        .when(col("is_known").is_null())
        .then(NOT_JUDGED)
        .when(other_in_operator_cell & of_acb & of_user)
        .then(DCC)
        .when(other_in_operator_cell & of_supplier & ~col("accepted"))
        .then(SUPPLIERS)
        .when(col("is_expected").is_null() & ~col("accepted"))
        .then(WRONG_PARTY)
        .when(col("is_in_use").is_null())
        .then(UNKNOWN_CERTIFICATE)
        .otherwise(RIGHT)
    )


# -- verdicts ---------------------------------------------------------------------------------------------


def with_reported(devices: pl.LazyFrame, as_at: datetime) -> pl.LazyFrame:
    met_at = {check: col(f"first_success {check}") for check in CHECKS}
    is_required = {check: lit(True) for check in CHECKS}
    is_required[UPDATE_NETWORK_OPERATOR] = col("device_type").is_in(WITH_OPERATOR)
    is_unmet = {check: is_required[check] & met_at[check].is_null() for check in CHECKS}
    passed = ~pl.any_horizontal(is_unmet.values())
    return devices.with_columns(
        due_at=col("commissioned_at") + GRACE,
        reported=when(passed)
        .then(lit("passed"))
        .when(col("commissioned_at") + GRACE > as_at)
        .then(lit("not_due"))
        .otherwise(lit("failed")),
        reported_passed_at=when(passed).then(
            pl.max_horizontal(when(is_required[check]).then(met_at[check]) for check in CHECKS)
        ),
        unmet_checks=joined({check: is_unmet[check] for check in CHECKS}),
        **{f"unmet {check}": is_unmet[check] for check in CHECKS},
    )


def with_actual(devices: pl.LazyFrame) -> pl.LazyFrame:
    """Takes apart the numbers of cells_of; what is stale counts as not read."""
    numbers = {cell: col(" ".join(cell)) for cell in (*CELLS, *DEVICE_KEYS)}
    read_at = {cell: (number // 8).cast(pl.Datetime("us")) for cell, number in numbers.items()}
    fresh = {}
    for cell, number in numbers.items():
        changed_by = [f"last_open {DEVICE_KEYS[cell]}"] if cell in DEVICE_KEYS else CHANGED_BY.get(cell[0], [])
        stale = read_at[cell] < pl.max_horizontal(changed_by) if changed_by else lit(False)
        fresh[cell] = when(number.is_not_null() & ~stale.fill_null(False)).then(number)
    devices = devices.with_columns(fresh[cell].alias(" ".join(cell)) for cell in numbers)
    devices = devices.with_columns(
        when(col("device_type").is_in(types)).then((numbers[cell] % 8).fill_null(NOT_READ)).alias(f"{cell} is")
        for cell, types in CELLS.items()
    )
    worst = pl.max_horizontal(f"{cell} is" for cell in CELLS)
    uncertain = pl.any_horizontal(col(f"{cell} is").is_in([1, 2]) for cell in CELLS)
    keys = [(numbers[cell] % 8 == RIGHT) for cell in DEVICE_KEYS]
    not_in_use = pl.any_horizontal(~key for key in keys).fill_null(False)
    devices = devices.with_columns(
        device_keys=when(not_in_use)
        .then(lit("not_in_use"))
        .when(pl.all_horizontal(key.is_not_null() for key in keys))
        .then(lit("in_use"))
        .otherwise(lit("not_read")),
        faults=faults(not_in_use),
        actual=when((worst >= UNKNOWN_CERTIFICATE) | not_in_use)
        .then(lit("not_secure"))
        .when(uncertain)
        .then(lit("unverified"))
        .otherwise(lit("secure")),
    )
    # A cell that is not read has no number left.
    verified_at = pl.min_horizontal(when(col(f"{cell} is").is_not_null()).then(read_at[cell]) for cell in CELLS)
    return devices.with_columns(verified_at=when(col("actual") != "unverified").then(verified_at))


def faults(not_in_use: pl.Expr) -> pl.Expr:
    said = [
        when(col(f"{cell} is") == number).then(lit(f"{'/'.join(cell)}: {verdict}"))
        for cell in CELLS
        for number, verdict in enumerate(VERDICTS)
        if number > 2
    ]
    said.append(when(not_in_use).then(lit("Device: not_in_use")))
    return pl.concat_str(said, separator="; ", ignore_nulls=True)


def with_causes(devices: pl.LazyFrame) -> pl.LazyFrame:
    def unmet(check: str) -> pl.Expr:
        return col(f"unmet {check}")

    def of(what: str, check: str) -> pl.Expr:
        return col(f"{what} {check}").fill_null(False) & unmet(check) if check in USER_CHECKS else lit(False)

    handover = col("first_success handover").is_not_null()
    changed = col("changed_supplier_at").is_not_null()
    holds = {
        check: {
            "dcc_credential_handover": handover & unmet(check) if check == UPDATE_NETWORK_OPERATOR else lit(False),
            "empty_status": of("empty", check),
            "timeout": of("no_response", check),
            "change_of_supplier": changed & unmet(check) if check in USER_CHECKS else lit(False),
        }
        for check in CHECKS
    }
    held = {cause: pl.any_horizontal(holds[check][cause] for check in CHECKS) for cause in holds["communicating"]}
    explained = pl.all_horizontal(~unmet(check) | pl.any_horizontal(holds[check].values()) for check in CHECKS)
    first = pl.coalesce(*[when(holding).then(lit(cause)) for cause, holding in held.items()], lit("unexplained"))
    failed = col("reported") == "failed"
    return devices.with_columns(
        cause=when(failed & explained).then(first).when(failed).then(lit("unexplained")),
        causes=when(failed).then(joined(held)),
    )


def joined(flags: dict[str, pl.Expr]) -> pl.Expr:
    """The names of the flags that are set, in order."""
    return pl.concat_str(
        [when(flag).then(lit(name)) for name, flag in flags.items()], separator="; ", ignore_nulls=True
    )


def finding() -> pl.Expr:
    names = {f"{r} {a}": name for r, row in FINDINGS.items() for a, name in row.items()}
    return pl.concat_str("reported", "actual", separator=" ").replace_strict(names, return_dtype=pl.String)


# -- the whole --------------------------------------------------------------------------------------------


def outcomes(folder: Path) -> pl.LazyFrame:
    run_start = datetime.now(UTC).replace(tzinfo=None)
    extracts, as_at = checked({name: scan(folder, name, run_start) for name in EXTRACTS if (folder / name).is_dir()})
    devices = in_scope(extracts["devices"], as_at)
    devices = devices.join(
        suppliers_of(devices, extracts["registrations"], as_at), on="device_id", how="left"
    ).with_columns(
        pl.coalesce(name, "responsible_supplier_id").alias(name) for name in ("supplier_at_commissioning", "supplier")
    )
    cells = cells_of(extracts["credential_reads"], devices, extracts["parties"].collect(), extracts["certificates"])
    for evidence in (attempts_of(extracts["service_responses"]), passed_checks(extracts["dsp_checks"]), cells):
        devices = devices.join(evidence, on="device_id", how="left")
    devices = with_causes(with_actual(with_reported(devices, as_at)))
    return devices.select(
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
        "reported",
        "reported_passed_at",
        "unmet_checks",
        "actual",
        "faults",
        "device_keys",
        "verified_at",
        "cause",
        "causes",
        network_operator="network_operator_id",
        finding=finding(),
    )


def main() -> None:
    outcomes(Path(sys.argv[1])).sink_parquet(sys.argv[2], engine="streaming")


if __name__ == "__main__":
    main()
