-- A row a Response, with the Request that it is to, and the rule that it breaks, if any.
-- A Pre-Command answers the Request that asks for one, any other Response the Request itself, where there is one.
with sent as (
    select
        device,
        originator,
        counter,
        bool_or(is_pre) as has_pre,
        bool_or(not is_pre) as has_itself,
        min(srv) filter (is_pre) as srv_of_pre,
        min(srv) filter (not is_pre) as srv_of_itself
    from asked
    where contents = 1
    group by all
),
transformed as (
    select distinct device, originator, counter, true as is_transformed
    from message
    where kind = 2 and is_precommand
),
directed as (
    select
        message.*,
        srv_of_pre,
        srv_of_itself,
        case
            when is_precommand then case when has_pre then true end
            when has_itself then false
            when has_pre and is_transformed is null then true
        end as is_pre
    from message
    left join sent using (device, originator, counter)
    left join transformed using (device, originator, counter)
    where kind = 2
)
select
    * exclude (srv_of_pre, srv_of_itself),
    case
        when is_pre is null then 'response_has_a_request'
        when srv <> case when is_pre then srv_of_pre else srv_of_itself end then 'response_is_of_the_service'
    end as rule
from directed
