-- The event log, with whether the customer had ordered before. One row per touchpoint.
select
  t.touchpoint_id,
  t.customer_id,
  t.occurred_at,
  t.business_date,
  t.department,
  t.touchpoint_type,
  t.stage,
  t.channel,
  t.campaign,
  t.device,
  coalesce(t.country, c.country) as country,
  t.sentiment,
  t.score,
  case when c.first_order_at < t.occurred_at then 'returning' else 'new' end as new_returning
from customers.touchpoints t
left join customers.customers c on c.customer_id = t.customer_id

