-- Clean web events -> visits of customers, with the channel that brought them.
create macro business_date(moment) as cast(moment at time zone 'UTC' at time zone 'Europe/Berlin' as date);

-- from when until when each customer had said no to being analysed, by any contact of the CRM
create temp table refusals as
with stated as (
    select customer_id, contact_id, granted, updated_at, created_at, lag(granted) over version as before_it
    from contact_versions
    join links on kind = 'contact' and id = contact_id
    where granted is not null
    window version as (partition by contact_id order by updated_at, not granted)
),
changes as (
    select *, case when before_it is null then coalesce(created_at, updated_at) else updated_at end as since
    from stated
    where granted is distinct from before_it
),
spans as (
    select *, coalesce(lead(since) over (partition by contact_id order by since), timestamp '9999-12-31') as until
    from changes
)
select customer_id, since, until from spans where not granted;

create temp table activity as
with ordered as (
    select
        event_id, visitor_id, login_id, occurred_at,
        row_number() over device as event_number,
        lag(occurred_at) over device as before_at
    from web_events
    where visitor_id is not null
    window device as (partition by visitor_id order by occurred_at, event_id)
),
runs as (
    select *, max(case when before_at is null or occurred_at > before_at + interval 30 minute then occurred_at end)
        over (partition by visitor_id order by event_number) as run_at
    from ordered
),
parts as (
    select *, date_diff('microsecond', run_at, occurred_at) // 86400000000 as part from runs
),
logins as (
    select visitor_id, run_at, part, customer_id
    from parts
    join links on kind = 'login' and id = login_id
    group by visitor_id, run_at, part, customer_id
    qualify row_number() over (
        partition by visitor_id, run_at, part order by count(*) desc, min(event_number)) = 1
),
visits as (
    select
        p.visitor_id, p.run_at, p.part, min(p.event_number) = 1 as is_first_visit,
        md5(concat(any_value(d.visitor_key), '|', p.run_at::varchar, '|', p.part::varchar, '|s1')) as session_id,
        any_value(case when d.rule = 'bot' then d.customer_id else coalesce(l.customer_id, d.customer_id) end)
            as customer_id,
        any_value(case when d.rule <> 'bot' and l.customer_id is not null then 'login' else d.rule end)
            as customer_rule
    from parts p
    join devices d using (visitor_id)
    left join logins l on l.visitor_id = p.visitor_id and l.run_at = p.run_at and l.part = p.part
    group by p.visitor_id, p.run_at, p.part
)
select
    e.event_id, p.event_number, v.session_id, v.customer_id, v.customer_rule, v.is_first_visit, e.occurred_at,
    e.event_name, e.page_path, e.device, e.country, e.order_id, e.value::decimal(18, 2) as value, e.currency,
    e.engagement_ms, e.session_engaged,
    {source: e.source, medium: e.medium, campaign: e.campaign,
        host: nullif(split_part(coalesce(e.referrer, ''), '/', 3), ''), click_id: e.click_id} as traffic
from parts p
join visits v on v.visitor_id = p.visitor_id and v.run_at = p.run_at and v.part = p.part
join web_events e on e.event_id = p.event_id
where coalesce(e.consent, true) and not exists (
    from refusals r where r.customer_id = v.customer_id and e.occurred_at >= r.since and e.occurred_at < r.until);

-- Google's default channel groups, once for every combination of tags, referring host and click id
create temp table channels as
with traffics as (
    select distinct traffic from activity
    where traffic <> {source: null, medium: null, campaign: null, host: null, click_id: null}
),
cleaned as (
    select
        traffic, nullif(trim(traffic.campaign), '') as campaign, lower(trim(traffic.source)) as source,
        lower(trim(traffic.medium)) as medium, traffic.click_id as click_id,
        regexp_replace(regexp_extract(lower(traffic.host), '^[^:?]*'), '^www\.', '') as host
    from traffics
),
known as (
    select
        *, source not in ('(not set)', '(not provided)', 'null', 'undefined') as has_source,
        medium not in ('(not set)', '(not provided)', 'null', 'undefined') as has_medium,
        lower(campaign) not in ('(not set)', '(not provided)', 'null', 'undefined') as has_campaign
    from cleaned
),
engines as (
    select source from read_csv(getvariable('categories'), header = true)
    where source_category = 'SOURCE_CATEGORY_SEARCH'
),
hosts as (
    -- google.co.uk is listed as google
    select host, min_by(candidate, place) filter (where e.source is not null) as engine
    from (
        select host, unnest([host] || list_reverse(split(host, '.')[:-2])) as candidate,
            generate_subscripts([host] || list_reverse(split(host, '.')[:-2]), 1) as place
        from (select distinct host from known where host is not null)
    ) c
    left join engines e on e.source = c.candidate
    group by host
),
decided as (
    select
        k.traffic,
        case
            when click_id is not null and not coalesce(has_medium, false) then 'click'
            when source = '(direct)' and (medium = '(none)' or not coalesce(has_medium, false)) then 'direct'
            when has_source or has_medium or has_campaign then 'tagged'
            when k.host is null or k.host in ('nordlicht-outdoor.example', 'shop.nordlicht-outdoor.example')
                or k.host like '%.nordlicht-outdoor.example'
                or regexp_matches(k.host, '(^|\.)(paypal\.com|checkout\.stripe\.com|hooks\.stripe\.com|klarna\.com|adyen\.com|mollie\.com|sofort\.com|amazonpay\.com)$')
            then 'own'
            when k.host in ('chatgpt.com', 'chat.openai.com', 'gemini.google.com', 'claude.ai', 'copilot.microsoft.com')
            then 'assistant'
            when h.engine is not null then 'engine'
            else 'referral'
        end as kind,
        k.source, k.medium, k.campaign, k.click_id, k.host, h.engine
    from known k
    left join hosts h using (host)
),
named as (
    select
        traffic, kind not in ('direct', 'own') as is_informative,
        case kind when 'click' then if(click_id = 'msclkid', 'bing', 'google') when 'engine' then regexp_replace(engine, '\.com$', '')
            when 'assistant' then host when 'referral' then host when 'own' then null else source end as source,
        case kind when 'click' then 'cpc' when 'engine' then 'organic' when 'assistant' then 'ai-assistant'
            when 'referral' then 'referral' when 'own' then null else medium end as medium,
        case when kind in ('click', 'direct', 'tagged') then campaign end as campaign
    from decided
),
judged as (
    select
        n.*, nullif(lower(trim(n.campaign)), '') as c, coalesce(nullif(n.source, ''), '') as s,
        coalesce(nullif(n.medium, ''), '') as m,
        replace(lower(g.source_category), 'source_category_', '') as category,
        regexp_full_match(coalesce(n.medium, ''), '.*cp.*|ppc|retargeting|paid.*') as is_paid
    from named n
    left join read_csv(getvariable('categories'), header = true) g on g.source = n.source
)
select
    traffic, is_informative, source, medium, campaign,
    case
        when (s = '(direct)' and m in ('(none)', '(not set)')) or (s = '' and m = '') then 'Direct'
        when c like '%cross-network%' then 'Cross-network'
        when is_paid and (category = 'shopping' or regexp_full_match(c, '.*(([^a-df-z]|^)shop|shopping).*'))
        then 'Paid Shopping'
        when is_paid and category = 'search' then 'Paid Search'
        when is_paid and category = 'social' then 'Paid Social'
        when is_paid and category = 'video' then 'Paid Video'
        when m in ('display', 'banner', 'expandable', 'interstitial', 'cpm') then 'Display'
        when is_paid then 'Paid Other'
        when category = 'shopping' or regexp_full_match(c, '.*(([^a-df-z]|^)shop|shopping).*') then 'Organic Shopping'
        when category = 'social'
            or m in ('social', 'social-network', 'social-media', 'sm', 'social network', 'social media')
        then 'Organic Social'
        when category = 'video' or m like '%video%' then 'Organic Video'
        when category = 'search' or m = 'organic' then 'Organic Search'
        when m = 'ai-assistant' then 'AI Assistant'
        when m in ('referral', 'app', 'link') then 'Referral'
        when s in ('email', 'e-mail', 'e_mail', 'e mail') or m in ('email', 'e-mail', 'e_mail', 'e mail') then 'Email'
        when m = 'affiliate' then 'Affiliates'
        when m = 'audio' then 'Audio'
        when s = 'sms' or m = 'sms' then 'SMS'
        when m like '%push' or m like '%mobile%' or m like '%notification%' or s = 'firebase' then 'Mobile Push'
        else 'Unassigned'
    end as channel
from judged;

create table sessions as
with visits as (
    select
        a.session_id, any_value(a.customer_id) as customer_id, any_value(a.customer_rule) as customer_rule,
        any_value(a.is_first_visit) as is_new_visitor, min(a.occurred_at) as started_at, max(a.occurred_at) as ended_at,
        arg_min(a.device, event_number) filter (a.device is not null) as device,
        arg_min(a.country, event_number) filter (a.country is not null) as country,
        arg_min(page_path, event_number) filter (page_path is not null) as landing_page,
        arg_max(page_path, event_number) filter (page_path is not null) as exit_page,
        arg_min(a.traffic, event_number) filter (c.is_informative) as traffic,
        count(*) as events, count_if(event_name = 'page_view') as page_views,
        count_if(event_name = 'view_item') as product_views, count_if(event_name = 'view_search_results') as searches,
        count_if(event_name = 'add_to_cart') as carts, count_if(event_name = 'begin_checkout') as checkouts,
        count(distinct a.order_id) filter (event_name = 'purchase' and t.order_id is null) as orders,
        arg_min(a.order_id, event_number)
            filter (event_name = 'purchase' and a.order_id is not null and t.order_id is null) as order_id,
        coalesce(sum(engagement_ms), 0) / 1000.0 as engagement_seconds,
        coalesce(bool_or(session_engaged), false) as was_engaged
    from activity a
    left join channels c on c.traffic = a.traffic
    left join (select order_id from crm_orders where is_test) t on t.order_id = a.order_id
    group by a.session_id
)
select
    v.session_id, v.customer_id, v.customer_rule, v.is_new_visitor, v.started_at, v.ended_at,
    business_date(v.started_at) as business_date,
    coalesce(c.channel, 'Direct') as channel, c.source, c.medium, c.campaign, v.device, v.country, v.landing_page,
    v.exit_page, v.events, v.page_views, v.product_views, v.searches, v.carts, v.checkouts, v.orders, v.order_id,
    date_diff('millisecond', started_at, ended_at) / 1000.0 as duration_seconds, v.engagement_seconds,
    was_engaged or engagement_seconds >= 10 or page_views >= 2 or orders > 0 as engaged,
    customer_rule = 'bot' or page_views > 400
        or (page_views >= 30 and engagement_seconds < 1 and exists (from activity where engagement_ms > 0))
        or events > 120 * greatest(1, date_diff('second', started_at, ended_at) / 60.0) as is_bot
from visits v
left join channels c on c.traffic = v.traffic;
