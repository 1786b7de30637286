-- E-mails received, each with what the receiver did before the next one of the same campaign. Opens by mail
-- programs are not in the log. One row per e-mail received.
with events as (
  select
    touchpoint_id,
    customer_id,
    business_date,
    occurred_at,
    touchpoint_type,
    coalesce(campaign, '') as campaign,
    sum(case when touchpoint_type = 'email_received' then 1 else 0 end) over (
      partition by customer_id, coalesce(campaign, '')
      order by occurred_at, case when touchpoint_type = 'email_received' then 0 else 1 end, touchpoint_id
      rows between unbounded preceding and current row
    ) as message
  from customers.touchpoints
  where touchpoint_type in ('email_received', 'email_opened', 'email_clicked', 'email_unsubscribed')
),
messages as (
  select
    customer_id,
    campaign,
    message,
    max(case when touchpoint_type = 'email_received' then touchpoint_id end) as touchpoint_id,
    min(occurred_at) as received_at,
    min(business_date) as business_date,
    max(case when touchpoint_type in ('email_opened', 'email_clicked') then 1 else 0 end) as opened,
    max(case when touchpoint_type = 'email_clicked' then 1 else 0 end) as clicked,
    max(case when touchpoint_type = 'email_unsubscribed' then 1 else 0 end) as unsubscribed
  from events
  where message > 0
  group by customer_id, campaign, message
)
select
  m.touchpoint_id,
  m.customer_id,
  m.business_date,
  nullif(m.campaign, '') as campaign,
  m.opened,
  m.clicked,
  m.unsubscribed,
  c.country,
  case when c.first_order_at < m.received_at then 'returning' else 'new' end as new_returning
from messages m
left join customers.customers c on c.customer_id = m.customer_id
