-- Contacts of the period by stage and kind: a visit counts as its channel, everything else as what happened.
select
    g.segment,
    t.stage,
    case when t.touchpoint_type = 'visit' then t.channel else t.touchpoint_type end as item,
    count(*) as contacts,
    count(distinct t.customer_id) as customers
from customers.touchpoints t
left join kpis.journey_keys k on k.customer_id = t.customer_id
inner join config.segments g
    on (g.device is null or g.device = k.main_device)
    and (g.bought_before is null or g.bought_before = coalesce(t.occurred_at > k.first_order_at, false))
where t.stage is not null and t.business_date between $first_day and $last_day
group by g.segment, t.stage, case when t.touchpoint_type = 'visit' then t.channel else t.touchpoint_type end
order by g.segment, t.stage, contacts desc, item
