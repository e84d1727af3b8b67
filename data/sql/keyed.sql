-- One row per row of `reduced`, its EUI-64 as an integer. The text is kept only of a row that breaks its contract,
-- which is found again by it. Such a row has no key and is never merged, but in the inventory: two different rows
-- of a Device are both quarantined, whatever else is wrong with one of them.
select
    case when keeps_contract or ($keep_bad_keys and is_eui(device_id)) then eui_key(device_id) end as device_key,
    * exclude (device_id),
    case when not keeps_contract then device_id end as suspect_id
from reduced
