-- One row per customer: who (the winners of golden_values), since when, how much.
-- Opt-out of one record is opt-out of the customer; opt-in never spreads over an opt-out.
with links as (
    select
        customer_id,
        bool_or(kind not in ('visitor', 'author')) as is_known,
        min(first_seen_at) as first_seen_at,
        max(case when kind in ('visitor', 'author', 'login', 'order') then last_seen_at end) as last_seen_at,
        bool_or(source = 'crm') as in_crm,
        bool_or(source = 'email') as in_email,
        bool_or(source = 'social') as in_social,
        bool_or(source = 'web_analytics') as in_web
    from customers.identity_links
    group by customer_id
),
contacts as (
    select
        l.customer_id,
        bool_and(c.consent_analytics) as consent_analytics,
        bool_and(case when coalesce(c.email_opt_out, false) then false else c.consent_marketing end)
            as consent_marketing,
        bool_or(coalesce(c.email_opt_out, false)) as opted_out,
        bool_and(c.archived) as archived
    from validated.contacts_current c
    join customers.identity_links l
        on l.kind = 'contact' and l.record_key = concat('contact:', c.contact_id)
    group by l.customer_id
),
mailing as (
    select l.customer_id, bool_or(p.left_list) as left_list, bool_and(p.is_bounced) as bounced
    from customers.email_profiles p
    join customers.identity_links l on l.kind = 'profile' and l.record_key = concat('profile:', p.profile_id)
    group by l.customer_id
),
devices as (
    select
        customer_id,
        bool_and(consent_analytics) as consent_analytics,
        bool_and(consent_marketing) as consent_marketing
    from customers.visitor_map
    group by customer_id
),
golden as (
    select
        customer_id,
        max(case when attribute = 'country' then value end) as country,
        max(case when attribute = 'language' then value end) as language
    from customers.golden_values
    where is_winner
    group by customer_id
),
visit_devices as (
    select
        customer_id,
        device,
        row_number() over (partition by customer_id order by count(*) desc, max(started_at) desc, device) as place
    from customers.sessions
    where device is not null and not is_bot
    group by customer_id, device
),
visits as (
    select
        customer_id,
        count(*) filter (where not is_bot) as sessions,
        bool_and(is_bot) as only_bots,
        min_by(channel, concat(cast(started_at as varchar), session_id)) as first_channel,
        min_by(coalesce(campaign, ''), concat(cast(started_at as varchar), session_id)) as first_campaign
    from customers.sessions
    group by customer_id
),
bought as (
    select
        customer_id,
        count(*) as orders,
        coalesce(sum(net_revenue), 0) as net_revenue,
        min(ordered_at) as first_order_at,
        max(ordered_at) as last_order_at
    from customers.orders
    group by customer_id
),
contacted as (
    select
        customer_id,
        count(*) as touchpoints,
        count(distinct department) as departments,
        min(occurred_at) as first_at,
        max(occurred_at) as last_at,
        min_by(channel, sequence) as first_channel,
        min_by(coalesce(campaign, ''), sequence) as first_campaign
    from customers.touchpoints
    group by customer_id
),
staged as (
    select
        customer_id,
        max_by(stage, spell) as stage,
        max(case stage
            when 'awareness' then 1 when 'consideration' then 2 when 'purchase' then 3
            when 'retention' then 4 when 'advocacy' then 5 end) as highest
    from customers.stage_spells
    group by customer_id
),
named as (
    select
        customer_id,
        count(distinct concat(identifier_type, identifier_hash)) as identifiers,
        bool_or(identifier_type = 'email') as has_email
    from customers.customer_identifiers
    group by customer_id
),
opinions as (
    select
        customer_id,
        max_by(score, concat(cast(occurred_at as varchar), feedback_id)) filter (where kind = 'nps' and score is not null)
            as last_nps,
        count(*) filter (where kind = 'ticket' and status = 'open') as open_tickets,
        avg(sentiment) as mean_sentiment
    from customers.feedback
    where customer_id is not null
    group by customer_id
)
select
    l.customer_id,
    l.is_known,
    not l.is_known and coalesce(v.only_bots, false) as is_bot,
    least(coalesce(l.first_seen_at, t.first_at), coalesce(t.first_at, l.first_seen_at)) as first_seen_at,
    greatest(coalesce(l.last_seen_at, t.last_at), coalesce(t.last_at, l.last_seen_at)) as last_seen_at,
    s.stage,
    case s.highest
        when 1 then 'awareness' when 2 then 'consideration' when 3 then 'purchase'
        when 4 then 'retention' when 5 then 'advocacy' end as highest_stage,
    coalesce(v.first_channel, t.first_channel) as acquisition_channel,
    nullif(coalesce(v.first_campaign, t.first_campaign), '') as acquisition_campaign,
    best.country,
    best.language,
    d.device,
    coalesce(v.sessions, 0) as sessions,
    coalesce(o.orders, 0) as orders,
    coalesce(o.net_revenue, 0) as net_revenue,
    params.currency,
    o.first_order_at,
    o.last_order_at,
    case
        when c.consent_analytics = false or w.consent_analytics = false then false
        when c.consent_analytics or w.consent_analytics then true
    end as consent_analytics,
    case
        when c.archived or c.consent_marketing = false or w.consent_marketing = false or u.left_list then false
        when c.consent_marketing or w.consent_marketing then true
    end as consent_marketing,
    case
        when not coalesce(n.has_email, false) then 'no_address'
        when u.bounced then 'bounced'
        when u.left_list or c.opted_out then 'unsubscribed'
        else 'reachable'
    end as email_status,
    concat_ws(', ',
        case when l.in_crm then 'crm' end,
        case when l.in_email then 'email' end,
        case when l.in_social then 'social' end,
        case when l.in_web then 'web_analytics' end
    ) as sources,
    cast(l.in_crm as bigint) + cast(l.in_email as bigint) + cast(l.in_social as bigint) + cast(l.in_web as bigint)
        as source_count,
    coalesce(t.departments, 0) as departments,
    coalesce(n.identifiers, 0) as identifiers,
    coalesce(t.touchpoints, 0) as touchpoints,
    g.customer_id is not null as is_referred,
    f.last_nps,
    coalesce(f.open_tickets, 0) as open_tickets,
    f.mean_sentiment
from links l
cross join config.params params
left join contacts c on c.customer_id = l.customer_id
left join mailing u on u.customer_id = l.customer_id
left join devices w on w.customer_id = l.customer_id
left join golden best on best.customer_id = l.customer_id
left join visit_devices d on d.customer_id = l.customer_id and d.place = 1
left join visits v on v.customer_id = l.customer_id
left join bought o on o.customer_id = l.customer_id
left join contacted t on t.customer_id = l.customer_id
left join staged s on s.customer_id = l.customer_id
left join named n on n.customer_id = l.customer_id
left join customers.invited g on g.customer_id = l.customer_id
left join opinions f on f.customer_id = l.customer_id
