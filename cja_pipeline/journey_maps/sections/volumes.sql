-- Customers of the period by the furthest stage they ever reached, and how many of them are still about:
-- with a contact in the last idle_days. Everyone is counted once.
with about as (
    select
        t.customer_id,
        max(t.occurred_at) as last_at
    from customers.touchpoints t
    where t.business_date between $first_day and $last_day
    group by t.customer_id
),
furthest as (
    select
        g.segment,
        s.customer_id,
        max(
            case s.stage
                when 'awareness' then 1
                when 'consideration' then 2
                when 'purchase' then 3
                when 'retention' then 4
                when 'advocacy' then 5
            end
        ) as place
    from customers.stage_spells s
    left join kpis.journey_keys k on k.customer_id = s.customer_id
    inner join config.segments g
        on (g.device is null or g.device = k.main_device)
        and (g.bought_before is null or g.bought_before = coalesce(s.entered_at > k.first_order_at, false))
    group by g.segment, s.customer_id
)
select
    f.segment,
    f.place,
    count(*) as customers,
    sum(case when date_diff('second', a.last_at, p.observed_until) <= p.idle_days * 86400 then 1 else 0 end)
        as still_here
from furthest f
inner join about a on a.customer_id = f.customer_id
cross join config.journey_params p
where f.place is not null
group by f.segment, f.place
order by f.segment, f.place
