-- From web purchases to the orders that count: each step by its own rule, so that what is left unexplained tells
-- of a fault. Money is what the customer paid, in the shop's currency at the order's own rate; without a rate it
-- is zero on every side. Columns: position, step, kind (total, step), orders, money.
with params as (
    select currency from config.params
),
crm as (
    select
        o.order_id,
        o.crm_order_id,
        o.contact_id,
        coalesce(o.sales_channel, 'web') as sales_channel,
        case
            when o.is_test then 'test' when o.is_canceled then 'canceled' when o.archived then 'deleted'
        end as left_out,
        o.currency,
        case when o.currency = p.currency then 1.0 when o.exchange_rate > 0 then o.exchange_rate end as rate,
        o.gross_revenue,
        o.discount,
        o.refund,
        row_number() over (
            partition by o.order_id
            order by
                case when o.is_test or o.is_canceled or o.archived then 1 else 0 end,
                o.updated_at desc,
                o.crm_order_id
        ) as place
    from validated.crm_orders_current o
    cross join params p
),
booked as (
    select
        c.*,
        coalesce(
            cast(round(cast(c.gross_revenue as double) * c.rate, 2) as decimal(18, 2))
            - cast(round(cast(c.discount as double) * c.rate, 2) as decimal(18, 2)), 0
        ) as paid,
        coalesce(cast(round(cast(c.refund as double) * c.rate, 2) as decimal(18, 2)), 0) as paid_back
    from crm c
    where c.place = 1
),
purchases as (
    select
        e.order_id,
        a.event_id is not null as traced,
        coalesce(cast(round(
            cast(e.value as double) * case
                when e.currency = p.currency then 1.0 when e.currency = b.currency then b.rate
            end, 2
        ) as decimal(18, 2)), 0) as value,
        row_number() over (
            partition by e.order_id
            order by case when e.visitor_id is null then 1 else 0 end, e.occurred_at, e.event_id
        ) as place
    from validated.web_events e
    cross join params p
    left join booked b on b.order_id = e.order_id
    left join customers.web_activity a on a.event_id = e.event_id and a.event_name = 'purchase'
    where e.event_name = 'purchase'
),
web as (
    select order_id, traced, value from purchases where place = 1 and order_id is not null
),
both_sides as (
    select
        coalesce(b.order_id, w.order_id) as order_id,
        b.order_id is not null as in_crm,
        w.order_id is not null as in_web,
        b.sales_channel,
        b.left_out,
        coalesce(b.paid, 0) as paid,
        coalesce(b.paid_back, 0) as paid_back,
        coalesce(w.value, 0) as value,
        coalesce(w.traced, false) as traced,
        coalesce(w.traced, false) or l.record_key is not null or g.record_key is not null as has_customer
    from booked b
    full join web w on w.order_id = b.order_id
    left join customers.identity_links l
        on l.kind = 'contact' and l.record_key = concat('contact:', b.contact_id)
    left join customers.identity_links g
        on g.kind = 'order' and g.record_key = concat('order:', b.crm_order_id)
),
counted as (
    select count(*) as orders, coalesce(sum(net_revenue), 0) as money from customers.orders
)
select 1 as position, 'web_purchases' as step, 'total' as kind, count(*) as orders, sum(value) as money
from purchases
union all
select 2, 'without_number', 'step', -count(*), -sum(value) from purchases where order_id is null
union all
select 3, 'repeated', 'step', -count(*), -sum(value) from purchases where order_id is not null and place > 1
union all
select 4, 'not_in_crm', 'step', -count(*), -sum(value) from both_sides where in_web and not in_crm
union all
select 5, 'not_measured', 'step', count(*), sum(paid)
from both_sides where in_crm and not in_web and sales_channel = 'web'
union all
select 6, 'other_channels', 'step', count(*), sum(paid)
from both_sides where in_crm and not in_web and sales_channel <> 'web'
union all
select 7, 'amounts_differ', 'step', 0, sum(paid - value) from both_sides where in_crm and in_web
union all
select 8, 'crm_orders', 'total', count(*), sum(paid) from booked
union all
select 9, 'test', 'step', -count(*), -sum(paid) from both_sides where left_out = 'test'
union all
select 10, 'canceled', 'step', -count(*), -sum(paid) from both_sides where left_out = 'canceled'
union all
select 11, 'deleted', 'step', -count(*), -sum(paid) from both_sides where left_out = 'deleted'
union all
select 12, 'no_customer', 'step', -count(*), -sum(paid)
from both_sides where in_crm and left_out is null and not has_customer
union all
select 13, 'web_only', 'step', count(*), sum(value) from both_sides where in_web and not in_crm and traced
union all
select 14, 'refunds', 'step', 0, -sum(paid_back)
from both_sides where in_crm and left_out is null and has_customer
union all
select 15, 'customer_orders', 'total', orders, money from counted
