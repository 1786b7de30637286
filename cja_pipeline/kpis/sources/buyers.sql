-- Customers with an order, with historic and expected value. One row per buyer.
select
  c.customer_id,
  c.first_order_at,
  c.acquisition_channel as channel,
  c.country,
  c.net_revenue as historic_value,
  v.clv_12m,
  v.clv_12m_low,
  v.clv_12m_high,
  v.p_active_90d
from customers.customers c
left join kpis.customer_value v on v.customer_id = c.customer_id
where c.first_order_at is not null
