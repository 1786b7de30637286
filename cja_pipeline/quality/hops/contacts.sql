-- What became of every contact version among the customers.
select
    t._dt as day,
    case when c.contact_id is null then 'superseded' else 'used' end as reason,
    count(*) as records,
    cast(null as decimal(18, 4)) as money
from validated.contacts t
left join validated.contacts_current c on c._source_file = t._source_file and c._source_row = t._source_row
group by 1, 2
