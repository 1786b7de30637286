-- What ties a device to a record: visits with a login, and orders that the CRM knows.
select
    visitor_id,
    'login' as kind,
    concat('login:', login_id) as record_key,
    greatest(count(distinct ga_session_id), 1) as weight,
    min(occurred_at) as first_seen_at,
    max(occurred_at) as last_seen_at
from validated.web_events
where visitor_id is not null and login_id is not null
group by visitor_id, login_id
union all
select
    e.visitor_id,
    'order' as kind,
    case when o.contact_id is not null then concat('contact:', o.contact_id)
         else concat('order:', o.crm_order_id) end as record_key,
    count(distinct o.order_id) as weight,
    min(e.occurred_at) as first_seen_at,
    max(e.occurred_at) as last_seen_at
from validated.web_events e
join validated.crm_orders_current o on o.order_id = e.order_id
where e.visitor_id is not null and e.event_name = 'purchase' and not coalesce(o.is_test, false)
group by
    e.visitor_id,
    case when o.contact_id is not null then concat('contact:', o.contact_id)
         else concat('order:', o.crm_order_id) end
