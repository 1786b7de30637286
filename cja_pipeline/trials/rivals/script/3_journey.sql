-- Visits, orders, mails and feedback -> orders, the one event log with its stages, customers.
create table orders as
with purchases as (
    select order_id, event_id, count(*) over (partition by order_id) as web_reports
    from web_events
    where event_name = 'purchase' and order_id is not null
    qualify row_number() over (partition by order_id order by visitor_id is null, occurred_at, event_id) = 1
),
seen as (
    select p.order_id, p.web_reports, a.session_id, a.customer_id, a.occurred_at, a.value, a.currency
    from purchases p
    left join activity a using (event_id)
),
both_sides as (
    select
        o.order_id, coalesce(c.customer_id, g.customer_id, s.customer_id) as customer_id, o.ordered_at,
        o.gross, o.discount, o.refund,
        case when o.currency = 'EUR' then 1 when o.exchange_rate > 0 then o.exchange_rate end as rate,
        coalesce(o.sales_channel, 'web') as sales_channel, s.session_id, true as in_crm,
        s.order_id is not null as in_web, coalesce(s.web_reports, 0) as web_reports
    from crm_orders o
    left join links c on c.kind = 'contact' and c.id = o.contact_id
    left join links g on g.kind = 'order' and g.id = o.crm_order_id
    left join seen s on s.order_id = o.order_id
    where not o.is_void
    union all
    select order_id, customer_id, occurred_at, value, 0, 0, if(currency = 'EUR', 1, null), 'web', session_id, false,
        true, web_reports
    from seen
    where customer_id is not null and order_id not in (select order_id from crm_orders)
),
converted as (
    select
        order_id, customer_id, ordered_at, sales_channel, session_id, in_crm, in_web, web_reports,
        round(b.gross::double * rate, 2)::decimal(18, 2) as gross_revenue,
        round(b.discount::double * rate, 2)::decimal(18, 2) as discount,
        round(b.refund::double * rate, 2)::decimal(18, 2) as refund
    from both_sides b
    where customer_id is not null
)
select
    *, gross_revenue - discount - refund as net_revenue, business_date(ordered_at) as business_date,
    row_number() over (partition by customer_id order by ordered_at, order_id) = 1 as is_first_order
from converted;

create table touchpoints as
with contacts as (
    from contact_versions
    qualify row_number() over (partition by contact_id order by updated_at desc, pulled_at desc, filename desc) = 1
),
everything as (
    select 'visit:' || session_id as touchpoint_id, customer_id, started_at as occurred_at, 'visit' as touchpoint_type,
        channel, campaign, device, session_id, null::varchar as order_id, null::decimal(18, 2) as value,
        null::double as score
    from sessions
    where not is_bot
    union all
    select 'web:' || a.event_id, a.customer_id, a.occurred_at,
        case a.event_name when 'view_item' then 'product_view' when 'view_search_results' then 'search'
            else a.event_name end,
        s.channel, s.campaign, a.device, a.session_id, null, a.value, null
    from activity a
    join sessions s on s.session_id = a.session_id and not s.is_bot
    where a.event_name in ('view_item', 'view_search_results', 'add_to_cart', 'begin_checkout', 'add_payment_info',
        'sign_up', 'share')
    union all
    select 'order:' || o.order_id, o.customer_id, o.ordered_at,
        case o.sales_channel when 'web' then 'purchase' when 'store' then 'store_order' when 'phone' then 'phone_order'
            else 'other_order' end,
        coalesce(s.channel, case o.sales_channel when 'store' then 'Store' when 'phone' then 'Phone'
            when 'other' then 'Other' else 'Direct' end),
        s.campaign, s.device, o.session_id, o.order_id, o.net_revenue, null
    from orders o
    left join sessions s using (session_id)
    union all
    select 'mail:' || m.event_id, l.customer_id, m.occurred_at, 'email_' || m.event_type, 'Email', m.campaign, null,
        null, null, null, null
    from mails m
    join links l on l.kind = 'profile' and l.id = m.profile_id
    where m.event_type in ('received', 'opened', 'clicked', 'unsubscribed') and not m.is_machine_open
        and not (m.event_type in ('opened', 'clicked') and exists (
            from refusals r
            where r.customer_id = l.customer_id and m.occurred_at >= r.since and m.occurred_at < r.until))
    union all
    select 'feedback:' || feedback_id, customer_id, occurred_at, kind,
        case kind when 'comment' then 'Organic Social' when 'ticket' then 'Support' else 'Survey' end,
        null, device, null, order_id, null, coalesce(score, sentiment)
    from feedback
    where customer_id is not null
    union all
    select 'referral:' || f.customer_id || ':' || row_number() over (
            partition by f.customer_id order by c.created_at, c.contact_id),
        o.customer_id, c.created_at, 'referral', 'Referral program', null, null, null, null, null, null
    from contacts c
    join (select referral_code, min(contact_id) as contact_id from contacts group by 1) as inviter
        on inviter.referral_code = c.referred_by_code and inviter.contact_id <> c.contact_id
    join links o on o.kind = 'contact' and o.id = inviter.contact_id
    join links f on f.kind = 'contact' and f.id = c.contact_id and f.customer_id <> o.customer_id
    where c.created_at <= getvariable('observed_until')
),
numbered as (
    select
        *, row_number() over journey as sequence,
        row_number() over (partition by customer_id, touchpoint_type order by occurred_at, touchpoint_id) as nth
    from everything
    window journey as (partition by customer_id order by occurred_at, touchpoint_id)
),
states as (
    select *, case
        when bool_or(touchpoint_type in ('purchase', 'store_order', 'phone_order', 'other_order')) over earlier
        then 'customer'
        when bool_or((touchpoint_type = 'product_view' and nth >= 2) or touchpoint_type in (
            'search', 'add_to_cart', 'begin_checkout', 'email_clicked', 'sign_up', 'comment')) over earlier
        then 'considering'
        else 'new' end as state
    from numbered
    window earlier as (partition by customer_id order by sequence rows between unbounded preceding and 1 preceding)
),
ruled as (
    select *, case
        when touchpoint_type in ('purchase', 'store_order', 'phone_order', 'other_order') then 'order'
        when touchpoint_type in ('begin_checkout', 'add_payment_info') then 'checkout'
        when touchpoint_type = 'nps' and score >= 9 then 'promoter'
        when touchpoint_type in ('share', 'referral') then 'recommends'
        when touchpoint_type = 'comment' and state = 'customer' and score >= 0.5 then 'praises'
        when touchpoint_type in ('visit', 'product_view', 'search', 'add_to_cart', 'sign_up') and state = 'customer'
        then 'comes_back'
        when touchpoint_type like 'email%' and state = 'customer' then 'mail_to_customer'
        when touchpoint_type in ('ticket', 'nps', 'csat', 'ces', 'comment') and state = 'customer' then 'service'
        when touchpoint_type = 'product_view' and nth >= 2 and state = 'new' then 'looks_closer'
        when touchpoint_type in ('search', 'add_to_cart', 'email_clicked', 'sign_up', 'comment') and state = 'new'
        then 'compares'
        when touchpoint_type in ('ticket', 'nps', 'csat', 'ces') then 'asks_before_buying'
        when state = 'considering' then 'still_considering'
        else 'first_contact' end as rule_id
    from states
)
select
    touchpoint_id, customer_id, occurred_at, business_date(occurred_at) as business_date, touchpoint_type, channel,
    campaign, device, session_id, order_id, value, sequence, state, rule_id,
    case when rule_id in ('order', 'checkout') then 'purchase'
        when rule_id in ('promoter', 'recommends', 'praises') then 'advocacy'
        when rule_id in ('comes_back', 'mail_to_customer', 'service') then 'retention'
        when rule_id = 'first_contact' then 'awareness' else 'consideration' end as stage
from ruled;

create table stage_spells as
with marked as (
    select *, lag(stage) over (partition by customer_id order by sequence) is distinct from stage as is_entry
    from touchpoints
),
spells as (
    select *, count_if(is_entry) over (partition by customer_id order by sequence) as spell from marked
)
select
    customer_id, spell, any_value(stage) as stage, min(occurred_at) as entered_at,
    lead(min(occurred_at)) over (partition by customer_id order by spell) as exited_at,
    arg_min(touchpoint_id, sequence) as entry_touchpoint_id, arg_min(rule_id, sequence) as rule_id,
    count(*) as touchpoints
from spells
group by customer_id, spell;

create table customers as
with who as (
    select
        customer_id, bool_or(kind not in ('visitor', 'author')) as is_known, min(first_seen_at) as first_at,
        max(last_seen_at) filter (kind in ('visitor', 'author', 'login', 'order')) as last_at
    from links group by customer_id
),
met as (
    select customer_id, count(*) as touchpoints, min(occurred_at) as first_at, max(occurred_at) as last_at,
        arg_min(channel, sequence) as channel
    from touchpoints group by customer_id
),
visited as (
    select customer_id, count_if(not is_bot) as sessions, arg_min(channel, (started_at, session_id)) as channel
    from sessions group by customer_id
),
bought as (
    select customer_id, count(*) as orders, sum(net_revenue) as net_revenue, min(ordered_at) as first_order_at,
        max(ordered_at) as last_order_at
    from orders group by customer_id
),
said as (
    select customer_id, arg_max(score, (occurred_at, feedback_id)) filter (kind = 'nps' and score is not null)
        as last_nps, count_if(kind = 'ticket' and status = 'open') as open_tickets
    from feedback group by customer_id
),
now as (select customer_id, arg_max(stage, spell) as stage from stage_spells group by customer_id)
select
    w.customer_id, w.is_known, least(w.first_at, m.first_at) as first_seen_at,
    greatest(w.last_at, m.last_at) as last_seen_at, n.stage, coalesce(v.channel, m.channel) as acquisition_channel,
    coalesce(v.sessions, 0) as sessions, coalesce(b.orders, 0) as orders, coalesce(b.net_revenue, 0) as net_revenue,
    b.first_order_at, b.last_order_at, coalesce(m.touchpoints, 0) as touchpoints, s.last_nps,
    coalesce(s.open_tickets, 0) as open_tickets
from who w
left join met m using (customer_id)
left join visited v using (customer_id)
left join bought b using (customer_id)
left join said s using (customer_id)
left join now n using (customer_id);
