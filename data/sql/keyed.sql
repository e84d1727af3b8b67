-- One row per Device named in the batch, by its key; of one with a row that breaks its contract also the text,
-- by which the row is found again. A malformed device_id has no key, so that it is never merged.
select
    case when is_well_formed then eui_key(device_id) end as device_key,
    * exclude (device_id, rows_keep_rules, is_well_formed),
    not is_well_formed or not rows_keep_rules as is_suspect,
    case when is_suspect then device_id end as suspect_id
from (
    select
        *,
        is_eui(device_id) as is_well_formed
    from $gathered
)
