-- Every device with consent, and how many logins were tried on it.
with hourly as (
    select
        visitor_id,
        date_trunc('hour', occurred_at) as hour_at,
        count(distinct login_id) as logins
    from validated.web_events
    where visitor_id is not null and login_id is not null
    group by visitor_id, date_trunc('hour', occurred_at)
),
busiest as (
    select visitor_id, max(logins) as logins_per_hour
    from hourly
    group by visitor_id
)
select
    e.visitor_id,
    min(e.occurred_at) as first_seen_at,
    max(e.occurred_at) as last_seen_at,
    max_by(e.consent_analytics, e.occurred_at) filter (where e.consent_analytics is not null) as consent_analytics,
    max_by(e.consent_marketing, e.occurred_at) filter (where e.consent_marketing is not null) as consent_marketing,
    count(distinct e.login_id) as logins,
    coalesce(max(b.logins_per_hour), 0) as logins_per_hour
from validated.web_events e
left join busiest b on b.visitor_id = e.visitor_id
where e.visitor_id is not null
group by e.visitor_id
