-- The extract: what two Responses tell alike of a cell at one instant is one row.
select distinct
    eui_text(device) as device_id,
    moment as read_at,
    remote_party_role,
    certificate_usage,
    status_code,
    eui_text(subject_unique_id) as subject_unique_id,
    eui_text(subject_key_identifier) as subject_key_identifier
from read_cells
where certificate_usage is not null
order by read_at, device_id, remote_party_role, certificate_usage, status_code, subject_unique_id, subject_key_identifier
