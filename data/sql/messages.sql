-- One row per message to or from a Device, whatever its time, and per row that breaks its contract. A GBCS message is
-- packed to its octets; all else stays text.
select
    device_id,
    keeps_contract,
    bad_row,
    "at",
    kind,
    srv,
    request_id,
    coalesce(hex(unpacked) = message, false) as is_packed,
    case when hex(unpacked) = message then unpacked else encode(message) end as octets
from (select *, try(unhex(message)) as unpacked from rows)
