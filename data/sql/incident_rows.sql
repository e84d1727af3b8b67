-- One row per Incident; the same row may stand twice in the extract.
select distinct
    incident_id,
    eui_key(device_id) as device_key,
    raised_at,
    closed_at,
    resolution
from rows
where keeps_contract
