-- One row per read of a cell of a Device in scope; read_at is in microseconds since 1970.
select
    device_no,
    device_key,
    cell_of_packed(read) as cell_no,
    read_time_of_packed(read) as read_at,
    content
from (
    select
        inventory.device_no,
        inventory.device_key,
        unnest(cell_reads.reads) as read,
        unnest(cell_reads.contents) as content
    from cell_reads
    join inventory using (device_key)
)
