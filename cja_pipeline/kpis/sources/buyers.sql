-- Customers with an order: how they were won, what they are worth and expected to be worth. Channel, campaign and
-- device are those of the visit of the first order, as for new customers. One row per buyer.
with spent as (
  select
    o.customer_id,
    sum(case when o.business_date <= f.first_date + 30 then o.net_revenue end) as value_30d,
    sum(case when o.business_date <= f.first_date + 90 then o.net_revenue end) as value_90d
  from customers.orders o
  join (select customer_id, min(business_date) as first_date from customers.orders group by customer_id) f
    on f.customer_id = o.customer_id
  group by o.customer_id
)
select
  c.customer_id,
  c.first_order_at,
  case
    when o.sales_channel = 'store' then 'Store'
    when o.sales_channel = 'phone' then 'Phone'
    else coalesce(s.channel, '(not tracked)')
  end as channel,
  s.campaign,
  case when o.sales_channel = 'web' then s.device else o.sales_channel end as device,
  coalesce(s.country, c.country) as country,
  c.is_referred,
  c.net_revenue as historic_value,
  w.value_30d,
  w.value_90d,
  v.clv_12m,
  v.clv_12m_low,
  v.clv_12m_high,
  v.p_active_90d
from customers.customers c
join customers.orders o on o.customer_id = c.customer_id and o.is_first_order
left join spent w on w.customer_id = c.customer_id
left join customers.sessions s on s.session_id = o.session_id
left join kpis.customer_value v on v.customer_id = c.customer_id
where c.first_order_at is not null
