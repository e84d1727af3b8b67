-- One row per party's cell and content read from it: what the certificates and the parties say of it.
select
    cells.cell_no,
    cells.remote_party_role,
    contents.content,
    contents.subject_unique_id,
    coalesce(contents.status_code = 'success', false) as is_read_successfully,
    exists (from party_euis where role = cells.remote_party_role) as role_is_known,
    exists (
        from party_euis where eui = contents.subject_unique_id and role = cells.remote_party_role
    ) as subject_is_in_role,
    exists (from party_euis where eui = contents.subject_unique_id and role = 'ACB') as subject_is_acb,
    exists (from party_euis where eui = contents.subject_unique_id and role = 'Supplier')
        as subject_is_supplier,
    exists (
        from organisation_certificates as certificate
        where
            certificate.subject_unique_id = contents.subject_unique_id
            and certificate.remote_party_role = cells.remote_party_role
            and certificate.certificate_usage = cells.certificate_usage
            and certificate.subject_key_identifier = contents.subject_key_identifier
    ) as certificate_is_in_use,
    exists (
        from organisation_certificates as certificate
        where
            certificate.subject_unique_id = contents.subject_unique_id
            and certificate.remote_party_role = 'ACB'
            and certificate.certificate_usage = cells.certificate_usage
            and certificate.subject_key_identifier = contents.subject_key_identifier
    ) as acb_certificate_is_in_use
from cell_contents as contents
cross join cells
where cells.remote_party_role <> 'Device'
