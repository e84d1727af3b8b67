"""The contract's outcomes in DataFusion: extracts in, outcomes Parquet out, sharing no code with the product.

    python tests/bench/datafusion_peer.py EXTRACTS OUT.parquet

SQL on the Parquet files: one query an extract checks every row and finds as_at, then each kind of evidence becomes
a table in memory, and the last query joins and judges. It speaks of the default as_at, at which no Response and no
read is later. Lists are text joined with "; ".

It does less than the product: bad rows are left out without their file, row and reason; no evidence is kept for
a later build; unknown codes and extra columns are not counted; nothing else than the outcomes is computed
(amendments, rates, causes by party); no snapshot is published.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

from datafusion import SessionContext
from peer_contract import CAUSES, EXTRACTS, MOST_QUARANTINED, VERDICTS

EUI64 = "^([0-9A-F]{2}-){7}[0-9A-F]{2}$"

CLOCKS = {
    "service_responses": "greatest(sent_at, responded_at)",
    "dsp_checks": "checked_at",
    "credential_reads": "read_at",
}
SUCCESS = "response_code = 'I0' and execution_status = 'success'"
IS_ATTEMPT = "(command_variant is distinct from 4)"
# A rule that is null is not broken.
OWN_RULES = {
    "service_responses": [
        "responded_at >= sent_at",
        f"not (responded_at is null and {IS_ATTEMPT} and coalesce({SUCCESS}, false))",
    ],
    "registrations": ["effective_to > effective_from"],
    "devices": ["not conflicts"],
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
# The steps of Service Requests; the first five are the user checks.
STEPS = {
    "issue_digital_signature": "srv = '6.17' and credential_type = 'Digital Signature'",
    "issue_key_agreement": "srv = '6.17' and credential_type = 'Key Agreement'",
    "update_digital_signature": "srv = '6.15.2' and credential_type = 'Digital Signature'",
    "update_key_agreement": "srv = '6.15.2' and credential_type = 'Key Agreement'",
    "update_network_operator": "srv = '6.15.1' and remote_party_role = 'NetworkOperator'",
    "handover": "srv = '6.21' and remote_party_role = 'NetworkOperator'",
    "update_supplier": "srv = '6.23' or srv in ('6.15.1', '6.21') and remote_party_role = 'Supplier'",
}
WITH_OPERATOR = "device_type in ('ESME', 'GPF')"
# Cell -> role, usage, which types have it, and what makes a read of it stale.
BY_SUPPLIER = "greatest(last_open_update_supplier, last_change_of_supplier)"
BY_OPERATOR = "greatest(last_open_update_network_operator, last_open_handover)"
CELLS = {
    "supplier_ds": ("Supplier", "DigitalSigning", "device_type <> 'CHF'", BY_SUPPLIER),
    "supplier_ka": ("Supplier", "KeyAgreement", "device_type <> 'CHF'", BY_SUPPLIER),
    "operator_ds": ("NetworkOperator", "DigitalSigning", WITH_OPERATOR, BY_OPERATOR),
    "operator_ka": ("NetworkOperator", "KeyAgreement", WITH_OPERATOR, BY_OPERATOR),
    "acb_ds": ("ACB", "DigitalSigning", "device_type = 'CHF'", "null"),
    "acb_ka": ("ACB", "KeyAgreement", "device_type = 'CHF'", "null"),
    "recovery_ds": ("Recovery", "DigitalSigning", "true", "null"),
}
DEVICE_KEYS = {
    "key_ds": ("Device", "DigitalSigning", "true", "last_open_update_digital_signature"),
    "key_ka": ("Device", "KeyAgreement", "true", "last_open_update_key_agreement"),
}


def moment(time: datetime) -> str:
    """As the columns are: a literal of another unit would have every row cast to it."""
    return f"arrow_cast('{time.isoformat()}', 'Timestamp(Microsecond, None)')"


def each(items, template: str, by: str = ",\n") -> str:
    return by.join(template.format(item) for item in items)


# -- extracts and their row checks ----------------------------------------------------------------------


def rules(extract: str, run_start: datetime) -> str:
    found = [f"coalesce({rule}, true)" for rule in OWN_RULES.get(extract, [])]
    for column, kind in EXTRACTS[extract].items():
        if not kind.endswith("?"):
            found.append(f'"{column}" is not null')
        if kind.startswith(("eui", "octets")):
            found.append(f"coalesce(regexp_like(\"{column}\", '{EUI64}'), true)")
        if kind.startswith("era"):
            era = f"{moment(datetime(2012, 1, 1))} and {moment(run_start)}"
            found.append(f'coalesce("{column}" between {era}, true)')
    return " and ".join(found)


def register(context: SessionContext, folder: Path) -> datetime:
    """A view of the rows that keep the contract for each extract; gives as_at.

    Refuses an extract of which too many rows do not."""
    run_start, latest = datetime.now(UTC).replace(tzinfo=None), []
    for extract in (name for name in EXTRACTS if (folder / name).is_dir()):
        files = "devices_files" if extract == "devices" else f"{extract}_rows"
        context.register_parquet(files, str(folder / extract), file_extension=".parquet")
        if extract == "devices":
            context.sql(CONFLICTING)
            context.sql(DEVICES_ROWS)
        kept, clock = rules(extract, run_start), CLOCKS.get(extract, "null")
        facts = context.sql(f"""
            select count(*) as "all", count(*) filter (where kept) as good, max(clock) filter (where kept) as latest
            from (select {kept} as kept, {clock} as clock from {extract}_rows)
        """).to_pylist()[0]
        if facts["all"] - facts["good"] > MOST_QUARANTINED * facts["all"]:
            sys.exit(f"{extract}: too many rows break the contract")
        latest.append(facts["latest"])
        columns = each(EXTRACTS[extract], '"{}"')
        context.sql(f"create view {extract} as select {columns} from {extract}_rows where {kept}")
    return max(time for time in latest if time)


CONFLICTING = f"""
    create table conflicting as
    with repeated as (select device_id from devices_files group by device_id having count(*) > 1),
    variants as (
        select distinct {each(EXTRACTS["devices"], "{}", ", ")}
        from devices_files
        where device_id in (select device_id from repeated)
    )
    select device_id, true as conflicts from variants group by device_id having count(*) > 1
"""
DEVICES_ROWS = """
    create view devices_rows as
    select devices_files.*, conflicts
    from devices_files left join conflicting on conflicting.device_id = devices_files.device_id
"""

# -- evidence: one row a Device --------------------------------------------------------------------------

IN_SCOPE = """
    create table scope as
    select distinct * from devices
    where device_type in ('ESME', 'GSME', 'GPF', 'CHF') and commissioned_at <= {as_at}
    and device_status not in ('Pending', 'Whitelisted', 'InstalledNotCommissioned', 'Decommissioned', 'Withdrawn')
"""

ATTEMPTS = f"""
    create table attempts as
    with attempts as (
        select
            device_id,
            case {each([f"when {what} then '{step}'" for step, what in STEPS.items()], "{}", " ")} end as step,
            coalesce(responded_at, sent_at) as at,
            coalesce({SUCCESS}, false) as success,
            response_code = 'I0' and coalesce(execution_status, '') = '' as empty,
            response_code is null or response_code in ('I99', 'E20', 'E21', 'E30') as no_response,
            execution_status = 'partial' and response_code = 'I0' as partial
        from service_responses
        where {IS_ATTEMPT}
    )
    select
        device_id,
        {each(STEPS, "min(at) filter (where step = '{0}' and success) as first_{0}")},
        {each(STEPS, "max(at) filter (where step = '{0}') as last_open_{0}")},
        {each(USER_CHECKS, "coalesce(bool_or(empty) filter (where step = '{0}'), false) as empty_{0}")},
        {each(USER_CHECKS, "coalesce(bool_or(no_response) filter (where step = '{0}'), false) as no_response_{0}")}
    from attempts
    where step is not null and (success or empty or no_response or partial)
    group by device_id
"""

FIRST_PASS = """min(checked_at) filter (where "check" = '{0}') as first_{0}"""
PASSED_CHECKS = f"""
    create table passed_checks as
    select device_id, {each(DSP_CHECKS, FIRST_PASS)}
    from dsp_checks
    where passed
    group by device_id
"""

SPELLS = """
    create table spells as
    select scope.device_id, supplier_id, effective_from, effective_to, responsible_supplier_id,
        arrow_cast(commissioned_at, 'Date32') as commissioned_on,
        lag(supplier_id) over (partition by scope.device_id order by effective_from, supplier_id) as before
    from registrations join scope on scope.device_id = registrations.device_id
    where effective_from <= arrow_cast({as_at}, 'Date32')
"""

SUPPLIERS = """
    create table suppliers as
    with in_force as (
        select device_id,
            coalesce(
                last_value(supplier_id order by effective_from, supplier_id)
                    filter (where effective_from <= commissioned_on and coalesce(effective_to > commissioned_on, true)),
                max(responsible_supplier_id)
            ) as supplier_at_commissioning,
            coalesce(
                last_value(supplier_id order by effective_from, supplier_id)
                    filter (where coalesce(effective_to > arrow_cast({as_at}, 'Date32'), true)),
                max(responsible_supplier_id)
            ) as supplier
        from spells
        group by device_id
    ), changes as (
        select spells.device_id,
            min(effective_from) filter (where supplier_id <> supplier_at_commissioning) as changed_supplier_at,
            max(effective_from) filter (where supplier_id <> coalesce(before, supplier_at_commissioning))
                as last_change_of_supplier
        from spells join in_force on in_force.device_id = spells.device_id
        where effective_from > commissioned_on
        group by spells.device_id
    )
    select in_force.*,
        arrow_cast(changed_supplier_at, 'Timestamp(Microsecond, None)') as changed_supplier_at,
        arrow_cast(last_change_of_supplier, 'Timestamp(Microsecond, None)') as last_change_of_supplier
    from in_force left join changes on changes.device_id = in_force.device_id
"""

# Of each cell and Device key the latest read and the worst verdict at that instant, as one number: microseconds
# since 1970 times 8, plus the verdict. A certificate that stands twice makes a second row with the same verdict.
CELL_READS = f"""
    create table cells as
    with euis as (
        select eui, bool_or(role = 'ACB') as of_acb, bool_or(role = 'Supplier') as of_supplier
        from parties
        group by eui
    ), expected as (
        select distinct role, eui, party_id, true as is_expected from parties
        union
        select role, eui, 'any', true from parties where role in ('Recovery', 'ACB')
    ), known as (
        select distinct role, party_id, true as is_known from expected
    ), users as (
        select distinct party_id, true as of_user from parties where role = 'NetworkOperator' and is_dcc_user
    ), in_use as (
        select subject_unique_id, remote_party_role, certificate_usage, subject_key_identifier, true as is_in_use
        from certificates
        where status = 'InUse'
    ), reads as (
        select
            device_id,
            remote_party_role as role,
            certificate_usage as usage,
            arrow_cast(read_at, 'Int64') * 8 as at,
            status_code = 'success' as was_read,
            subject_unique_id as subject,
            subject_key_identifier as key_identifier,
            case remote_party_role
                when 'Supplier' then supplier
                when 'NetworkOperator' then network_operator_id
                else 'any'
            end as party
        from credential_reads join known_devices using (device_id)
        where {
    each(
        [*CELLS.values(), *DEVICE_KEYS.values()],
        "remote_party_role = '{0[0]}' and certificate_usage = '{0[1]}'",
        " or ",
    )
}
    ), facts as (
        select
            device_id, reads.role, usage, at, was_read, subject, key_identifier,
            coalesce(is_expected, false) as is_expected,
            coalesce(is_known, false) as is_known,
            coalesce(of_user, false) as of_user,
            coalesce(of_acb, false) as of_acb,
            coalesce(of_supplier, false) as of_supplier,
            reads.role = 'NetworkOperator' and is_expected is null as other_operator,
            reads.role = 'NetworkOperator' and is_expected is null and coalesce(of_acb, false)
                and of_user is null as accepted
        from reads
        left join expected on expected.role = reads.role and expected.eui = subject and expected.party_id = party
        left join known on known.role = reads.role and known.party_id = party
        left join users on users.party_id = party
        left join euis on euis.eui = subject
    ), judged as (
        select device_id, role, usage, at + case
            when not was_read then {VERDICTS.index("missing")}
            when role = 'Device' then case
                when subject = device_id and is_in_use then {VERDICTS.index("right")}
                else {VERDICTS.index("unknown_certificate")}
            end
            when not is_known then {VERDICTS.index("not_judged")}
            when other_operator and of_acb and of_user then {VERDICTS.index("dcc_credentials")}
            when other_operator and of_supplier and not accepted then {VERDICTS.index("supplier_credentials")}
            when not is_expected and not accepted then {VERDICTS.index("wrong_party")}
            when is_in_use is null then {VERDICTS.index("unknown_certificate")}
            else {VERDICTS.index("right")}
        end as number
        from facts left join in_use
            on subject_unique_id = subject and subject_key_identifier = key_identifier
            and certificate_usage = usage and remote_party_role = case when accepted then 'ACB' else role end
    )
    select device_id, {
    each(
        [(name, *cell) for name, cell in (CELLS | DEVICE_KEYS).items()],
        "max(number) filter (where role = '{0[1]}' and usage = '{0[2]}') as {0[0]}",
    )
}
    from judged
    group by device_id
"""

# -- verdicts ---------------------------------------------------------------------------------------------

# What is stale counts as not read.
FRESH = each(
    [(name, *cell) for name, cell in (CELLS | DEVICE_KEYS).items()],
    "case when not coalesce(arrow_cast({0[0]} / 8, 'Timestamp(Microsecond, None)') < {0[4]}, false)"
    " then {0[0]} end as {0[0]}",
)
JUDGED = each(
    [(name, *cell) for name, cell in CELLS.items()],
    f"case when {{0[3]}} then coalesce({{0[0]}} % 8, {VERDICTS.index('not_read')}) end as {{0[0]}}_is",
)
READ_AT = each(CELLS, "case when {0}_is is not null then arrow_cast({0} / 8, 'Timestamp(Microsecond, None)') end")
FAULTS = each(
    [
        (name, f"{cell[0]}/{cell[1]}: {verdict}", number)
        for name, cell in CELLS.items()
        for number, verdict in enumerate(VERDICTS)
        if number > VERDICTS.index("not_judged")
    ],
    "case when {0[0]}_is = {0[2]} then '{0[1]}' end",
)
UNMET = each(CHECKS, "first_{0} is null as unmet_{0}").replace(
    "first_update_network_operator is null", f"{WITH_OPERATOR} and first_update_network_operator is null"
)
# Which causes hold for which unmet checks.
HOLDS = {
    "dcc_credential_handover": {"update_network_operator": "first_handover is not null"},
    "empty_status": {check: f"coalesce(empty_{check}, false)" for check in USER_CHECKS},
    "timeout": {check: f"coalesce(no_response_{check}, false)" for check in USER_CHECKS},
    "change_of_supplier": dict.fromkeys(USER_CHECKS, "changed_supplier_at is not null"),
}
HELD = {
    cause: " or ".join(f"(unmet_{check} and {holds})" for check, holds in checks.items())
    for cause, checks in HOLDS.items()
}
EXPLAINED = " and ".join(
    f"(not unmet_{check} or {' or '.join(checks[check] for checks in HOLDS.values() if check in checks) or 'false'})"
    for check in CHECKS
)

OUTCOMES = f"""
    with evidence as (
        select
            scope.*,
            scope.commissioned_at + interval '7 days' as due_at,
            coalesce(supplier_at_commissioning, responsible_supplier_id) as supplier_at_commissioning,
            coalesce(supplier, responsible_supplier_id) as supplier,
            changed_supplier_at, last_change_of_supplier,
            attempts.* exclude (device_id), passed_checks.* exclude (device_id), cells.* exclude (device_id)
        from scope
        left join suppliers on suppliers.device_id = scope.device_id
        left join attempts on attempts.device_id = scope.device_id
        left join passed_checks on passed_checks.device_id = scope.device_id
        left join cells on cells.device_id = scope.device_id
    ), fresh as (
        select * exclude ({each(CELLS | DEVICE_KEYS, "{}")}), {FRESH}, {UNMET} from evidence
    ), judged as (
        select *, {JUDGED},
            case
                when not coalesce(key_ds % 8 = 0, true) or not coalesce(key_ka % 8 = 0, true) then 'not_in_use'
                when key_ds is not null and key_ka is not null then 'in_use'
                else 'not_read'
            end as device_keys,
            case
                when not ({each(CHECKS, "unmet_{0}", " or ")}) then 'passed'
                when due_at > {{as_at}} then 'not_due'
                else 'failed'
            end as reported
        from fresh
    ), verdicts as (
        select *,
            case
                when greatest({each(CELLS, "{0}_is")}) >= {VERDICTS.index("unknown_certificate")}
                    or device_keys = 'not_in_use' then 'not_secure'
                when greatest({each(CELLS, "{0}_is")}) > {VERDICTS.index("right")} then 'unverified'
                else 'secure'
            end as actual,
            {each(HELD.items(), "{0[1]} as holds_{0[0]}")}
        from judged
    )
    select
        device_id, device_type, csp_region, manufacturer, model, firmware_version, commissioned_at, due_at,
        supplier_at_commissioning, supplier, changed_supplier_at, network_operator_id as network_operator,
        reported,
        case when reported = 'passed' then greatest(
            {each(CHECKS[:4] + CHECKS[5:], "first_{0}")},
            case when {WITH_OPERATOR} then first_update_network_operator end
        ) end as reported_passed_at,
        concat_ws('; ', {each(CHECKS, "case when unmet_{0} then '{0}' end")}) as unmet_checks,
        actual,
        concat_ws('; ', {FAULTS}, case when device_keys = 'not_in_use' then 'Device: not_in_use' end) as faults,
        device_keys,
        case when actual <> 'unverified' then least({READ_AT}) end as verified_at,
        case
            when reported = 'not_due' then 'not_due'
            when reported = 'failed' then case actual
                when 'secure' then 'over_reported'
                when 'not_secure' then 'confirmed_failure'
                else 'unverified_failure'
            end
            when actual = 'secure' then 'confirmed_pass'
            when actual = 'not_secure' then 'missed_failure'
            else 'unverified_pass'
        end as finding,
        case when reported = 'failed' then case
            when not ({EXPLAINED}) then 'unexplained'
            {each(CAUSES, "when holds_{0} then '{0}'", " ")}
            else 'unexplained'
        end end as cause,
        case when reported = 'failed' then
            concat_ws('; ', {each(CAUSES, "case when holds_{0} then '{0}' end")})
        end as causes
    from verdicts
"""

KNOWN_DEVICES = """
    create table known_devices as
    select scope.device_id, coalesce(supplier, responsible_supplier_id) as supplier, network_operator_id
    from scope left join suppliers on suppliers.device_id = scope.device_id
"""


def main() -> None:
    context = SessionContext()
    as_at = register(context, Path(sys.argv[1]))
    for query in (IN_SCOPE, SPELLS, SUPPLIERS, KNOWN_DEVICES, ATTEMPTS, PASSED_CHECKS, CELL_READS):
        context.sql(query.replace("{as_at}", moment(as_at)))
    context.sql(f"copy ({OUTCOMES.replace('{as_at}', moment(as_at))}) to '{sys.argv[2]}' stored as parquet").collect()


if __name__ == "__main__":
    main()
