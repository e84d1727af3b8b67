-- One row per certificate of a Device's own key in use; the subject is the Device. content is what a read of the
-- key says when it finds this certificate.
-- A row that breaks its contract keeps a null device_key, so that it is counted and never merged.
select
    case when keeps_contract then eui_key(subject_unique_id) end as device_key,
    cell_of(remote_party_role, certificate_usage) as cell_no,
    content_of('success', subject_unique_id, subject_key_identifier) as content
from rows
where
    not keeps_contract
    or (
        remote_party_role = 'Device'
        and status = 'InUse'
        and cell_of(remote_party_role, certificate_usage) is not null
    )
