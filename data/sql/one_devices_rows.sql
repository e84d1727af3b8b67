-- One row per row of a reduction that is about one Device, told by its hash; groups of rows with other hashes are not
-- read.
select *
from read_parquet($files, hive_partitioning = false)
where device_hash = $device_hash::ubigint
