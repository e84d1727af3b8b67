-- One row per inventory row. content tells two different rows of a Device apart.
select
    device_id,
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
