-- Cut each device's events into visits and give every visit its customer.
--
-- A pause longer than the timeout starts a new visit; midnight and campaigns do not. A visit that never pauses
-- is cut every `session_cap_hours` after its start. Events without a device (no consent) stay out, and so does
-- what a customer did on a device after withdrawing consent.
-- A visit with a login belongs to the customer who logged in (most login events, then the earliest); any other
-- visit belongs to the owner of the device.
-- Only times are sorted, and visits are joined to events by time, day by day: half the work of sorting whole events.
with hits as (
    select
        e.visitor_id,
        e.login_id,
        e.occurred_at,
        lag(e.occurred_at) over (partition by e.visitor_id order by e.occurred_at) as previous_at
    from validated.web_events e
    where e.visitor_id is not null
),
-- events of the same moment are peers: they see the same latest beginning
runs as (
    select
        h.visitor_id,
        h.login_id,
        h.occurred_at,
        max(
            case when h.previous_at is null
                or h.occurred_at > h.previous_at + p.session_timeout_minutes * interval '1' minute
            then h.occurred_at end
        ) over (
            partition by h.visitor_id order by h.occurred_at
            range between unbounded preceding and current row
        ) as run_at,
        p.session_cap_hours
    from hits h
    cross join config.params p
),
parts as materialized (
    select
        r.visitor_id,
        r.login_id,
        r.occurred_at,
        r.run_at,
        cast(floor(
            cast(date_diff('microsecond', r.run_at, r.occurred_at) as double) / (r.session_cap_hours * 3600000000.0)
        ) as bigint) as part
    from runs r
),
login_votes as (
    select
        s.visitor_id,
        s.run_at,
        s.part,
        l.customer_id,
        count(*) as votes,
        min(s.occurred_at) as first_at
    from parts s
    join customers.identity_links l on l.kind = 'login' and l.record_key = concat('login:', s.login_id)
    where s.login_id is not null
    group by s.visitor_id, s.run_at, s.part, l.customer_id
),
login_ranks as (
    select
        v.*,
        row_number() over (
            partition by v.visitor_id, v.run_at, v.part order by v.votes desc, v.first_at, v.customer_id
        ) as place
    from login_votes v
),
-- what a visit holds of each day
spans as (
    select
        s.visitor_id,
        s.run_at,
        s.part,
        cast(s.occurred_at as date) as day,
        min(s.occurred_at) as from_at,
        max(s.occurred_at) as until_at
    from parts s
    group by s.visitor_id, s.run_at, s.part, cast(s.occurred_at as date)
),
visits as (
    select
        s.visitor_id,
        s.run_at,
        s.part,
        s.part = 0 and s.run_at = min(s.run_at) over (partition by s.visitor_id) as is_first_visit
    from (select distinct visitor_id, run_at, part from spans) s
),
-- materialized: else a visit's id would be made again for each of its events
owned as materialized (
    select
        s.visitor_id,
        s.run_at,
        s.part,
        s.is_first_visit,
        v.visitor_key,
        case when v.rule <> 'bot' and g.customer_id is not null then g.customer_id else v.customer_id end
            as customer_id,
        case when v.rule <> 'bot' and g.customer_id is not null then 'login' else v.rule end as visitor_rule,
        md5(concat(
            v.visitor_key, '|', cast(s.run_at as varchar), '|', cast(s.part as varchar), '|', p.session_rule
        )) as session_id
    from visits s
    cross join config.params p
    join customers.visitor_map v on v.visitor_id = s.visitor_id
    left join login_ranks g
        on g.visitor_id = s.visitor_id and g.run_at = s.run_at and g.part = s.part and g.place = 1
),
acts as (
    select
        s.visitor_id,
        s.day,
        s.from_at,
        s.until_at,
        o.session_id,
        o.customer_id,
        o.visitor_key,
        o.visitor_rule,
        o.is_first_visit
    from spans s
    join owned o on o.visitor_id = s.visitor_id and o.run_at = s.run_at and o.part = s.part
),
-- few customers ever withdraw consent: only what was done in their visits is compared with the times
withdrawn as materialized (
    select
        a.visitor_id,
        a.day,
        greatest(a.from_at, w.from_at) as from_at,
        a.until_at,
        w.until_at as before_at
    from acts a
    join customers.consent_spells w
        on w.customer_id = a.customer_id and w.purpose = 'analytics' and not w.granted
        and w.from_at <= a.until_at and w.until_at > a.from_at
),
refused as (
    select distinct e.event_id
    from validated.web_events e
    join withdrawn w
        on w.visitor_id = e.visitor_id and w.day = cast(e.occurred_at as date)
        and e.occurred_at between w.from_at and w.until_at and e.occurred_at < w.before_at
)
select
    e.event_id,
    a.session_id,
    a.customer_id,
    a.visitor_key,
    a.visitor_rule,
    a.is_first_visit,
    e.occurred_at,
    e.event_name,
    e.page_path,
    e.page_type,
    case
        when e.source is not null or e.medium is not null or e.campaign is not null or e.referrer is not null
            or e.page_url like '%clid=%' or e.page_url like '%braid=%'
        then concat(
            coalesce(e.source, ''), '|', coalesce(e.medium, ''), '|', coalesce(e.campaign, ''), '|',
            split_part(coalesce(e.referrer, ''), '/', 3), '|',
            case
                when e.page_url like '%gclid=%' then 'gclid'
                when e.page_url like '%gbraid=%' then 'gbraid'
                when e.page_url like '%wbraid=%' then 'wbraid'
                when e.page_url like '%msclkid=%' then 'msclkid'
                else ''
            end
        )
    end as traffic_key,
    e.device,
    e.os,
    e.browser,
    e.country,
    e.order_id,
    e.value,
    e.currency,
    e.engagement_ms,
    e.session_engaged,
    e.search_term,
    e.error_message,
    e.experiment,
    e.variant
from validated.web_events e
join acts a
    on a.visitor_id = e.visitor_id and a.day = cast(e.occurred_at as date)
    and e.occurred_at between a.from_at and a.until_at
left join refused x on x.event_id = e.event_id
where coalesce(e.consent_analytics, true) and x.event_id is null
