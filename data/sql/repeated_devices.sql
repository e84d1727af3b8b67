-- One row per Device with more than one inventory row; two different ones are in conflict.
select
    device_key,
    min(content) <> max(content) as is_in_conflict
from inventory_rows
where device_key is not null
group by device_key
having count(*) > 1
