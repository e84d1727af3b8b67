-- One row per column of which the statistics of some group of rows name one value alone, in the fields of today or of
-- old, or one in each: a reader asks a filter of that value, and where it is none of the column's, of none of them.
select distinct path_in_schema
from parquet_metadata($files)
where
    stats_min_value = stats_max_value
    or stats_min = stats_max
    or stats_min_value = stats_max
    or stats_min = stats_max_value
