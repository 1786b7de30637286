-- Customers of the period by the furthest stage they ever reached, how many of them are still about (with a
-- contact in the last idle_days), and how many made a stop in each stage. Everyone is counted once. Who recommends
-- the shop without ever having been to its checkout has come as far as the stages before it.
with about as (
    select
        t.customer_id,
        max(t.occurred_at) as last_at
    from customers.touchpoints t
    where t.business_date between $first_day and $last_day
    group by t.customer_id
),
stops as (
    select
        g.segment,
        s.customer_id,
        case s.stage
            when 'awareness' then 1
            when 'consideration' then 2
            when 'purchase' then 3
            when 'retention' then 4
            when 'advocacy' then 5
        end as place,
        case when s.stage = 'purchase' or k.first_order_at is not null then 1 else 0 end as bought,
        a.last_at
    from customers.stage_spells s
    inner join about a on a.customer_id = s.customer_id
    left join kpis.journey_keys k on k.customer_id = s.customer_id
    inner join config.segments g
        on (g.device is null or g.device = k.main_device)
        and (g.bought_before is null or g.bought_before = coalesce(s.entered_at > k.first_order_at, false))
),
furthest as (
    select
        segment,
        customer_id,
        case when max(bought) = 1 then max(place) else coalesce(max(case when place <= 2 then place end), 1) end
            as place,
        max(last_at) as last_at
    from stops
    group by segment, customer_id
),
ends as (
    select
        f.segment,
        f.place,
        count(*) as customers,
        sum(case when date_diff('second', f.last_at, p.observed_until) <= p.idle_days * 86400 then 1 else 0 end)
            as still_here
    from furthest f
    cross join config.journey_params p
    group by f.segment, f.place
),
visited as (
    select segment, place, count(distinct customer_id) as stopped
    from stops
    group by segment, place
)
select
    coalesce(v.segment, e.segment) as segment,
    coalesce(v.place, e.place) as place,
    coalesce(e.customers, 0) as customers,
    coalesce(e.still_here, 0) as still_here,
    coalesce(v.stopped, 0) as stopped
from visited v
full join ends e on e.segment = v.segment and e.place = v.place
where coalesce(v.place, e.place) is not null
order by 1, 2
