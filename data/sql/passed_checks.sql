-- One row per Device named in the batch: its DSP checks that passed, as known at $as_at, packed like attempts.
select
    device_id,
    list(packed_attempt(checked_at, dsp_check_of("check"), outcome_of('I0', 'success'))) filter (
        rows_keep_rules and passed and checked_at <= $as_at and dsp_check_of("check") is not null
    ) as attempts,
    bool_and(rows_keep_rules) as rows_keep_rules
from rows
group by device_id
