-- One row per read of a cell that a verdict may rest on, as known at $as_at, its time and cell packed into one
-- integer; and per row that breaks its contract. content is a hash of what the read found: look it up in
-- cell_contents (a party's cell) or device_certificates (the Device's own key).
select
    device_id,
    keeps_contract,
    packed_read(read_at, cell_of(remote_party_role, certificate_usage)) as read,
    content_of(status_code, subject_unique_id, subject_key_identifier) as content
from rows
where
    not keeps_contract
    or (read_at <= $as_at and cell_of(remote_party_role, certificate_usage) is not null)
