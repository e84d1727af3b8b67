-- One row per certificate of a Device's own key in use, and per row that breaks its contract; the subject is the
-- Device. content is what a read of the key finds when it finds this certificate.
select
    subject_unique_id as device_id,
    keeps_contract,
    bad_row,
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
