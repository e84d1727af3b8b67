-- One row per inventory row of a Device of which there are two different rows, in the shape of bad_rows.sql.
select
    file,
    ['one_row_a_device'] as rules,
    $sample as sample,
    keeps_contract as is_new
from rows
