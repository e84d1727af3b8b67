-- The extract: a row a message of a Device; the same message may stand in it more than once.
-- A message that is longer than the contract takes is left out.
select
    eui_text(device) as device_id,
    moment as "at",
    case kind when 1 then 'Request' when 2 then 'Response' when 5 then 'DCC Alert' else 'Device Alert' end as kind,
    srv,
    case
        when kind < 3 then concat_ws(':', eui_text(originator), eui_text(device), counter)
        when asked_counter is not null then concat_ws(':', eui_text(asked_originator), eui_text(device), asked_counter)
    end as request_id,
    -- A GBCS message begins with DD or DF, XML with neither.
    case when left(hex(octets), 2) in ('DD', 'DF') then hex(octets) else decode(octets) end as message
from read_parquet($files)
where place >= $low and place < $high and octet_length(octets) <= $most
order by "at", device_id, kind, request_id, message
