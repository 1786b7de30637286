-- Every device with consent, and how many logins were tried on it. Of a yes and a no at the same moment the no
-- counts.
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
),
tried as (
    select visitor_id, count(distinct login_id) as logins
    from validated.web_events
    where visitor_id is not null and login_id is not null
    group by visitor_id
),
seen as (
    select
        visitor_id,
        min(occurred_at) as first_seen_at,
        max(occurred_at) as last_seen_at,
        max_by(consent_analytics, place + case when consent_analytics then 0 else 1 end)
            filter (where consent_analytics is not null) as consent_analytics,
        max_by(consent_marketing, place + case when consent_marketing then 0 else 1 end)
            filter (where consent_marketing is not null) as consent_marketing
    from (
        select *, 2 * date_diff('microsecond', timestamp '1970-01-01', occurred_at) as place
        from validated.web_events
        where visitor_id is not null
    ) as placed
    group by visitor_id
)
select
    s.visitor_id,
    s.first_seen_at,
    s.last_seen_at,
    s.consent_analytics,
    s.consent_marketing,
    coalesce(t.logins, 0) as logins,
    coalesce(b.logins_per_hour, 0) as logins_per_hour
from seen s
left join tried t on t.visitor_id = s.visitor_id
left join busiest b on b.visitor_id = s.visitor_id
