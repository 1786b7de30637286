-- Cut each device's events into visits and give every visit its customer.
--
-- A pause longer than the timeout starts a new visit; midnight and campaigns do not. A visit that never pauses
-- is cut every `session_cap_hours` after its start. Events without a device (no consent) stay out, and so does
-- what a customer did on a device after withdrawing consent.
-- A visit with a login belongs to the customer who logged in (most login events, then the earliest); any other
-- visit belongs to the owner of the device.
-- The windows run on few columns and the rest is joined afterwards: half the work of sorting whole rows.
with hits as (
    select
        e.event_id,
        e.visitor_id,
        e.login_id,
        e.occurred_at,
        row_number() over (partition by e.visitor_id order by e.occurred_at, e.event_id) as event_number,
        lag(e.occurred_at) over (partition by e.visitor_id order by e.occurred_at, e.event_id) as previous_at
    from validated.web_events e
    where e.visitor_id is not null
),
runs as (
    select
        h.event_id,
        h.visitor_id,
        h.login_id,
        h.occurred_at,
        h.event_number,
        max(
            case when h.previous_at is null
                or h.occurred_at > h.previous_at + p.session_timeout_minutes * interval '1' minute
            then h.occurred_at end
        ) over (
            partition by h.visitor_id order by h.event_number
            rows between unbounded preceding and current row
        ) as run_at,
        p.session_cap_hours
    from hits h
    cross join config.params p
),
parts as materialized (
    select
        r.event_id,
        r.visitor_id,
        r.login_id,
        r.occurred_at,
        r.event_number,
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
        min(s.event_number) as first_number
    from parts s
    join customers.identity_links l on l.kind = 'login' and l.record_key = concat('login:', s.login_id)
    where s.login_id is not null
    group by s.visitor_id, s.run_at, s.part, l.customer_id
),
login_ranks as (
    select
        v.*,
        row_number() over (
            partition by v.visitor_id, v.run_at, v.part order by v.votes desc, v.first_number
        ) as place
    from login_votes v
),
visits as (
    select
        s.visitor_id,
        s.run_at,
        s.part,
        min(s.event_number) = 1 as is_first_visit
    from parts s
    group by s.visitor_id, s.run_at, s.part
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
-- few customers ever withdraw consent: only what was done in their visits is compared with the times
withdrawn as materialized (
    select
        o.visitor_id,
        o.run_at,
        o.part,
        w.from_at,
        w.until_at
    from owned o
    join customers.consent_spells w
        on w.customer_id = o.customer_id and w.purpose = 'analytics' and not w.granted
),
refused as (
    select distinct s.event_id
    from withdrawn w
    join parts s on s.visitor_id = w.visitor_id and s.run_at = w.run_at and s.part = w.part
    where s.occurred_at >= w.from_at and s.occurred_at < w.until_at
),
-- materialized: else the widest rows would be the side of the join that is kept in memory
acts as materialized (
    select
        s.event_id,
        s.event_number,
        o.session_id,
        o.customer_id,
        o.visitor_key,
        o.visitor_rule,
        o.is_first_visit
    from parts s
    join owned o on o.visitor_id = s.visitor_id and o.run_at = s.run_at and o.part = s.part
    left join refused x on x.event_id = s.event_id
    where x.event_id is null
)
select
    e.event_id,
    a.session_id,
    a.customer_id,
    a.visitor_key,
    a.visitor_rule,
    a.is_first_visit,
    e.occurred_at,
    a.event_number,
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
from acts a
join validated.web_events e on e.event_id = a.event_id
where coalesce(e.consent_analytics, true)
