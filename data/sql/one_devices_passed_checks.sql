-- One row per DSP check that one Device passed.
select
    make_timestamp(attempt >> 7) as checked_at,
    (attempt >> 3 & 15)::utinyint as step_no
from passed_checks
order by all
