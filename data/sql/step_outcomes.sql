-- One row per Device in scope and step: what its attempts came to; times are in microseconds since 1970.
-- outcomes has bit n set when some attempt had outcome n; every attempt kept here is open.
select
    device_no,
    step_of_packed(attempt) as step_no,
    min(time_of_packed(attempt)) filter (where outcome_of_packed(attempt) = 1) as first_success_at,
    max(time_of_packed(attempt)) as last_open_at,
    bit_or(1::utinyint << outcome_of_packed(attempt)) as outcomes
from (
    select inventory.device_no, unnest(attempts.attempts) as attempt
    from attempts
    join inventory using (device_key)
)
group by device_no, step_no
