-- One row per Incident that the DCC raised for one Device.
select
    incident_id::text as incident_id,
    raised_at::timestamp as raised_at,
    closed_at::timestamp as closed_at,
    resolution::text as resolution
from incidents
order by raised_at, incident_id
