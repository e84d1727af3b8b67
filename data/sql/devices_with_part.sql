-- The EUI-64s of Devices in scope that begin or end with some hex digits.
select device_key
from read_parquet($files, hive_partitioning = false)
where
    (device_key >> $above::ubigint) = $part::ubigint
    or (device_key % $below::hugeint) = $part::ubigint
order by device_key
limit $most
