-- One row per certificate of a Device's own key in use; the subject is the Device.
-- A row that breaks its contract has a null device_key: it is never merged, and bad_row tells of it.
select
    case when keeps_contract then eui_key(subject_unique_id) end as device_key,
    cell_of(remote_party_role, certificate_usage) as cell_no,
    case when keeps_contract then eui_key(subject_key_identifier) end as key_identifier,
    bad_row
from rows
where
    not keeps_contract
    or (
        remote_party_role = 'Device'
        and status = 'InUse'
        and cell_of(remote_party_role, certificate_usage) is not null
    )
