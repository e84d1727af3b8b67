-- One row per DSP check, as known at $as_at, packed like an attempt: passed is a success, not passed is an outcome on
-- which no verdict rests; and per row that breaks its contract.
select
    device_id,
    keeps_contract,
    bad_row,
    packed_attempt(
        checked_at, dsp_check_of("check"), case when passed then outcome_no('success') else outcome_no('other') end
    ) as attempt
from rows
where
    not keeps_contract
    or (checked_at <= $as_at and dsp_check_of("check") is not null)
