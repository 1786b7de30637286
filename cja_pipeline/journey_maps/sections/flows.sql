-- Purchase attempts by where they began and how far they came: first touch, looked or searched, cart, outcome.
-- An attempt that is still running has the outcome 'open' and no place in the drawing yet.
with milestones as (
    select
        t.journey_id,
        min_by(t.item, t.position) filter (where t.in_path) as first_touch,
        min(case when t.touchpoint_type = 'product_view' then t.position end) as looked_at,
        min(case when t.touchpoint_type = 'search' then t.position end) as searched_at,
        max(case when t.touchpoint_type in ('add_to_cart', 'begin_checkout', 'add_payment_info') then 1 else 0 end)
            as had_cart,
        max(case when t.touchpoint_type in ('begin_checkout', 'add_payment_info') then 1 else 0 end) as checked_out,
        max(case when t.touchpoint_type = 'add_payment_info' then 1 else 0 end) as paid
    from kpis.journey_touches t
    group by t.journey_id
),
placed as (
    select
        g.segment,
        coalesce(m.first_touch, 'no_known_touch') as first_touch,
        case
            when m.looked_at is null and m.searched_at is null and m.had_cart = 0 then
                case j.outcome when 'purchase' then 'straight' else 'left_at_once' end
            when m.looked_at is null and m.searched_at is null then 'product_view'
            when m.looked_at is null or m.searched_at < m.looked_at then 'search'
            else 'product_view'
        end as second,
        case
            when m.had_cart = 1 then 'add_to_cart'
            when j.outcome = 'purchase' then 'straight'
            else 'left_looking'
        end as third,
        case
            when j.outcome = 'open' then 'open'
            when j.outcome = 'purchase' then 'bought'
            when m.paid = 1 then 'left_at_payment'
            when m.checked_out = 1 then 'left_at_checkout'
            else 'left_at_cart'
        end as outcome
    from kpis.journeys j
    inner join milestones m on m.journey_id = j.journey_id
    inner join config.segments g
        on (g.device is null or g.device = j.main_device)
        and (g.bought_before is null or g.bought_before = j.bought_before)
)
select
    segment,
    first_touch,
    second,
    third,
    outcome,
    count(*) as attempts
from placed
group by segment, first_touch, second, third, outcome
order by segment, attempts desc, first_touch, second, third, outcome
