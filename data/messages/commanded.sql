-- A row a Request whose outcome may come in an alert, with whose Command it became and that Command's counter: the
-- Response or the Signed Pre-Command has both; a 6.15.1 carries the User's own.
select
    asked.device,
    asked.originator,
    asked.counter,
    asked.is_pre,
    coalesce(
        final.gbcs_counter, asked.gbcs_counter, case when asked.srv = '6.15.1' then asked.counter end
    ) as gbcs_counter,
    coalesce(final.party, asked.party, case when asked.srv = '6.15.1' then asked.originator end) as party
from asked
left join final
    on final.device = asked.device
    and final.originator = asked.originator
    and final.counter = asked.counter
    and final.is_pre = asked.is_pre
    and final.contents = 1
left join (select device, originator, counter, true as has_itself from asked where not is_pre) as itself
    on asked.is_pre
    and itself.device = asked.device
    and itself.originator = asked.originator
    and itself.counter = asked.counter
where asked.contents = 1
    and asked.srv in ('6.15.1', '6.21', '6.23')
    and has_itself is null
    and not coalesce(final.is_precommand, false)
