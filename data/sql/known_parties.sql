-- One row per party and role in which it has an EUI-64.
select role, party_id, bool_or(is_dcc_user) as is_dcc_user
from party_euis
group by role, party_id
