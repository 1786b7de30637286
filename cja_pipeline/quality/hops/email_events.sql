-- What became of every e-mail event in the event log.
select
    e._dt as day,
    case
        when coalesce(e.is_machine_open, false) then 'machine_open'
        when r.event is null then 'no_touchpoint'
        when l.record_key is null then 'no_customer'
        else 'used'
    end as reason,
    count(*) as records,
    cast(null as decimal(18, 4)) as money
from validated.email_events e
left join (
    select distinct event from config.touchpoint_rules where source = 'email'
) r on r.event = e.event_type
left join customers.identity_links l on l.kind = 'profile' and l.record_key = concat('profile:', e.profile_id)
group by 1, 2
