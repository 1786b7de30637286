-- One row per visit. The channel is that of the visit's first informative hit: tagged, with a click id, or
-- from another site; a visit without one is direct. Earlier visits lend no channel.
with totals as (
    select
        a.session_id,
        min(a.customer_id) as customer_id,
        min(a.visitor_rule) as customer_rule,
        bool_or(a.is_first_visit) as is_new_visitor,
        min(a.occurred_at) as started_at,
        max(a.occurred_at) as ended_at,
        min_by(a.device, a.place) filter (where a.device is not null) as device,
        min_by(a.country, a.place) filter (where a.country is not null) as country,
        min_by(a.page_path, a.place) filter (where a.page_path is not null) as landing_page,
        max_by(a.page_path, a.place) filter (where a.page_path is not null) as exit_page,
        min_by(a.traffic_key, a.place) filter (where m.is_informative) as traffic_key,
        count(*) as events,
        count(*) filter (where a.event_name = 'page_view') as page_views,
        count(*) filter (where a.event_name = 'view_item') as product_views,
        count(*) filter (where a.event_name = 'view_search_results') as searches,
        count(*) filter (where a.event_name = 'add_to_cart') as carts,
        count(*) filter (where a.event_name = 'begin_checkout') as checkouts,
        count(*) filter (where a.error_message is not null) as errors,
        -- a test order is no order; one that was canceled later is
        count(distinct case when a.event_name = 'purchase' and x.order_id is null then a.order_id end) as orders,
        min_by(a.order_id, a.place)
            filter (where a.event_name = 'purchase' and a.order_id is not null and x.order_id is null) as order_id,
        coalesce(sum(a.engagement_ms), 0) / 1000.0 as engagement_seconds,
        coalesce(bool_or(a.session_engaged), false) as was_engaged
    -- first and last by time; events of the same moment by id
    from (
        select *, concat(date_diff('microsecond', timestamp '1970-01-01', occurred_at), '|', event_id) as place
        from customers.web_activity
    ) a
    left join customers.channel_map m on m.traffic_key = a.traffic_key
    left join customers.orders_excluded x on x.order_id = a.order_id and x.reason = 'test'
    group by a.session_id
),
-- the same page three times within a minute: somebody waits for something that does not come
reloads as (
    select session_id, count(*) as reloads
    from (
        select
            a.session_id,
            a.occurred_at,
            lag(a.occurred_at, 2) over (partition by a.session_id, a.page_path order by a.occurred_at, a.event_id) as two_before
        from customers.web_activity a
        where a.event_name = 'page_view'
    ) views
    where occurred_at <= two_before + interval '60' second
    group by session_id
),
-- shops that do not measure time in the foreground cannot tell machines by its absence
measured as (
    select coalesce(max(engagement_ms), 0) > 0 as has_engagement
    from validated.web_events
),
judged as (
    select
        t.*,
        cast(date_diff('millisecond', t.started_at, t.ended_at) as double) / 1000 as duration_seconds,
        t.was_engaged
            or t.engagement_seconds >= p.engaged_seconds
            or t.page_views >= p.engaged_page_views
            or t.orders > 0 as engaged,
        t.customer_rule = 'bot'
            or t.page_views > p.bot_page_views
            or (m.has_engagement and t.page_views >= p.bot_silent_page_views and t.engagement_seconds < 1)
            or t.events > p.bot_events_per_minute * greatest(
                1.0, cast(date_diff('second', t.started_at, t.ended_at) as double) / 60
            ) as is_bot
    from totals t
    cross join config.params p
    cross join measured m
)
select
    j.session_id,
    j.customer_id,
    j.started_at,
    j.ended_at,
    case when j.started_at < d.boundary_at then d.date_before else d.date_after end as business_date,
    coalesce(m.channel, direct.channel) as channel,
    m.source,
    m.medium,
    m.campaign,
    j.device,
    j.country,
    j.landing_page,
    j.exit_page,
    j.page_views,
    j.events,
    j.product_views,
    j.searches,
    j.carts,
    j.checkouts,
    j.errors,
    coalesce(r.reloads, 0) as reloads,
    j.orders,
    j.order_id,
    j.duration_seconds,
    j.engagement_seconds,
    j.engaged,
    not j.engaged as is_bounce,
    j.is_new_visitor,
    j.is_bot,
    j.customer_rule
from judged j
join config.business_days d on d.utc_date = cast(j.started_at as date)
left join reloads r on r.session_id = j.session_id
left join customers.channel_map m on m.traffic_key = j.traffic_key
left join customers.channel_map direct on direct.traffic_key = ''
