-- Stays of customers in a stage, with the stage that came next and the days until it. One row per stay.
select
  concat(s.customer_id, '/', cast(s.spell as varchar)) as spell_id,
  s.customer_id,
  s.stage,
  s.entered_at,
  t.business_date,
  n.stage as next_stage,
  date_diff('second', s.entered_at, s.exited_at) / 86400.0 as days_to_next,
  t.channel,
  t.campaign,
  t.device,
  c.country,
  case when c.first_order_at < s.entered_at then 'returning' else 'new' end as new_returning
from customers.stage_spells s
left join customers.stage_spells n on n.customer_id = s.customer_id and n.spell = s.spell + 1
left join customers.touchpoints t on t.touchpoint_id = s.entry_touchpoint_id
left join customers.customers c on c.customer_id = s.customer_id
where not c.is_bot
