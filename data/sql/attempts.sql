-- One row per attempt at a known step that succeeded or may have worked, as known at $as_at, packed into one
-- integer; and per row that breaks its contract.
select
    device_id,
    keeps_contract,
    case when keeps_contract then packed_attempt(occurred_at, step_no, outcome) end as attempt
from (
    select
        device_id,
        keeps_contract,
        sent_at,
        command_variant,
        step_of(srv, credential_type, remote_party_role) as step_no,
        -- A Response later than $as_at is not yet known: its row counts as if it had none.
        case
            when responded_at > $as_at then outcome_of(null, null)
            else outcome_of(response_code, execution_status)
        end as outcome,
        case when responded_at <= $as_at then responded_at else sent_at end as occurred_at
    from rows
)
where
    not keeps_contract
    or (
        sent_at <= $as_at
        -- Variant 4 asks for a Pre-Command: nothing is sent to the Device, so it is no attempt.
        and command_variant is distinct from 4
        and step_no is not null
        and outcome is not null
    )
