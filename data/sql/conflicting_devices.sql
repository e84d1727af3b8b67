-- One row per Device of which the inventory has two different rows.
select device_key
from inventory_rows
where device_key is not null
group by device_key
having min(content) <> max(content)
