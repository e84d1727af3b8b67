-- One row per spell of one Device with a Supplier that had begun at the instant of the snapshot.
select
    supplier_id,
    effective_from,
    effective_to
from spells
where effective_from <= $as_at::date
order by effective_from, supplier_id, effective_to
