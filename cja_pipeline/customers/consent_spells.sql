-- What each record of a customer says about consent, from when until when. The CRM states consent per contact and
-- keeps every version; leaving a mailing list ends consent to marketing. What a device allows is in its own events.
with stated as (
    select
        l.customer_id,
        l.record_key,
        'analytics' as purpose,
        c.consent_analytics as granted,
        c.updated_at,
        c.created_at
    from validated.contacts c
    join customers.identity_links l on l.kind = 'contact' and l.record_key = concat('contact:', c.contact_id)
    where c.consent_analytics is not null
    union all
    select
        l.customer_id,
        l.record_key,
        'marketing' as purpose,
        case when coalesce(c.email_opt_out, false) then false else c.consent_marketing end as granted,
        c.updated_at,
        c.created_at
    from validated.contacts c
    join customers.identity_links l on l.kind = 'contact' and l.record_key = concat('contact:', c.contact_id)
    where c.consent_marketing is not null or coalesce(c.email_opt_out, false)
    union all
    select
        l.customer_id,
        l.record_key,
        'marketing' as purpose,
        false as granted,
        e.occurred_at as updated_at,
        e.occurred_at as created_at
    from validated.email_events e
    join customers.identity_links l on l.kind = 'profile' and l.record_key = concat('profile:', e.profile_id)
    where e.event_type in ('unsubscribed', 'spam')
),
numbered as (
    select
        s.customer_id,
        s.record_key,
        s.purpose,
        s.granted,
        s.created_at,
        s.updated_at,
        lag(s.granted) over (
            partition by s.record_key, s.purpose order by s.updated_at, case when s.granted then 0 else 1 end
        ) as before_it,
        row_number() over (
            partition by s.record_key, s.purpose order by s.updated_at, case when s.granted then 0 else 1 end
        ) as place
    from stated s
),
-- the first version known speaks for the time since the record was made
changes as (
    select
        n.customer_id,
        n.record_key,
        n.purpose,
        n.granted,
        case when n.place = 1 then coalesce(n.created_at, n.updated_at) else n.updated_at end as from_at
    from numbered n
    where n.place = 1 or n.granted <> n.before_it
)
select
    c.customer_id,
    c.record_key,
    c.purpose,
    c.granted,
    c.from_at,
    coalesce(
        lead(c.from_at) over (partition by c.record_key, c.purpose order by c.from_at),
        cast('9999-12-31 00:00:00' as timestamp)
    ) as until_at
from changes c
