-- One row per inventory row of a Device of which there are two different rows, in the shape of `bad_rows`.
select
    file,
    ['one_row_a_device'] as rules,
    $sample as sample,
    keeps_contract as is_new
from rows
where
    case when regexp_full_match(device_id, '([0-9A-F]{2}-){7}[0-9A-F]{2}') then eui_key(device_id) end
    in (select unnest($keys::ubigint[]))
