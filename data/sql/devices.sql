-- One row per Device in scope, in the order of device_no: what it is, whose it is, and whether those
-- parties can be told by an EUI-64 in their role.
select
    inventory.device_no,
    inventory.device_key,
    inventory.device_type,
    inventory.csp_region,
    inventory.manufacturer,
    inventory.model,
    inventory.firmware_version,
    inventory.commissioned_at,
    coalesce(supply.supplier_at_commissioning, inventory.responsible_supplier_id)
        as supplier_at_commissioning,
    coalesce(supply.supplier, inventory.responsible_supplier_id) as supplier,
    supply.changed_supplier_at,
    supply.last_change_of_supplier,
    inventory.network_operator,
    coalesce(operators.is_dcc_user, false) as operator_is_dcc_user,
    suppliers.party_id is not null as supplier_is_known,
    operators.party_id is not null as operator_is_known
from inventory
left join supply using (device_no)
left join known_parties as suppliers
    on suppliers.role = 'Supplier'
    and suppliers.party_id = coalesce(supply.supplier, inventory.responsible_supplier_id)
left join known_parties as operators
    on operators.role = 'NetworkOperator' and operators.party_id = inventory.network_operator
order by inventory.device_no
