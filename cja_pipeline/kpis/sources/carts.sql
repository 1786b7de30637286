-- Visits with something in the cart, with the customer's next web order. One row per such visit.
with events as (
  select customer_id, started_at as happened_at, 0 as kind, session_id as id, cast(null as timestamp) as ordered_at
  from customers.sessions
  where carts > 0 and not is_bot
  union all
  select customer_id, ordered_at as happened_at, 1 as kind, order_id as id, ordered_at
  from customers.orders
  where sales_channel = 'web'
),
followed as (
  select
    id,
    kind,
    min(ordered_at) over (
      partition by customer_id
      order by happened_at, kind, id
      rows between current row and unbounded following
    ) as next_order_at
  from events
)
select
  s.session_id,
  s.customer_id,
  s.business_date,
  s.channel,
  s.campaign,
  s.device,
  s.country,
  case when c.first_order_at < s.started_at then 'returning' else 'new' end as new_returning,
  s.order_id is not null
    or coalesce(f.next_order_at < s.started_at + interval '24' hour, false) as bought_in_24h,
  s.order_id is not null
    or coalesce(f.next_order_at < s.started_at + interval '7' day, false) as bought_in_7d
from followed f
join customers.sessions s on s.session_id = f.id
left join customers.customers c on c.customer_id = s.customer_id
where f.kind = 0
