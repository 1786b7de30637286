-- What became of every ticket version in the event log.
select
    t._dt as day,
    case
        when c.ticket_id is null then 'superseded'
        when t.archived then 'deleted'
        when l.record_key is null then 'no_customer'
        else 'used'
    end as reason,
    count(*) as records,
    cast(null as decimal(18, 4)) as money
from validated.tickets t
left join validated.tickets_current c on c._source_file = t._source_file and c._source_row = t._source_row
left join customers.identity_links l on l.kind = 'contact' and l.record_key = concat('contact:', t.contact_id)
group by 1, 2
