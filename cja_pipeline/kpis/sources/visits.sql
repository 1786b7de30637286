-- Web visits of people with whether the customer had ordered before. A test order is no order; one that was
-- canceled later is. One row per visit.
select
  s.session_id,
  s.customer_id,
  s.started_at,
  s.business_date,
  s.channel,
  s.campaign,
  s.device,
  s.country,
  case when c.first_order_at < s.started_at then 'returning' else 'new' end as new_returning,
  s.page_views,
  s.product_views,
  s.searches,
  s.carts,
  s.checkouts,
  s.errors,
  s.reloads,
  s.orders,
  s.order_id,
  s.duration_seconds,
  s.engagement_seconds,
  s.engaged,
  s.is_new_visitor,
  c.is_known
from customers.sessions s
left join customers.customers c on c.customer_id = s.customer_id
where not s.is_bot
