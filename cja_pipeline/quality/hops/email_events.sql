-- What became of every e-mail event in the event log. Opens and clicks are observed: they need consent.
with withdrawn as (
    select distinct e.event_id
    from validated.email_events e
    join customers.identity_links l on l.kind = 'profile' and l.record_key = concat('profile:', e.profile_id)
    join customers.consent_spells w
        on w.customer_id = l.customer_id and w.purpose = 'analytics' and not w.granted
        and e.occurred_at >= w.from_at and e.occurred_at < w.until_at
    where e.event_type in ('opened', 'clicked')
)
select
    e._dt as day,
    case
        when coalesce(e.is_machine_open, false) then 'machine_open'
        when r.event is null then 'no_touchpoint'
        when l.record_key is null then 'no_customer'
        when w.event_id is not null then 'withdrawn'
        else 'used'
    end as reason,
    count(*) as records,
    cast(null as decimal(18, 4)) as money
from validated.email_events e
left join (
    select distinct event from config.touchpoint_rules where source = 'email'
) r on r.event = e.event_type
left join customers.identity_links l on l.kind = 'profile' and l.record_key = concat('profile:', e.profile_id)
left join withdrawn w on w.event_id = e.event_id
group by 1, 2
