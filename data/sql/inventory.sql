-- One row per Device in scope, of one bucket: what it is and whose. One with two different inventory rows is left
-- out; one whose row stands twice is here once.
with in_scope as (
    select
        device_key,
        device_type,
        csp_region,
        manufacturer,
        model,
        firmware_version,
        commissioned_at,
        responsible_supplier_id,
        network_operator_id as network_operator
    from inventory_rows
    where
        keeps_contract
        and device_type in (select unnest($types_in_scope))
        and device_status not in (select unnest($statuses_out_of_scope))
        and commissioned_at <= $as_at
)
from in_scope
where device_key not in (select device_key from repeated_devices)
union all
select distinct *
from in_scope
where device_key in (select device_key from repeated_devices where not is_in_conflict)
