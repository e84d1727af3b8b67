-- One row per Device in scope: the table `outcomes` of the contract, EUI-64s in the DUIS form, lists as lists. A
-- snapshot holds columns of its own besides.
select
    duis_form(device_key) as device_id,
    device_type,
    csp_region,
    manufacturer,
    model,
    firmware_version,
    commissioned_at,
    due_at,
    supplier_at_commissioning,
    supplier,
    changed_supplier_at,
    network_operator,
    reported,
    reported_passed_at,
    listed(unmet_checks) as unmet_checks,
    actual,
    listed(faults) as faults,
    device_keys,
    verified_at,
    finding,
    cause,
    listed(causes) as causes
from kept_outcomes
