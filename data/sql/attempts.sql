-- One row per Device named in the batch: its attempts at a known step that succeeded or may have worked, as
-- known at $as_at, each packed into one integer. Text is grouped before it is parsed: a Device has many rows.
select
    device_id,
    list(packed_attempt(occurred_at, step_no, outcome)) filter (
        rows_keep_rules
        and sent_at <= $as_at
        -- Variant 4 asks for a Pre-Command: nothing is sent to the Device, so it is no attempt.
        and command_variant is distinct from 4
        and step_no is not null
        and outcome is not null
    ) as attempts,
    bool_and(rows_keep_rules) as rows_keep_rules
from (
    select
        device_id,
        rows_keep_rules,
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
group by device_id
