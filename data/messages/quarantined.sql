-- Lines that break a rule when the messages are seen together.
select message.log, message.line, 'request_id_is_of_one_request' as rule
from message
join asked using (device, originator, counter)
where message.kind = 1 and asked.contents > 1 and asked.is_pre = (message.variant = 4)
union all
select log, line, rule from answered where rule is not null
union all
select answered.log, answered.line, 'request_has_one_final_response'
from answered
join final using (device, originator, counter, is_pre)
where answered.rule is null and answered.code <> 'I99' and final.contents > 1
union all
select answered.log, answered.line, 'usage_asked_for_is_known'
from answered
semi join (select * from read_cells where certificate_usage is null) as unknown
    using (device, originator, counter, is_pre)
where answered.rule is null and answered.code <> 'I99'
union all
select distinct log, line, rule from alerted where rule is not null
