-- One row per row that breaks its contract: where it stands, the rules that it breaks, and what it held (JSON).
select
    file,
    $broken as rules,
    $sample as sample,
    true as is_new
from rows
where not keeps_contract
