-- One row per cell, content and party whose EUI-64, in the cell's role, is the subject of the content.
select distinct judged.cell_no, judged.content, party_euis.party_id
from judged_contents as judged
join cells using (cell_no)
join party_euis
    on party_euis.eui = judged.subject_unique_id and party_euis.role = cells.remote_party_role
