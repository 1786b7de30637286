-- What happened without consent: counted, never put into visits or tied to anyone.
select
    case when e.occurred_at < d.boundary_at then d.date_before else d.date_after end as business_date,
    e.event_name,
    count(*) as events,
    count(distinct e.order_id) as orders
from validated.web_events e
join config.business_days d on d.utc_date = cast(e.occurred_at as date)
where e.visitor_id is null
group by 1, 2
