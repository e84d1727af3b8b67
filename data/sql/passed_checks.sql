-- One row per DSP check that passed, as known at $as_at, packed like an attempt; and per row that breaks its
-- contract.
select
    device_id,
    keeps_contract,
    bad_row,
    packed_attempt(checked_at, dsp_check_of("check"), outcome_of('I0', 'success')) as attempt
from rows
where
    not keeps_contract
    or (passed and checked_at <= $as_at and dsp_check_of("check") is not null)
