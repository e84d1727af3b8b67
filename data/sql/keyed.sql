-- One row per row of `reduced`, the Device told by the hash of its EUI-64, which no other has. A row that breaks its
-- contract has none, but in the inventory: two different rows of a Device are both quarantined, whatever else is wrong
-- with one of them.
select
    case
        when keeps_contract then device_hash_of(device_id)
        when $keep_bad_keys and is_eui(device_id) then device_hash_of(device_id)
    end as device_hash,
    * exclude (device_id)
from reduced
