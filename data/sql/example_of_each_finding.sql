-- One row per finding: how many Devices have it, and one of them, an ESME where there is one.
select
    finding,
    arg_min(device_key, (device_type <> 'ESME', device_key)) as device_key,
    count(*)::bigint as devices
from read_parquet($files, hive_partitioning = false)
group by finding
order by finding
