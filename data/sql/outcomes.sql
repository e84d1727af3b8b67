-- One row per Device in scope: the table `outcomes` of the contract, EUI-64s in the DUIS form, lists as lists.
select
    duis_form(device_key) as device_id,
    * exclude (device_key, device_hash) replace (
        listed(unmet_checks) as unmet_checks,
        listed(faults) as faults,
        listed(causes) as causes
    )
from kept_outcomes
