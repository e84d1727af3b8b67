-- One row per row that breaks its contract: where it stands, the rules that it breaks, and what it held (JSON).
select bad_row
from rows
where not keeps_contract
