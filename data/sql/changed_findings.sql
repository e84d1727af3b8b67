-- One row per finding before and now, and what a page filters Devices by, with their number: the Devices whose finding
-- is not what it was. finding_before is null where only the later snapshot has the Device, finding_now where only the
-- earlier one has it. What a Device is filtered by is the later snapshot's where that has it.
select
    earlier.finding as finding_before,
    later.finding as finding_now,
    strftime(later.commissioned_at, '%Y-%m') as commissioned_month,
    later.device_type,
    later.csp_region,
    later.supplier_at_commissioning,
    later.supplier,
    later.network_operator,
    count(*)::bigint as devices
from later
left join earlier using (device_key)
where earlier.finding is distinct from later.finding
group by all
union all
select
    earlier.finding as finding_before,
    null as finding_now,
    strftime(earlier.commissioned_at, '%Y-%m') as commissioned_month,
    earlier.device_type,
    earlier.csp_region,
    earlier.supplier_at_commissioning,
    earlier.supplier,
    earlier.network_operator,
    count(*)::bigint as devices
from earlier
anti join later using (device_key)
group by all
