-- One row per spell of a Device with a Supplier that had begun at $as_at.
-- A row that breaks its contract keeps a null device_key, so that it is counted and never merged.
select
    case when keeps_contract then eui_key(device_id) end as device_key,
    supplier_id,
    effective_from,
    effective_to
from rows
where not keeps_contract or effective_from <= $as_at
