-- Orders with channel, campaign and device of the visit they were placed in, and whether that channel is paid for.
-- One row per order.
with paid as (
  select distinct channel as paid_channel
  from customers.media
  where spend > 0
)
select
  o.order_id,
  o.customer_id,
  o.ordered_at,
  o.business_date,
  o.sales_channel,
  o.gross_revenue,
  o.discount,
  o.refund,
  o.net_revenue,
  o.is_first_order,
  o.order_number,
  case
    when o.sales_channel = 'store' then 'Store'
    when o.sales_channel = 'phone' then 'Phone'
    else coalesce(s.channel, '(not tracked)')
  end as channel,
  s.campaign,
  case when o.sales_channel = 'web' then s.device else o.sales_channel end as device,
  coalesce(s.country, c.country) as country,
  case when o.is_first_order then 'new' else 'returning' end as new_returning,
  p.paid_channel is not null as is_paid,
  case when o.ordered_at >= s.started_at then date_diff('second', s.started_at, o.ordered_at) end as seconds_in_visit
from customers.orders o
left join customers.sessions s on s.session_id = o.session_id
left join paid p on p.paid_channel = s.channel
left join customers.customers c on c.customer_id = o.customer_id
