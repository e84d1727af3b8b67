-- One row per read of a required cell of a Device in scope, with what its verdict rests on.
select
    devices.device_no,
    reads.cell_no,
    reads.read_at,
    judged.is_read_successfully,
    case judged.remote_party_role
        when 'Supplier' then devices.supplier_is_known
        when 'NetworkOperator' then devices.operator_is_known
        else judged.role_is_known
    end as party_is_known,
    case
        when judged.remote_party_role in ('Supplier', 'NetworkOperator') then holders.party_id is not null
        else judged.subject_is_in_role
    end as subject_is_expected,
    judged.remote_party_role = 'NetworkOperator' as is_operator_cell,
    devices.operator_is_dcc_user,
    judged.subject_is_acb,
    judged.subject_is_supplier,
    judged.certificate_is_in_use,
    judged.acb_certificate_is_in_use
from reads
join devices using (device_no)
join required_cells
    on required_cells.device_type = devices.device_type and required_cells.cell_no = reads.cell_no
join judged_contents as judged
    on judged.content = reads.content and judged.cell_no = reads.cell_no
left join holders
    on holders.content = reads.content
    and holders.cell_no = reads.cell_no
    and holders.party_id = case judged.remote_party_role
        when 'Supplier' then devices.supplier
        when 'NetworkOperator' then devices.network_operator
    end
