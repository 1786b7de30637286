-- The one event log: every contact between a customer and the shop, in order, with its journey stage.
-- Page noise, machines, what cannot be tied to a customer and what had no consent when it happened stay out.
with web_steps as (
    select
        concat('web:', a.event_id) as touchpoint_id,
        a.customer_id,
        a.occurred_at,
        r.touchpoint_type,
        s.channel,
        s.campaign,
        a.device,
        a.country,
        a.session_id,
        cast(null as varchar) as order_id,
        a.value,
        a.currency,
        cast(null as double) as sentiment,
        cast(null as double) as score,
        false as is_order
    from customers.web_activity a
    join config.touchpoint_rules r on r.source = 'web_analytics' and r.event = a.event_name
    join customers.sessions s on s.session_id = a.session_id and not s.is_bot
),
visits as (
    select
        concat('visit:', session_id), customer_id, started_at, 'visit', channel, campaign, device, country,
        session_id, cast(null as varchar), cast(null as decimal(18, 2)), cast(null as varchar),
        cast(null as double), cast(null as double), false
    from customers.sessions
    where not is_bot
),
bought as (
    select
        concat('order:', o.order_id), o.customer_id, o.ordered_at, r.touchpoint_type,
        coalesce(s.channel, r.channel), s.campaign, s.device, s.country, o.session_id, o.order_id, o.net_revenue,
        o.currency, cast(null as double), cast(null as double), true
    from customers.orders o
    join config.touchpoint_rules r
        on r.source = 'crm' and r.event = o.sales_channel
    left join customers.sessions s on s.session_id = o.session_id
),
mails as (
    select
        concat('mail:', e.event_id), l.customer_id, e.occurred_at, r.touchpoint_type, r.channel, e.campaign,
        cast(null as varchar), cast(null as varchar), cast(null as varchar), cast(null as varchar),
        cast(null as decimal(18, 2)), cast(null as varchar), cast(null as double), cast(null as double), false
    from validated.email_events e
    join config.touchpoint_rules r on r.source = 'email' and r.event = e.event_type
    join customers.identity_links l on l.kind = 'profile' and l.record_key = concat('profile:', e.profile_id)
    where not coalesce(e.is_machine_open, false)
        -- opens and clicks are observed: they need consent at that moment
        and not (
            e.event_type in ('opened', 'clicked')
            and exists (
                select 1
                from customers.consent_spells w
                where w.customer_id = l.customer_id and w.purpose = 'analytics' and not w.granted
                    and e.occurred_at >= w.from_at and e.occurred_at < w.until_at
            )
        )
),
said as (
    select
        concat('feedback:', f.feedback_id), f.customer_id, f.occurred_at, r.touchpoint_type, r.channel,
        cast(null as varchar), f.device, cast(null as varchar), cast(null as varchar), f.order_id,
        cast(null as decimal(18, 2)), cast(null as varchar), f.sentiment, f.score, false
    from customers.feedback f
    join config.touchpoint_rules r on r.source = f.source and r.event = f.kind
    where f.customer_id is not null
),
referrals as (
    select
        concat('referral:', f.referral_id), f.customer_id, f.occurred_at, r.touchpoint_type, r.channel,
        cast(null as varchar), cast(null as varchar), cast(null as varchar), cast(null as varchar),
        cast(null as varchar), cast(null as decimal(18, 2)), cast(null as varchar), cast(null as double),
        cast(null as double), false
    from customers.referrals f
    join config.touchpoint_rules r on r.source = 'crm' and r.event = 'referral'
),
everything as materialized (
    select * from web_steps
    union all select * from visits
    union all select * from bought
    union all select * from mails
    union all select * from said
    union all select * from referrals
),
-- order and count on few columns; the rest is joined afterwards
numbered as (
    select
        e.touchpoint_id,
        e.customer_id,
        e.touchpoint_type,
        e.is_order,
        coalesce(e.score, e.sentiment, cast('-infinity' as double)) as score,
        r.consideration_from,
        row_number() over (partition by e.customer_id order by e.occurred_at, e.touchpoint_id) as sequence,
        row_number() over (
            partition by e.customer_id, e.touchpoint_type order by e.occurred_at, e.touchpoint_id
        ) as type_count
    from everything e
    join config.touchpoint_rules r on r.touchpoint_type = e.touchpoint_type
),
history as (
    select
        n.touchpoint_id,
        n.touchpoint_type,
        n.sequence,
        n.type_count,
        n.score,
        sum(case when n.is_order then 1 else 0 end) over before_it as orders_before,
        sum(case when n.type_count >= n.consideration_from then 1 else 0 end) over before_it as signals_before
    from numbered n
    window before_it as (
        partition by n.customer_id order by n.sequence rows between unbounded preceding and 1 preceding
    )
),
states as (
    select
        h.*,
        case
            when h.orders_before > 0 then 'customer'
            when h.signals_before > 0 then 'considering'
            else 'new'
        end as state
    from history h
)
select
    e.touchpoint_id,
    e.customer_id,
    e.occurred_at,
    case when e.occurred_at < d.boundary_at then d.date_before else d.date_after end as business_date,
    r.source,
    r.department,
    coalesce(e.channel, r.channel, 'Direct') as channel,
    e.campaign,
    e.touchpoint_type,
    g.stage,
    e.device,
    e.country,
    e.session_id,
    e.order_id,
    e.value,
    e.currency,
    e.sentiment,
    e.score,
    s.sequence,
    s.state,
    g.rule_id as stage_rule
from everything e
join states s on s.touchpoint_id = e.touchpoint_id
join config.touchpoint_rules r on r.touchpoint_type = e.touchpoint_type
join config.business_days d on d.utc_date = cast(e.occurred_at as date)
left join config.stage_rules g
    on g.touchpoint_type = s.touchpoint_type
    and g.state = s.state
    and s.type_count between g.min_count and g.max_count
    and s.score >= g.min_score
    and s.score < g.max_score
