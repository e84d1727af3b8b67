-- One row per inventory row of a Device of which there are two different rows, in the shape of bad_rows.sql.
select
    file,
    ['one_row_a_device'] as rules,
    $sample as sample,
    keeps_contract as is_new
from rows
where
    is_eui(device_id)
    and eui_key(device_id) in (select device_key from repeated_devices where is_in_conflict)
