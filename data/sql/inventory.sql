-- One row per Device in scope, of one bucket, numbered from 0 in the order of its key.
-- Two different inventory rows of a Device leave it out; the same row twice does not.
select
    row_number() over (order by device_key) - 1 as device_no,
    *,
    commissioned_at::date as commissioned_on
from (
    select
        device_key,
        any_value(device_type) as device_type,
        any_value(device_status) as device_status,
        any_value(csp_region) as csp_region,
        any_value(manufacturer) as manufacturer,
        any_value(model) as model,
        any_value(firmware_version) as firmware_version,
        any_value(commissioned_at) as commissioned_at,
        any_value(responsible_supplier_id) as responsible_supplier_id,
        any_value(network_operator_id) as network_operator
    from inventory_rows
    where device_key is not null
    group by device_key
    having min(content) = max(content) and bool_and(keeps_contract)
)
where
    device_type in (select unnest($types_in_scope))
    and device_status not in (select unnest($statuses_out_of_scope))
    and commissioned_at <= $as_at
