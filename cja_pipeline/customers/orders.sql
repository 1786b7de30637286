-- Orders that count: the CRM's, and web purchases that have not reached the CRM. One row per order number,
-- whatever the number of CRM records or purchase events. Test, canceled and deleted orders are in
-- orders_excluded. Amounts are in the reporting currency at the order's own rate; without a rate they are null.
with crm_ranked as (
    select
        o.*,
        row_number() over (
            partition by o.order_id
            order by
                case when coalesce(o.is_test, false) or coalesce(o.is_canceled, false) or coalesce(o.archived, false)
                    then 1 else 0 end,
                o.updated_at desc,
                o.crm_order_id
        ) as place
    from validated.crm_orders_current o
    where o.order_id is not null
),
crm as (
    select
        o.order_id,
        coalesce(c.customer_id, g.customer_id) as customer_id,
        o.ordered_at,
        o.gross_revenue,
        o.discount,
        o.refund,
        o.currency as original_currency,
        o.exchange_rate,
        coalesce(o.sales_channel, 'web') as sales_channel,
        o.status,
        o.discount_code
    from crm_ranked o
    left join customers.identity_links c
        on c.kind = 'contact' and c.record_key = concat('contact:', o.contact_id)
    left join customers.identity_links g
        on g.kind = 'order' and g.record_key = concat('order:', o.crm_order_id)
    where o.place = 1
        and not coalesce(o.is_test, false)
        and not coalesce(o.is_canceled, false)
        and not coalesce(o.archived, false)
),
purchases as (
    select
        e.order_id,
        e.event_id,
        count(*) over (partition by e.order_id) as web_reports,
        -- the first event of a device that we may trace, for an order reported more than once
        row_number() over (
            partition by e.order_id
            order by case when e.visitor_id is null then 1 else 0 end, e.occurred_at, e.event_id
        ) as place
    from validated.web_events e
    where e.event_name = 'purchase' and e.order_id is not null
),
web as (
    select
        r.order_id,
        r.web_reports,
        a.session_id,
        a.customer_id,
        a.occurred_at,
        a.value,
        a.currency
    from purchases r
    left join customers.web_activity a on a.event_id = r.event_id
    where r.place = 1
),
web_only as (
    select w.*
    from web w
    left join crm_ranked o on o.order_id = w.order_id and o.place = 1
    where o.order_id is null and w.customer_id is not null
),
both_sides as (
    select
        c.order_id,
        coalesce(c.customer_id, w.customer_id) as customer_id,
        c.ordered_at,
        cast(c.gross_revenue as decimal(18, 4)) as gross,
        cast(coalesce(c.discount, 0) as decimal(18, 4)) as discount,
        cast(coalesce(c.refund, 0) as decimal(18, 4)) as refund,
        c.original_currency,
        cast(c.exchange_rate as double) as exchange_rate,
        c.sales_channel,
        c.status,
        c.discount_code,
        w.session_id,
        true as in_crm,
        w.order_id is not null as in_web,
        coalesce(w.web_reports, 0) as web_reports
    from crm c
    left join web w on w.order_id = c.order_id
    union all
    select
        order_id, customer_id, occurred_at, cast(value as decimal(18, 4)), cast(0 as decimal(18, 4)),
        cast(0 as decimal(18, 4)), currency, cast(null as double), 'web', null, null, session_id, false, true,
        web_reports
    from web_only
),
rated as (
    select
        b.*,
        p.currency as reporting_currency,
        case
            when b.original_currency = p.currency then 1.0
            -- XXX is the code for no currency at all
            when b.exchange_rate > 0 and b.original_currency <> 'XXX' then b.exchange_rate
        end as rate,
        case
            when b.gross is null then 'missing_amount'
            when b.original_currency is null or b.original_currency = 'XXX' then 'missing_currency'
            when b.original_currency = p.currency or b.exchange_rate > 0 then 'ok'
            else 'missing_exchange_rate'
        end as money_status
    from both_sides b
    cross join config.params p
    where b.customer_id is not null
),
converted as (
    select
        r.*,
        case when r.money_status = 'ok' then cast(round(cast(r.gross as double) * r.rate, 2) as decimal(18, 2)) end
            as gross_revenue,
        case when r.money_status = 'ok' then cast(round(cast(r.discount as double) * r.rate, 2) as decimal(18, 2)) end
            as discount_converted,
        case when r.money_status = 'ok' then cast(round(cast(r.refund as double) * r.rate, 2) as decimal(18, 2)) end
            as refund_converted
    from rated r
)
select
    c.order_id,
    c.customer_id,
    c.ordered_at,
    case when c.ordered_at < d.boundary_at then d.date_before else d.date_after end as business_date,
    c.gross_revenue,
    c.discount_converted as discount,
    c.refund_converted as refund,
    c.gross_revenue - c.discount_converted - c.refund_converted as net_revenue,
    c.reporting_currency as currency,
    row_number() over (partition by c.customer_id order by c.ordered_at, c.order_id) = 1 as is_first_order,
    row_number() over (partition by c.customer_id order by c.ordered_at, c.order_id) as order_number,
    c.sales_channel,
    c.session_id,
    c.status,
    c.discount_code,
    c.original_currency,
    c.rate as exchange_rate,
    c.money_status,
    c.in_crm,
    c.in_web,
    c.web_reports
from converted c
join config.business_days d on d.utc_date = cast(c.ordered_at as date)
