-- One row per Device in scope that has a spell: who supplied it, and when that changed.
with spell as (
    select
        inventory.device_no,
        inventory.commissioned_on,
        inventory.responsible_supplier_id,
        spells.supplier_id,
        spells.effective_from,
        spells.effective_to,
        lag(spells.supplier_id) over spells_in_order as supplier_before
    from spells
    join inventory using (device_key)
    window spells_in_order as (
        partition by inventory.device_no order by spells.effective_from, spells.supplier_id
    )
),
in_force as (
    -- Of several spells in force on a day: the latest start, then the greatest supplier_id.
    select
        device_no,
        coalesce(
            (max({'start': effective_from, 'supplier': supplier_id}) filter (
                where effective_from <= commissioned_on
                and (effective_to is null or commissioned_on < effective_to)
            )).supplier,
            any_value(responsible_supplier_id)
        ) as supplier_at_commissioning,
        coalesce(
            (max({'start': effective_from, 'supplier': supplier_id}) filter (
                where effective_to is null or $as_at::date < effective_to
            )).supplier,
            any_value(responsible_supplier_id)
        ) as supplier
    from spell
    group by device_no
)
select
    device_no,
    any_value(in_force.supplier_at_commissioning) as supplier_at_commissioning,
    any_value(in_force.supplier) as supplier,
    min(spell.effective_from) filter (
        where spell.effective_from > spell.commissioned_on
        and spell.supplier_id <> in_force.supplier_at_commissioning
    ) as changed_supplier_at,
    max(spell.effective_from) filter (
        where spell.effective_from > spell.commissioned_on
        and spell.supplier_id <> coalesce(spell.supplier_before, in_force.supplier_at_commissioning)
    ) as last_change_of_supplier
from spell
join in_force using (device_no)
group by device_no
