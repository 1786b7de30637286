-- What became of every order version among the orders that count. One order number may have several CRM records;
-- one that counts is preferred to one that does not.
with ranked as (
    select
        crm_order_id,
        row_number() over (
            partition by order_id
            order by
                case when is_test or is_canceled or archived then 1 else 0 end, updated_at desc, crm_order_id
        ) as place
    from validated.crm_orders_current
),
traced as (
    select distinct order_id from customers.web_activity where event_name = 'purchase' and order_id is not null
)
select
    o._dt as day,
    case
        when c.crm_order_id is null then 'superseded'
        when r.place > 1 then 'same_order_number'
        when o.is_test then 'test'
        when o.is_canceled then 'canceled'
        when o.archived then 'deleted'
        when l.record_key is null and g.record_key is null and w.order_id is null then 'no_customer'
        else 'used'
    end as reason,
    count(*) as records,
    sum(o.net_revenue) as money
from validated.crm_orders o
left join validated.crm_orders_current c on c._source_file = o._source_file and c._source_row = o._source_row
left join ranked r on r.crm_order_id = c.crm_order_id
left join customers.identity_links l on l.kind = 'contact' and l.record_key = concat('contact:', o.contact_id)
left join customers.identity_links g on g.kind = 'order' and g.record_key = concat('order:', o.crm_order_id)
left join traced w on w.order_id = o.order_id
group by 1, 2
