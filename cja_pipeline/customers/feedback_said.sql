-- Tickets, survey answers and social comments with their customers, before anyone reads the words.
select
    concat('ticket:', t.ticket_id) as feedback_id,
    l.customer_id,
    t.created_at as occurred_at,
    'crm' as source,
    'ticket' as kind,
    cast(null as double) as score,
    case
        when t.body is null or t.body = '' then t.subject
        when t.subject is null or t.subject = '' or starts_with(t.body, t.subject) then t.body
        else concat(t.subject, '. ', t.body)
    end as text,
    t.language,
    cast(null as varchar) as order_id,
    case when t.closed_at is null then 'open' else 'closed' end as status,
    t.closed_at
from validated.tickets_current t
left join customers.identity_links l on l.kind = 'contact' and l.record_key = concat('contact:', t.contact_id)
where t.created_at is not null and not coalesce(t.archived, false)
union all
select
    concat('survey:', s.submission_id),
    coalesce(l.customer_id, g.customer_id),
    s.submitted_at,
    'crm',
    lower(s.survey_type),
    cast(s.score as double),
    s.comment,
    s.language,
    s.order_id,
    null,
    null
from validated.surveys_current s
left join customers.identity_links l on l.kind = 'contact' and l.record_key = concat('contact:', s.contact_id)
left join customers.identity_links g on g.kind = 'survey' and g.record_key = concat('survey:', s.submission_id)
where s.submitted_at is not null and lower(s.survey_type) in ('nps', 'csat', 'ces')
union all
select
    concat('comment:', c.comment_id),
    l.customer_id,
    c.occurred_at,
    'social',
    'comment',
    null,
    c.message,
    null,
    null,
    null,
    null
from validated.social_comments c
left join customers.identity_links l on l.kind = 'author' and l.record_key = concat('author:', c.author_id)
where c.occurred_at is not null
