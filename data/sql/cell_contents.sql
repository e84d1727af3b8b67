-- One row per distinct content read from a party's cell: what cell_reads.contents stand for. One of a row that
-- breaks its contract does no harm, as no cell refers to it.
select
    content_of(status_code, subject_unique_id, subject_key_identifier) as content,
    status_code,
    subject_unique_id,
    subject_key_identifier
from rows
where remote_party_role <> 'Device'
group by all
