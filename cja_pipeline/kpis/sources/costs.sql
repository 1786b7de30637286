-- What it costs to win customers: media, the discount on first orders, and further costs of config/journeys.yml. One
-- row per cost. On a day without media data the other costs are left out, so that the day counts as missing.
with delivered as (
  select distinct day from customers.media
)
select
  concat('media/', cast(m.day as varchar), '/', m.platform, '/', m.channel, '/', m.campaign) as cost_id,
  m.day,
  m.channel,
  nullif(m.campaign, '') as campaign,
  'media' as kind,
  coalesce(m.spend, 0) as cost
from customers.media m
union all
select
  concat('discount/', o.order_id),
  o.business_date,
  coalesce(s.channel, case o.sales_channel when 'store' then 'Store' when 'phone' then 'Phone' else '(not tracked)' end),
  s.campaign,
  'discount',
  coalesce(o.discount, 0)
from customers.orders o
join delivered d on d.day = o.business_date
left join customers.sessions s on s.session_id = o.session_id
where o.is_first_order and o.discount > 0
union all
select concat('other/', a.name, '/', cast(a.day as varchar)), a.day, a.channel, a.campaign, 'other', a.cost
from config.acquisition_costs a
join delivered d on d.day = a.day
