-- One row per DSP check of one Device.
select
    make_timestamp(attempt >> 7) as checked_at,
    (attempt >> 3 & 15)::utinyint as step_no,
    (attempt & 7) = outcome_no('success') as passed
from dsp_checks
order by all
