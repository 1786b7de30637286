-- How much was seen and left out of every analysis, because there was no consent at the time it happened.
-- Web events of a device are in the web activity unless consent had been withdrawn.
with web as (
    select
        occurred_at,
        'web_analytics' as source,
        1 as seen,
        case when visitor_id is null then 1 else 0 end as not_given,
        case when visitor_id is null then 0 else 1 end as withdrawn
    from validated.web_events
    union all
    select occurred_at, 'web_analytics', 0, 0, -1
    from customers.web_activity
),
refused as (
    select distinct e.event_id
    from validated.email_events e
    join customers.identity_links l on l.kind = 'profile' and l.record_key = concat('profile:', e.profile_id)
    join customers.consent_spells w
        on w.customer_id = l.customer_id and w.purpose = 'analytics' and not w.granted
        and e.occurred_at >= w.from_at and e.occurred_at < w.until_at
    where e.event_type in ('opened', 'clicked')
),
mails as (
    select
        e.occurred_at,
        'email' as source,
        1 as seen,
        0 as not_given,
        case when r.event_id is not null then 1 else 0 end as withdrawn
    from validated.email_events e
    left join refused r on r.event_id = e.event_id
    where e.event_type in ('opened', 'clicked') and not coalesce(e.is_machine_open, false)
),
seen as (
    select * from web
    union all
    select * from mails
)
select
    case when s.occurred_at < d.boundary_at then d.date_before else d.date_after end as business_date,
    s.source,
    'analytics' as purpose,
    sum(s.seen) as events,
    sum(s.not_given) as not_given,
    sum(s.withdrawn) as withdrawn,
    sum(s.not_given) + sum(s.withdrawn) as excluded
from seen s
join config.business_days d on d.utc_date = cast(s.occurred_at as date)
group by 1, 2
