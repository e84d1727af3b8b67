-- One row per read of a cell that a verdict may rest on, as known at $as_at, its time and cell packed into one
-- integer; and per row that breaks its contract. content is a hash of what the read found: look it up in
-- cell_contents (a party's cell) or device_certificates (the Device's own key). Of the Device's own key stands
-- beside it what was read: the status unless success; the subject unless the Device, '' for none.
select
    device_id,
    keeps_contract,
    bad_row,
    packed_read(read_at, cell_of(remote_party_role, certificate_usage)) as read,
    content_of(status_code, subject_unique_id, subject_key_identifier) as content,
    case when remote_party_role = 'Device' and keeps_contract then eui_key(subject_key_identifier) end as key_identifier,
    case when remote_party_role = 'Device' and status_code <> 'success' then status_code end as status_code,
    case
        when remote_party_role = 'Device' and subject_unique_id is distinct from device_id
            then coalesce(subject_unique_id, '')
    end as subject_unique_id
from rows
where
    not keeps_contract
    or (read_at <= $as_at and cell_of(remote_party_role, certificate_usage) is not null)
