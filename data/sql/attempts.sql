-- One row per attempt at a step that succeeded or may have worked, as known at $as_at.
-- A row that breaks its contract has a null device_key: it is never merged, and bad_row tells of it.
select
    case when keeps_contract then eui_key(device_id) end as device_key,
    step_no,
    outcome,
    occurred_at,
    bad_row
from (
    select
        device_id,
        keeps_contract,
        bad_row,
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
