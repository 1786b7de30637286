-- Who is known to whom: known customers by the departments and systems that saw them, pairs of systems, visits.
with known as (
    select c.customer_id, c.departments, c.sources, count(*) over () as everyone
    from customers.customers c
    where c.is_known and not c.is_bot
),
seen as (
    select distinct l.customer_id, l.source
    from customers.identity_links l
    join known k on k.customer_id = l.customer_id
),
systems as (
    select source, count(*) as customers from seen group by source
),
both_know as (
    select a.source as item, b.source as other_item, count(*) as customers
    from seen a
    join seen b on b.customer_id = a.customer_id and b.source <> a.source
    group by a.source, b.source
),
visits as (
    select c.is_known, count(*) as part
    from customers.sessions s
    join customers.customers c on c.customer_id = s.customer_id
    where not s.is_bot
    group by c.is_known
)
select
    'departments' as report,
    case when departments >= 3 then '3+' else cast(departments as varchar) end as item,
    '' as other_item,
    max(everyone) as cases,
    count(*) as part,
    cast(count(*) as double) / max(everyone) as share
from known
group by case when departments >= 3 then '3+' else cast(departments as varchar) end
union all
select 'sources', sources, '', max(everyone), count(*), cast(count(*) as double) / max(everyone)
from known
group by sources
union all
select
    'pairs',
    a.source,
    b.source,
    a.customers,
    a.customers - coalesce(m.customers, 0),
    cast(a.customers - coalesce(m.customers, 0) as double) / a.customers
from systems a
join systems b on b.source <> a.source
left join both_know m on m.item = a.source and m.other_item = b.source
union all
select
    'sessions',
    case when is_known then 'known' else 'anonymous' end,
    '',
    sum(part) over (),
    part,
    cast(part as double) / sum(part) over ()
from visits
