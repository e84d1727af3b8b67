-- One row per spell of a Device with a Supplier; and per row that breaks its contract.
select
    device_id,
    keeps_contract,
    bad_row,
    supplier_id,
    effective_from,
    effective_to
from rows
