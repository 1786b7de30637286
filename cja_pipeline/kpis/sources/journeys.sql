-- Purchases with what led to them: a customer's touches since the order before, from the first one within the
-- lookback. One row per order before which something was seen, on the day of the order: of a till receipt alone
-- nobody knows what led to it. Attempts without an order are in kpis.journeys.
with log as (
  select
    t.touchpoint_id,
    t.customer_id,
    t.occurred_at,
    t.business_date,
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
    row_number() over (partition by customer_id order by occurred_at, is_order, touchpoint_id) as position,
    coalesce(sum(is_order) over (
      partition by customer_id
      order by occurred_at, is_order, touchpoint_id
      rows between unbounded preceding and 1 preceding
    ), 0) as attempt
  from log l
),
-- an attempt ends with its order
ended as (
  select customer_id, attempt, occurred_at as last_at, business_date
  from numbered
  where is_order = 1
),
within as (
  select
    n.customer_id,
    n.attempt,
    max(e.business_date) as business_date,
    max(e.last_at) as last_at,
    min(n.occurred_at) as first_at,
    min_by(n.touchpoint_id, n.position) as first_touchpoint_id,
    count(*) - 1 as touches
  from numbered n
  join ended e on e.customer_id = n.customer_id and e.attempt = n.attempt
  cross join config.params p
  where n.occurred_at >= e.last_at - p.lookback_days * interval '1' day
  group by n.customer_id, n.attempt
)
select
  concat(w.customer_id, '/', cast(w.attempt as varchar)) as journey_id,
  w.customer_id,
  w.business_date,
  date_diff('second', w.first_at, w.last_at) / 86400.0 as days_to_order,
  w.touches,
  f.channel,
  f.campaign,
  f.device,
  f.country,
  case when w.attempt > 0 then 'returning' else 'new' end as new_returning
from within w
join customers.touchpoints f on f.touchpoint_id = w.first_touchpoint_id
where w.touches > 0
