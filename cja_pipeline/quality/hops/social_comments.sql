-- What became of every comment in the event log.
select
    c._dt as day,
    case when l.record_key is null then 'no_customer' else 'used' end as reason,
    count(*) as records,
    cast(null as decimal(18, 4)) as money
from validated.social_comments c
left join customers.identity_links l on l.kind = 'author' and l.record_key = concat('author:', c.author_id)
group by 1, 2
