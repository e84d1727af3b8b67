-- One row: how many Devices both snapshots have.
select count(*)::bigint as devices
from later
semi join earlier using (device_key)
