-- What became of every survey answer's version in the event log.
select
    s._dt as day,
    case
        when c.submission_id is null then 'superseded'
        when s.survey_type not in ('NPS', 'CSAT', 'CES') then 'no_touchpoint'
        when l.record_key is null and g.record_key is null then 'no_customer'
        else 'used'
    end as reason,
    count(*) as records,
    cast(null as decimal(18, 4)) as money
from validated.surveys s
left join validated.surveys_current c on c._source_file = s._source_file and c._source_row = s._source_row
left join customers.identity_links l on l.kind = 'contact' and l.record_key = concat('contact:', s.contact_id)
left join customers.identity_links g on g.kind = 'survey' and g.record_key = concat('survey:', s.submission_id)
group by 1, 2
