-- One row per Device in scope and step: what its attempts came to.
-- outcomes has bit n set when some attempt had outcome n; every attempt kept here is open.
select
    inventory.device_no,
    attempts.step_no,
    epoch_us(min(attempts.occurred_at) filter (where attempts.outcome = 1)) as first_success_at,
    epoch_us(max(attempts.occurred_at)) as last_open_at,
    bit_or(1::utinyint << attempts.outcome) as outcomes
from attempts
join inventory using (device_key)
group by inventory.device_no, attempts.step_no
