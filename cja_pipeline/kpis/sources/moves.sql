-- Stays of customers in a stage, with the stage that came next and the days until it. One row per stay.
select
  concat(s.customer_id, '/', cast(s.spell as varchar)) as spell_id,
  s.customer_id,
  s.stage,
  s.entered_at,
  lead(s.stage) over (partition by s.customer_id order by s.spell) as next_stage,
  date_diff('second', s.entered_at, s.exited_at) / 86400.0 as days_to_next,
  c.country
from customers.stage_spells s
left join customers.customers c on c.customer_id = s.customer_id
where not c.is_bot
