-- One row per inventory row. content tells two different rows of a Device apart.
select
    device_id,
    keeps_contract,
    bad_row,
    case when keeps_contract then eui_key(device_id) when is_eui(device_id) then eui_key(device_id) end as device_key,
    hash(
        device_type, device_status, csp_region, manufacturer, model, firmware_version, commissioned_at,
        responsible_supplier_id, network_operator_id, keeps_contract
    ) as content,
    device_type,
    device_status,
    csp_region,
    manufacturer,
    model,
    firmware_version,
    commissioned_at,
    responsible_supplier_id,
    network_operator_id
from rows
