-- Orders with the days until the customer's next purchase. Orders of one business day are one purchase.
-- One row per order.
with purchases as (
  select
    customer_id,
    business_date,
    lead(business_date) over (partition by customer_id order by business_date) as next_date
  from (select distinct customer_id, business_date from customers.orders) d
)
select
  o.order_id,
  o.customer_id,
  o.business_date,
  o.is_first_order,
  date_diff('day', o.business_date, p.next_date) as days_to_next,
  case
    when o.sales_channel = 'store' then 'Store'
    when o.sales_channel = 'phone' then 'Phone'
    else coalesce(s.channel, '(not tracked)')
  end as channel,
  s.campaign,
  case when o.sales_channel = 'web' then s.device else o.sales_channel end as device,
  coalesce(s.country, c.country) as country,
  case when o.is_first_order then 'new' else 'returning' end as new_returning
from customers.orders o
join purchases p on p.customer_id = o.customer_id and p.business_date = o.business_date
left join customers.sessions s on s.session_id = o.session_id
left join customers.customers c on c.customer_id = o.customer_id
