-- A row an alert that brings an outcome and a Request that it may be of, or the rule that it breaks.
-- It is of the Command of that Device with its counter; of several of one counter, of the one whom it is for.
with paired as (
    select
        message.log,
        message.line,
        message.moment,
        message.status,
        message.same,
        commanded.originator,
        commanded.counter,
        commanded.device,
        commanded.is_pre,
        commanded.party is not distinct from message.originator as is_for_party,
        count(commanded.device) over alert as candidates,
        count_if(commanded.device is not null and commanded.party is not distinct from message.originator)
            over alert as for_party
    from message
    left join commanded on commanded.device = message.device and commanded.gbcs_counter = message.counter
    where message.kind = 3
    window alert as (partition by message.log, message.line)
),
chosen as (
    select
        *,
        case
            when candidates = 0 then 'alert_has_a_request'
            when not (for_party = 1 or (for_party = 0 and candidates = 1)) then 'alert_tells_one_request'
        end as unclear
    from paired
    where candidates = 0 or for_party <> 1 or is_for_party
)
select
    * exclude (unclear),
    coalesce(
        unclear,
        case
            when count(distinct same) over (partition by device, originator, counter, is_pre) > 1 then 'alerts_agree'
        end
    ) as rule
from chosen
