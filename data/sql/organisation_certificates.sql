-- One row per certificate in use that was issued to a party.
select distinct subject_unique_id, remote_party_role, certificate_usage, subject_key_identifier
from rows
where keeps_contract and remote_party_role <> 'Device' and status = 'InUse'
