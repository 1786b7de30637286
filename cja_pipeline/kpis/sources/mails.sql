-- E-mails received, each with what the receiver did before the next one of the same campaign. Opens by mail
-- programs are not in the log, nor what people do who refuse to be observed: theirs is not `observed`, and neither
-- opened nor clicked. One row per e-mail received.
-- most e-mails are never answered: they are left out before anything is sorted
with answered as (
  select distinct customer_id, coalesce(campaign, '') as campaign
  from customers.touchpoints
  where touchpoint_type in ('email_opened', 'email_clicked', 'email_unsubscribed')
),
numbered as (
  select
    e.touchpoint_id,
    e.customer_id,
    e.business_date,
    e.occurred_at,
    e.touchpoint_type,
    a.campaign,
    sum(case when e.touchpoint_type = 'email_received' then 1 else 0 end) over (
      partition by e.customer_id, a.campaign
      order by e.occurred_at, case when e.touchpoint_type = 'email_received' then 0 else 1 end, e.touchpoint_id
      rows between unbounded preceding and current row
    ) as message
  from customers.touchpoints e
  join answered a on a.customer_id = e.customer_id and a.campaign = coalesce(e.campaign, '')
  where e.touchpoint_type in ('email_received', 'email_opened', 'email_clicked', 'email_unsubscribed')
),
messages as (
  select
    customer_id,
    campaign,
    max(case when touchpoint_type = 'email_received' then touchpoint_id end) as touchpoint_id,
    min(occurred_at) as received_at,
    min(business_date) as business_date,
    max(case when touchpoint_type in ('email_opened', 'email_clicked') then 1 else 0 end) as opened,
    max(case when touchpoint_type = 'email_clicked' then 1 else 0 end) as clicked,
    max(case when touchpoint_type = 'email_unsubscribed' then 1 else 0 end) as unsubscribed
  from numbered
  where message > 0
  group by customer_id, campaign, message
  union all
  select e.customer_id, coalesce(e.campaign, ''), e.touchpoint_id, e.occurred_at, e.business_date, 0, 0, 0
  from customers.touchpoints e
  left join answered a on a.customer_id = e.customer_id and a.campaign = coalesce(e.campaign, '')
  where e.touchpoint_type = 'email_received' and a.customer_id is null
),
refused as (
  select distinct m.touchpoint_id
  from messages m
  join customers.consent_spells w on w.customer_id = m.customer_id and w.purpose = 'analytics' and not w.granted
    and m.received_at >= w.from_at and m.received_at < w.until_at
)
select
  m.touchpoint_id,
  m.customer_id,
  m.business_date,
  nullif(m.campaign, '') as campaign,
  case when r.touchpoint_id is null then 1 else 0 end as observed,
  case when r.touchpoint_id is null then m.opened else 0 end as opened,
  case when r.touchpoint_id is null then m.clicked else 0 end as clicked,
  m.unsubscribed,
  c.country,
  case when c.first_order_at < m.received_at then 'returning' else 'new' end as new_returning
from messages m
left join refused r on r.touchpoint_id = m.touchpoint_id
left join customers.customers c on c.customer_id = m.customer_id
