-- One row per distinct content read from a party's cell: what cell_reads.content stands for. One of a row that
-- breaks its contract does no harm, as no cell refers to it.
select
    hash(status_code, subject_unique_id, subject_key_identifier) as content,
    status_code,
    subject_unique_id,
    subject_key_identifier
from rows
where remote_party_role <> 'Device'
group by all
