-- The event log -> funnel, transitions, paths and a dozen KPIs by day. A funnel is counted for everybody, for what
-- happened before or with the first order (new), after it (returning), and for those who mostly use one device.
create temp table buyers as
select customer_id, min(ordered_at) as first_order_at from orders group by customer_id;

create temp table main_devices as
select customer_id, device from sessions
where not is_bot and device is not null
group by customer_id, device
qualify row_number() over (partition by customer_id order by count(*) desc, device) = 1;

create temp table attempts as
with marks as (
    select touchpoint_id as touch_id, customer_id, occurred_at, false as is_order, touchpoint_type,
        if(touchpoint_type = 'visit', channel, touchpoint_type) as item, null::varchar as order_id,
        null::decimal(18, 2) as value
    from touchpoints
    where touchpoint_type in
        ('visit', 'product_view', 'search', 'add_to_cart', 'begin_checkout', 'add_payment_info', 'ticket')
    union all
    select 'order:' || order_id, customer_id, ordered_at, true, 'purchase', 'purchase', order_id, net_revenue
    from orders
),
flow as (
    select *, lag(occurred_at) over customer as before_at, lag(is_order) over customer as after_order
    from marks
    window customer as (partition by customer_id order by occurred_at, is_order, touch_id)
)
select
    f.*, coalesce(f.occurred_at > b.first_order_at, false) as bought_before, d.device as main_device,
    count_if(coalesce(after_order or date_diff('second', before_at, occurred_at) > 30 * 86400, true)) over (
        partition by f.customer_id order by occurred_at, is_order, touch_id) as attempt
from flow f
left join buyers b using (customer_id)
left join main_devices d using (customer_id);

-- one row per mark and group it is counted in
create temp view groups_of as
select 'all' as segment, * from attempts
union all select case when bought_before then 'returning' else 'new' end, * from attempts
union all select main_device, * from attempts where main_device in ('mobile', 'desktop');

create temp table steps as
select
    segment, customer_id, epoch_us(occurred_at) as ts, list_position(
        ['visit', 'product_view', 'add_to_cart', 'begin_checkout', 'add_payment_info', 'purchase'], touchpoint_type)
        as step
from groups_of
where touchpoint_type in ('visit', 'product_view', 'add_to_cart', 'begin_checkout', 'add_payment_info', 'purchase');

-- the latest start from which a chain has come so far leaves the most time for what comes
create temp table chains as
with chain_1 as (select segment, customer_id, step, ts, ts as since from steps where step = 1),
chain_2 as (
    select segment, customer_id, s.step, s.ts, c.since
    from steps s asof join chain_1 c using (segment, customer_id, ts)
    where s.step = 2 and s.ts - c.since <= 2592000000000
),
chain_3 as (
    select segment, customer_id, s.step, s.ts, c.since
    from steps s asof join chain_2 c using (segment, customer_id, ts)
    where s.step = 3 and s.ts - c.since <= 2592000000000
),
chain_4 as (
    select segment, customer_id, s.step, s.ts, c.since
    from steps s asof join chain_3 c using (segment, customer_id, ts)
    where s.step = 4 and s.ts - c.since <= 2592000000000
),
chain_5 as (
    select segment, customer_id, s.step, s.ts, c.since
    from steps s asof join chain_4 c using (segment, customer_id, ts)
    where s.step = 5 and s.ts - c.since <= 2592000000000
),
chain_6 as (
    select segment, customer_id, s.step, s.ts, c.since
    from steps s asof join chain_5 c using (segment, customer_id, ts)
    where s.step = 6 and s.ts - c.since <= 2592000000000
)
select distinct segment, customer_id, step from chain_1
union all select distinct segment, customer_id, step from chain_2
union all select distinct segment, customer_id, step from chain_3
union all select distinct segment, customer_id, step from chain_4
union all select distinct segment, customer_id, step from chain_5
union all select distinct segment, customer_id, step from chain_6;

create temp table first_entries as
with recursive chain as (
    select segment, customer_id, 1 as step, min(ts) as ts, min(ts) as since from steps where step = 1 group by all
    union all
    select s.segment, s.customer_id, s.step::integer, min(s.ts), c.since
    from chain c
    join steps s on s.segment = c.segment and s.customer_id = c.customer_id and s.step = c.step + 1
        and s.ts >= c.ts and s.ts - c.since <= 2592000000000
    group by s.segment, s.customer_id, s.step, c.since
)
select segment, customer_id, step from chain;

create table funnel as
with stages as (
    select customer_id, stage, coalesce(entered_at > first_order_at, false) as bought_before
    from stage_spells left join buyers using (customer_id)
),
reached as (
    select 'best_chain' as mode, 30 as window_days, * from chains
    union all select 'first_entry', 30, * from first_entries
    union all select distinct 'any', 0, segment, customer_id, step from steps
    union all
    select distinct 'stages', 0, segment, customer_id,
        list_position(['awareness', 'consideration', 'purchase', 'retention', 'advocacy'], stage)
    from (
        select 'all' as segment, * from stages
        union all select case when bought_before then 'returning' else 'new' end, * from stages
        union all select device, s.* from stages s join main_devices using (customer_id)
            where device in ('mobile', 'desktop')
    )
),
counted as (
    select r.mode, r.window_days, r.segment, r.step, count(*) as customers, count(p.customer_id) as both_steps
    from reached r
    left join reached p on p.mode = r.mode and p.segment = r.segment and p.customer_id = r.customer_id
        and p.step = r.step - 1
    group by all
),
cells as (
    select * from unnest(['all', 'new', 'returning', 'mobile', 'desktop']) as s(segment)
    cross join (values ('best_chain', 30, 6), ('first_entry', 30, 6), ('any', 0, 6), ('stages', 0, 5))
        as m(mode, window_days, steps)
    cross join range(1, 7) as n(step)
    where step <= steps
)
select
    segment, mode, window_days, step, coalesce(customers, 0) as customers, lag(coalesce(customers, 0)) over ladder
        as previous,
    coalesce(both_steps, 0) / nullif(lag(coalesce(customers, 0)) over ladder, 0) as rate
from cells
left join counted using (segment, mode, window_days, step)
window ladder as (partition by segment, mode order by step);

create temp table journeys as
with places as (
    select customer_id, attempt, item, row_number() over (
            partition by customer_id, attempt order by min((occurred_at, touch_id))) as place
    from attempts
    where not is_order
    group by customer_id, attempt, item
),
paths as (
    select customer_id, attempt, string_agg(item, ' > ' order by place) filter (place <= 9)
        || if(max(place) > 9, ' > …', '') as path
    from places
    group by customer_id, attempt
),
ended as (
    select
        customer_id, attempt, max(occurred_at) as ended_at, bool_or(is_order) as is_bought, sum(value) as value,
        bool_and(bought_before) as bought_before, any_value(main_device) as main_device
    from attempts
    group by customer_id, attempt
)
select
    e.*, case when is_bought then 'purchase'
        when date_diff('second', ended_at, getvariable('observed_until')) > 30 * 86400 then 'exit' else 'open' end
        as outcome,
    coalesce(path, '(no known touch)') as path
from ended e
left join paths using (customer_id, attempt);

create table paths as
with tagged as (
    select 'all' as segment, * from journeys
    union all select case when bought_before then 'returning' else 'new' end, * from journeys
    union all select main_device, * from journeys where main_device in ('mobile', 'desktop')
),
counted as (
    select segment, outcome, path, count(*) as journeys, count(distinct customer_id) as customers from tagged group by all
),
ranked as (
    select *, customers >= 5 and row_number() over (
        partition by segment, outcome order by journeys desc, path) <= 50 as shown
    from counted
)
select segment, outcome, if(shown, path, '(other paths)') as path, count(*) as journeys,
    count(distinct customer_id) as customers, sum(coalesce(value, 0)) as value
from tagged join ranked using (segment, outcome, path)
group by all;

create table transitions as
with stage_moves as (
    select customer_id, stage as from_stage, lead(stage) over spell as to_stage, lag(stage) over spell as before_it,
        coalesce(entered_at > first_order_at, false) as bought_before
    from stage_spells left join buyers using (customer_id)
    window spell as (partition by customer_id order by spell)
),
seen as (select customer_id, max(occurred_at) as last_at from touchpoints group by customer_id),
changes as (
    select customer_id, attempt, item, occurred_at, touch_id,
        lag(item) over (partition by customer_id, attempt order by occurred_at, touch_id) as before_it
    from attempts
    where not is_order
),
steps_taken as (
    select *, lead(item) over (partition by customer_id, attempt order by occurred_at, touch_id) as after_it
    from changes
    where before_it is distinct from item
),
moves as (
    select 'stage' as grain, customer_id, from_stage, coalesce(to_stage,
            if(date_diff('second', last_at, getvariable('observed_until')) > 30 * 86400, 'exit', 'open')) as to_stage,
        bought_before
    from stage_moves join seen using (customer_id)
    union all
    select 'stage', customer_id, 'start', from_stage, bought_before from stage_moves where before_it is null
    union all
    select 'touchpoint', s.customer_id, s.item, coalesce(s.after_it, j.outcome), j.bought_before
    from steps_taken s join journeys j using (customer_id, attempt)
    union all
    select 'touchpoint', s.customer_id, 'start', s.item, j.bought_before
    from steps_taken s join journeys j using (customer_id, attempt)
    where s.before_it is null
    union all
    select 'touchpoint', customer_id, 'start', outcome, bought_before from journeys where path = '(no known touch)'
),
tagged as (
    select 'all' as segment, * from moves
    union all select case when bought_before then 'returning' else 'new' end, * from moves
    union all select device, m.* from moves m join main_devices using (customer_id) where device in ('mobile', 'desktop')
),
counted as (
    select segment, grain, from_stage, to_stage, count(distinct customer_id) as customers, count(*) as n
    from tagged group by all
)
select *, n / sum(n) over (partition by segment, grain, from_stage) as rate from counted;

create table kpi_values as
with days as (
    select unnest(generate_series(min(business_date), business_date(getvariable('observed_until')) - 1, interval 1 day))
        ::date as business_date
    from (select business_date from sessions union all select business_date from orders)
),
visits as (
    select
        business_date, count(*) as sessions, count(distinct customer_id) as visitors, count_if(not engaged) as bounced,
        sum(duration_seconds) as seconds, sum(page_views) as pages, count_if(product_views > 0) as viewed,
        count_if(carts > 0) as filled, count_if(order_id is not null) as ordered
    from sessions where not is_bot group by business_date
),
sold as (
    select
        business_date, count(*) as orders, sum(net_revenue) as net, sum(gross_revenue) as gross,
        count(net_revenue) as priced, count(distinct customer_id) as buyers,
        count(distinct customer_id) filter (is_first_order) as first_buyers
    from orders group by business_date
)
select
    d.business_date as period_start, k.kpi_id, coalesce(k.top, 0)::double as numerator,
    case when k.is_rate then coalesce(k.bottom, 0)::double end as denominator
from days d
left join visits using (business_date)
left join sold using (business_date)
cross join lateral (values
    ('sessions', sessions, null, false), ('visitors', visitors, null, false), ('bounce_rate', bounced, sessions, true),
    ('session_duration', seconds, sessions, true), ('pages_per_session', pages, sessions, true),
    ('product_view_rate', viewed, sessions, true), ('add_to_cart_rate', filled, sessions, true),
    ('conversion_rate', ordered, sessions, true), ('orders', orders, null, false), ('net_revenue', net, null, false),
    ('gross_revenue', gross, null, false), ('average_order_value', net, priced, true), ('buyers', buyers, null, false),
    ('new_customers', first_buyers, null, false)) as k(kpi_id, top, bottom, is_rate);
