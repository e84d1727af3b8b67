-- One row per inventory row with a well-formed device_id, kept or not: two different rows of a Device
-- are both quarantined, whatever else is wrong with one of them; bad_row tells of a row that breaks its contract.
select
    case when regexp_full_match(device_id, '([0-9A-F]{2}-){7}[0-9A-F]{2}') then eui_key(device_id) end
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
    network_operator_id,
    bad_row
from rows
