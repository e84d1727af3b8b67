-- One row per EUI-64 of a party in a role.
select distinct eui, party_id, party_name, category, role, is_dcc_user
from rows
where keeps_contract
