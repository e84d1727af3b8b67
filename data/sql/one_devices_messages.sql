-- One row per message to or from one Device, known at $as_at; copies of one are one. GBCS messages are given as hex.
select distinct
    "at",
    kind,
    srv,
    request_id,
    case when is_packed then hex(octets) else decode(octets) end as message
from messages
where "at" <= $as_at
order by "at", kind, request_id, message
