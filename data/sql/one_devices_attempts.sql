-- One row per attempt of one Device at a known step, unpacked; counted_at is the time by which verdicts take it.
select
    sent_at,
    make_timestamp(attempt >> 7) as counted_at,
    (attempt >> 3 & 15)::utinyint as step_no,
    (attempt & 7)::utinyint as outcome_no,
    response_code,
    execution_status
from attempts
order by all
