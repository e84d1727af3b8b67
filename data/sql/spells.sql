-- One row per spell of a Device with a Supplier that had begun at $as_at; and per row that breaks its contract.
select
    device_id,
    keeps_contract,
    bad_row,
    supplier_id,
    effective_from,
    effective_to
from rows
where not keeps_contract or effective_from <= $as_at
