-- What customers of the period said, by the stage it is about: answers on one scale from -100 to 100.
-- A survey score counts where there are no words to read. Feedback without a topic belongs to where its kind
-- is asked for.
with said as (
    select
        g.segment,
        f.kind,
        f.topic,
        f.stage,
        case
            when f.sentiment is not null then f.sentiment * 100
            when f.kind = 'nps' then (f.score - 5) * 20
            when f.kind = 'csat' then (f.score - 3) * 50
            when f.kind = 'ces' then (f.score - 4) * 100.0 / 3
        end as feeling,
        f.customer_id
    from customers.feedback f
    left join kpis.journey_keys k on k.customer_id = f.customer_id
    inner join config.segments g
        on (g.device is null or g.device = k.main_device)
        and (g.bought_before is null or g.bought_before = coalesce(f.occurred_at > k.first_order_at, false))
    where f.business_date between $first_day and $last_day
)
select
    segment,
    kind,
    topic,
    stage,
    count(*) as n,
    avg(least(100, greatest(-100, feeling))) as mean,
    coalesce(stddev_samp(least(100, greatest(-100, feeling))), 0) as spread
from said
where feeling is not null
group by segment, kind, topic, stage
order by segment, kind, topic, stage
