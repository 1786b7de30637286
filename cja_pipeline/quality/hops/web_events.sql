-- What became of every web event in the event log. Events without consent are counted and never traced; events
-- that are no touchpoint of their own (page views, purchases: the CRM tells those) count in their visit only.
-- Withdrawn: somebody who is known to use the device had withdrawn consent by then.
with rules as (
    select distinct event from config.touchpoint_rules where source = 'web_analytics'
),
machines as (
    select a.event_id
    from customers.web_activity a
    join customers.sessions s on s.session_id = a.session_id and s.is_bot
),
-- few customers ever withdraw consent: only the events of devices that they use are looked at one by one
withdrawals as (
    select customer_id, from_at, until_at
    from customers.consent_spells
    where purpose = 'analytics' and not granted
),
users as (
    select m.visitor_id, m.customer_id
    from customers.visitor_map m
    semi join withdrawals w on w.customer_id = m.customer_id
    union
    select e.visitor_id, l.customer_id
    from validated.web_events e
    join customers.identity_links l on l.kind = 'login' and l.record_key = concat('login:', e.login_id)
    semi join withdrawals w on w.customer_id = l.customer_id
    where e.visitor_id is not null
),
withdrawn as (
    select distinct e.event_id
    from validated.web_events e
    join users u on u.visitor_id = e.visitor_id
    join withdrawals w on w.customer_id = u.customer_id and e.occurred_at >= w.from_at and e.occurred_at < w.until_at
    anti join customers.web_activity a on a.event_id = e.event_id
)
select
    e._dt as day,
    case
        when e.visitor_id is null then 'no_consent'
        when w.event_id is not null then 'withdrawn'
        when r.event is null then 'visit_only'
        when b.event_id is not null then 'machine'
        else 'used'
    end as reason,
    count(*) as records,
    cast(null as decimal(18, 4)) as money
from validated.web_events e
left join rules r on r.event = e.event_name
left join withdrawn w on w.event_id = e.event_id
left join machines b on b.event_id = e.event_id
group by 1, 2
