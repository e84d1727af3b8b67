-- One row per DSP check that passed, as known at $as_at, in the shape of attempts.sql.
-- A row that breaks its contract has a null device_key: it is never merged, and bad_row tells of it.
select
    case when keeps_contract then eui_key(device_id) end as device_key,
    dsp_check_of("check") as step_no,
    outcome_of('I0', 'success') as outcome,
    checked_at as occurred_at,
    bad_row
from rows
where
    not keeps_contract
    or (passed and checked_at <= $as_at and dsp_check_of("check") is not null)
