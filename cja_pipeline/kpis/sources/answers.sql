-- Survey answers, tickets and comments, with the channel that won the customer, device and country. One row per
-- feedback.
select
  f.feedback_id,
  f.customer_id,
  f.occurred_at,
  f.business_date,
  f.kind,
  f.score,
  f.sentiment,
  f.topic,
  c.acquisition_channel as channel,
  c.acquisition_campaign as campaign,
  c.device,
  c.country,
  case when c.first_order_at < f.occurred_at then 'returning' else 'new' end as new_returning
from customers.feedback f
left join customers.customers c on c.customer_id = f.customer_id
