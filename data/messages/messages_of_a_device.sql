-- Copies of one message are one. The RequestID of an alert is not known: it bears the counter of the Command.
select distinct
    moment as "at",
    case kind when 1 then 'Request' when 2 then 'Response' else 'Alert' end as kind,
    srv,
    case when kind < 3 then concat_ws(':', eui_text(originator), eui_text(device), counter) end as request_id,
    hex(payload) as message
from read_parquet($files)
where place = $place and device = $device and payload is not null
order by "at", kind, request_id, message
