-- Orders that do not count, and why: kept so that the books can be reconciled.
with ranked as (
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
)
select
    order_id,
    ordered_at,
    case
        when coalesce(is_test, false) then 'test'
        when coalesce(is_canceled, false) then 'canceled'
        else 'deleted'
    end as reason,
    sales_channel,
    net_revenue,
    currency as original_currency
from ranked
where place = 1
    and (coalesce(is_test, false) or coalesce(is_canceled, false) or coalesce(archived, false))
