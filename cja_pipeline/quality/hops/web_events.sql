-- What became of every web event in the event log. Events without consent are counted and never traced; events
-- that are no touchpoint of their own (page views, purchases: the CRM tells those) count in their visit only.
-- Withdrawn: somebody who is known to use the device had withdrawn consent by then.
with rules as (
    select distinct event from config.touchpoint_rules where source = 'web_analytics'
),
traced as (
    select a.event_id, s.is_bot
    from customers.web_activity a
    join customers.sessions s on s.session_id = a.session_id
),
missing as (
    select e.event_id, e.visitor_id, e.login_id, e.occurred_at
    from validated.web_events e
    anti join customers.web_activity a on a.event_id = e.event_id
    where e.visitor_id is not null
),
users as (
    select visitor_id, customer_id from customers.visitor_map
    union
    select e.visitor_id, l.customer_id
    from validated.web_events e
    join customers.identity_links l on l.kind = 'login' and l.record_key = concat('login:', e.login_id)
    where e.visitor_id in (select visitor_id from missing) and e.login_id is not null
),
withdrawn as (
    select distinct m.event_id
    from missing m
    join users u on u.visitor_id = m.visitor_id
    join customers.consent_spells w
        on w.customer_id = u.customer_id and w.purpose = 'analytics' and not w.granted
        and m.occurred_at >= w.from_at and m.occurred_at < w.until_at
)
select
    e._dt as day,
    case
        when e.visitor_id is null then 'no_consent'
        when w.event_id is not null then 'withdrawn'
        when r.event is null then 'visit_only'
        when t.is_bot then 'machine'
        else 'used'
    end as reason,
    count(*) as records,
    cast(null as decimal(18, 4)) as money
from validated.web_events e
left join rules r on r.event = e.event_name
left join withdrawn w on w.event_id = e.event_id
left join traced t on t.event_id = e.event_id and r.event is not null
group by 1, 2
