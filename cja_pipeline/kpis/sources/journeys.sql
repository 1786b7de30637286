-- Purchases with what led to them: a customer's touches since the order before, from the first one within the
-- lookback. One row per order, on the day of the order. Attempts without an order are in kpis.journeys.
with log as (
  select
    t.touchpoint_id,
    t.customer_id,
    t.occurred_at,
    t.business_date,
    t.channel,
    t.campaign,
    t.device,
    t.country,
    case when t.touchpoint_type in ('purchase', 'store_order', 'phone_order', 'other_order') then 1 else 0 end as is_order
  from customers.touchpoints t
  where t.touchpoint_type in (
    'visit', 'product_view', 'search', 'add_to_cart', 'begin_checkout', 'add_payment_info', 'email_clicked',
    'purchase', 'store_order', 'phone_order', 'other_order'
  )
    -- most visitors never order: they are left out before anything is sorted
    and t.customer_id in (
      select o.customer_id
      from customers.touchpoints o
      where o.touchpoint_type in ('purchase', 'store_order', 'phone_order', 'other_order')
    )
),
numbered as (
  select
    l.*,
    coalesce(sum(is_order) over (
      partition by customer_id
      order by occurred_at, is_order, touchpoint_id
      rows between unbounded preceding and 1 preceding
    ), 0) as attempt
  from log l
),
ended as (
  select
    n.*,
    max(occurred_at) over (partition by customer_id, attempt) as last_at,
    row_number() over (
      partition by customer_id, attempt order by occurred_at, is_order, touchpoint_id
    ) as position
  from numbered n
),
within as (
  select e.*, min(position) over (partition by customer_id, attempt) as first_position
  from ended e
  cross join config.params p
  where e.occurred_at >= e.last_at - p.lookback_days * interval '1' day
)
select
  concat(w.customer_id, '/', cast(w.attempt as varchar)) as journey_id,
  w.customer_id,
  max(w.business_date) as business_date,
  date_diff('second', min(w.occurred_at), max(w.last_at)) / 86400.0 as days_to_order,
  count(*) - 1 as touches,
  max(case when w.position = w.first_position then w.channel end) as channel,
  max(case when w.position = w.first_position then w.campaign end) as campaign,
  max(case when w.position = w.first_position then w.device end) as device,
  max(case when w.position = w.first_position then w.country end) as country,
  case when w.attempt > 0 then 'returning' else 'new' end as new_returning
from within w
group by w.customer_id, w.attempt
having max(w.is_order) = 1
