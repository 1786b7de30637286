-- What became of every web event in the event log. Events without consent are counted and never traced; events
-- that are no touchpoint of their own (page views, purchases: the CRM tells those) count in their visit only.
select
    e._dt as day,
    case
        when e.visitor_id is null then 'no_consent'
        when r.event is null then 'visit_only'
        when m.event_id is not null then 'machine'
        else 'used'
    end as reason,
    count(*) as records,
    cast(null as decimal(18, 4)) as money
from validated.web_events e
left join (
    select distinct event from config.touchpoint_rules where source = 'web_analytics'
) r on r.event = e.event_name
left join (
    select a.event_id
    from customers.web_activity a
    join customers.sessions s on s.session_id = a.session_id
    where s.is_bot
) m on m.event_id = e.event_id
group by 1, 2
