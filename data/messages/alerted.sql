-- A row an alert that brings an outcome and a Request that it may be of, or the rule that it breaks.
-- It is of the Request that it names, whose Command must have its counter where that is known. One that names none is of
-- the Command of that Device with its counter; of several of one counter, of the one whom it is for.
with alert as (
    select log, line, device, originator as party, counter as gbcs_counter, moment, code, status, same, asked_originator,
        asked_counter
    from message
    where kind = 3
),
named as (
    select alert.*, commanded.originator, commanded.counter, commanded.is_pre,
        commanded.gbcs_counter as commands_counter, commanded.party as commands_party, commanded.device as found
    from alert
    left join commanded
        on commanded.device = alert.device
        and commanded.originator = alert.asked_originator
        and commanded.counter = alert.asked_counter
    where alert.asked_counter is not null
),
counted as (
    select alert.*, commanded.originator, commanded.counter, commanded.is_pre,
        commanded.gbcs_counter as commands_counter, commanded.party as commands_party, commanded.device as found
    from alert
    left join commanded on commanded.device = alert.device and commanded.gbcs_counter = alert.gbcs_counter
    where alert.asked_counter is null
),
paired as (
    select
        log,
        line,
        moment,
        code,
        status,
        same,
        originator,
        counter,
        found as device,
        is_pre,
        asked_counter is not null as names_it,
        commands_counter <> gbcs_counter as is_of_another,
        commands_party is not distinct from party as is_for_party,
        count(found) over alert as candidates,
        count_if(found is not null and commands_party is not distinct from party) over alert as for_party
    from (from named union all from counted)
    window alert as (partition by log, line)
),
chosen as (
    select
        *,
        case
            when candidates = 0 then 'alert_has_a_request'
            when is_of_another then 'alert_is_of_its_command'
            when names_it then null
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
