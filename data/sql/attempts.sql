-- One row per attempt at a known step, as known at $as_at; and per row that breaks its contract. What verdicts rest
-- on is packed into one integer; the rest is what a Device's timeline shows besides, null where the outcome says it.
select
    device_id,
    keeps_contract,
    bad_row,
    case when keeps_contract then packed_attempt(occurred_at, step_no, outcome) end as attempt,
    sent_at,
    case when outcome in (outcome_no('no_response'), outcome_no('other')) then known_code end as response_code,
    case when outcome = outcome_no('other') then known_status end as execution_status
from (
    select
        *,
        coalesce(outcome_of(known_code, known_status), outcome_no('other')) as outcome,
        coalesce(known_at, sent_at) as occurred_at
    from (
        select
            device_id,
            keeps_contract,
            bad_row,
            sent_at,
            command_variant,
            step_of(srv, credential_type, remote_party_role) as step_no,
            -- A Response later than $as_at is not yet known: its row counts as if it had none.
            case when responded_at <= $as_at then responded_at end as known_at,
            case when responded_at > $as_at then null else response_code end as known_code,
            case when responded_at > $as_at then null else execution_status end as known_status
        from rows
    )
)
where
    not keeps_contract
    or (
        sent_at <= $as_at
        -- Variant 4 asks for a Pre-Command: nothing is sent to the Device, so it is no attempt.
        and command_variant is distinct from 4
        and step_no is not null
    )
