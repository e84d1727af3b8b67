-- One row per inventory row with a well-formed device_id, kept or not: two different rows of a Device
-- are both quarantined, whatever else is wrong with one of them.
select
    case when is_eui(device_id) then eui_key(device_id) end
        as device_key,
    keeps_contract,
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
