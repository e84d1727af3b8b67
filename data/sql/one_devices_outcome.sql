-- The Device's row of `outcomes`; none when it is not in scope.
select *
from read_parquet($files, hive_partitioning = false)
where device_key = $device_key::ubigint
