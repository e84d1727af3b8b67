-- One row per Device named in the batch: its reads of cells that a verdict may rest on, as known at $as_at, in
-- two lists of one order. reads: when and which cell, packed. contents: a hash of the read's outcome, looked up in
-- cell_contents (a party's cell) or device_certificates (the Device's own key).
select
    device_id,
    list(packed_read(read_at, cell_no)) filter (is_counted) as reads,
    list(content) filter (is_counted) as contents,
    bool_and(rows_keep_rules) as rows_keep_rules
from (
    select
        device_id,
        read_at,
        cell_of(remote_party_role, certificate_usage) as cell_no,
        content_of(status_code, subject_unique_id, subject_key_identifier) as content,
        rows_keep_rules,
        rows_keep_rules and read_at <= $as_at and cell_no is not null as is_counted
    from rows
)
group by device_id
