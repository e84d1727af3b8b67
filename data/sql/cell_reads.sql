-- One row per read of a cell that a verdict may rest on, as known at $as_at.
-- content: of a party's cell, the hash of what was in it (looked up in cell_contents);
-- of the Device's own key, its key identifier, null when the read failed or names another subject.
-- A row that breaks its contract has a null device_key: it is never merged, and bad_row tells of it.
select
    case when keeps_contract then eui_key(device_id) end as device_key,
    cell_of(remote_party_role, certificate_usage) as cell_no,
    read_at,
    case
        when remote_party_role <> 'Device' then hash(status_code, subject_unique_id, subject_key_identifier)
        when keeps_contract and status_code = 'success' and subject_unique_id = device_id
            then eui_key(subject_key_identifier)
    end as content,
    bad_row
from rows
where
    not keeps_contract
    or (read_at <= $as_at and cell_of(remote_party_role, certificate_usage) is not null)
