-- One row per read of a cell of one Device, with what the read found. Of the Device's own key a status that is not
-- kept is success, a subject that is not kept is the Device, and '' is none.
select
    make_timestamp(reads.read >> 4) as read_at,
    (reads.read & 15)::utinyint as cell_no,
    reads.content,
    cells.remote_party_role = 'Device' as is_own_key,
    case
        when cells.remote_party_role = 'Device' then coalesce(reads.status_code, 'success')
        else contents.status_code
    end as status_code,
    case
        when cells.remote_party_role = 'Device'
            then nullif(coalesce(reads.subject_unique_id, $eui), '')
        else contents.subject_unique_id
    end as subject_unique_id,
    case
        when cells.remote_party_role <> 'Device' then contents.subject_key_identifier
        when reads.key_identifier is not null
            then regexp_replace(
                printf('%016X', reads.key_identifier),
                '(..)(..)(..)(..)(..)(..)(..)(..)',
                '\1-\2-\3-\4-\5-\6-\7-\8'
            )
    end as key_identifier
from cell_reads as reads
join cells on cells.cell_no = (reads.read & 15)
left join cell_contents as contents
    on contents.content = reads.content and cells.remote_party_role <> 'Device'
order by all
