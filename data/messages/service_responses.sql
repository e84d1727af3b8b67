-- The extract: a row a Request, with its final Response and, where that brings no outcome, the alert's, of which the time
-- and the code are then those of the message that brought it.
with acknowledged as (
    select device, originator, counter, is_pre, max(moment) as moment
    from answered
    where rule is null and code = 'I99'
    group by all
),
outcome as (
    select device, originator, counter, is_pre, min(moment) as moment, min(status) as status, min(code) as code
    from alerted
    where rule is null
    group by all
),
told as (
    select
        asked.*,
        case when final.device is not null then final.code when acknowledged.device is not null then 'I99' end as code,
        coalesce(final.moment, acknowledged.moment) as replied_at,
        final.status as replied,
        outcome.moment as outcome_at,
        outcome.status as outcome,
        outcome.code as outcome_code
    from asked
    left join final
        on final.device = asked.device
        and final.originator = asked.originator
        and final.counter = asked.counter
        and final.is_pre = asked.is_pre
        and final.contents = 1
    left join acknowledged
        on acknowledged.device = asked.device
        and acknowledged.originator = asked.originator
        and acknowledged.counter = asked.counter
        and acknowledged.is_pre = asked.is_pre
    left join outcome
        on outcome.device = asked.device
        and outcome.originator = asked.originator
        and outcome.counter = asked.counter
        and outcome.is_pre = asked.is_pre
    where asked.contents = 1
)
select
    eui_text(told.originator) as originator_id,
    eui_text(told.device) as device_id,
    told.counter as originator_counter,
    told.srv,
    told.variant as command_variant,
    coalesce(told.credential_type, pre.credential_type) as credential_type,
    coalesce(told.remote_party_role, pre.remote_party_role) as remote_party_role,
    told.sent_at,
    case when replied is null and outcome is not null then outcome_at else replied_at end as responded_at,
    case when replied is null and outcome is not null then outcome_code else told.code end as response_code,
    coalesce(replied, outcome) as execution_status
from told
left join asked as pre
    on not told.is_pre
    and pre.is_pre
    and pre.contents = 1
    and pre.srv = told.srv
    and pre.device = told.device
    and pre.originator = told.originator
    and pre.counter = told.counter
order by sent_at, device_id, originator_id, originator_counter, command_variant
