-- A row a RequestID and kind of Request: what asks for a Pre-Command (is_pre) goes before the Request itself.
-- contents: how many different Requests bear the RequestID; copies of one are one, sent when the first of them was.
select
    device,
    originator,
    counter,
    variant = 4 as is_pre,
    count(distinct same) as contents,
    min(moment) as sent_at,
    min(srv) as srv,
    min(variant) as variant,
    min(credential_type) as credential_type,
    min(remote_party_role) as remote_party_role,
    min(party) as party,
    min(gbcs_counter) as gbcs_counter
from message
where kind = 1
group by all
