-- A row a Request that has a final Response, which is any but the acknowledgement I99; contents: how many different.
-- Of one that came more than once the last counts.
select
    device,
    originator,
    counter,
    is_pre,
    count(distinct same) as contents,
    max(moment) as moment,
    min(code) as code,
    min(status) as status,
    min(party) as party,
    min(gbcs_counter) as gbcs_counter,
    bool_or(is_precommand) as is_precommand,
    any_value(cells) as cells
from answered
where rule is null and code <> 'I99'
group by all
