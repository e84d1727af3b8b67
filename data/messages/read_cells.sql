-- A row a cell, or Device certificate, that a final Response tells of. A Device certificate that did not come is of
-- the usage that was asked for.
select
    final.device,
    final.originator,
    final.counter,
    final.is_pre,
    final.moment,
    cell.remote_party_role,
    coalesce(
        cell.certificate_usage,
        case coalesce(asked.credential_type, pre.credential_type)
            when 'Digital Signature' then 'DigitalSigning'
            when 'Key Agreement' then 'KeyAgreement'
        end
    ) as certificate_usage,
    cell.status_code,
    cell.subject_unique_id,
    cell.subject_key_identifier
from (select *, unnest(cells) as cell from final where contents = 1) as final
join asked using (device, originator, counter, is_pre)
left join (select * from asked where is_pre and contents = 1) as pre using (device, originator, counter)
