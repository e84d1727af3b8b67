-- One row per inventory row of a Device of which there are two different rows, in the shape of bad_rows.sql.
select $bad_row as bad_row
from rows
where
    is_eui(device_id)
    and eui_key(device_id) in (select device_key from devices_in_conflict)
