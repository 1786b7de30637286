-- Every record about a person, from every source, with the identifiers it carries. Logins follow separately:
-- they come from the evidence about devices.
select
    concat('contact:', contact_id) as record_key,
    'contact' as kind,
    'crm' as source,
    contact_id as crm_id,
    merged_contact_ids as merged_crm_ids,
    login_id,
    loyalty_id,
    email,
    cast(null as varchar) as email_sha256,
    phone,
    mobile,
    first_name,
    last_name,
    cast(birth_date as varchar) as birth_date,
    country,
    address,
    postcode,
    city,
    created_at as first_seen_at,
    updated_at as last_seen_at
from validated.contacts_current
where contact_id is not null
union all
select
    concat('profile:', profile_id), 'profile', 'email', null, null, login_id, null, email, email_sha256, phone,
    null, first_name, last_name, null, null, null, postcode, null, first_seen_at, last_seen_at
from customers.email_profiles
union all
-- an order adds what its contact does not say; an order without contact is a guest's
select
    concat('order:', o.crm_order_id), 'order', 'crm', o.contact_id, null, null, null, o.email, null, o.phone,
    null, null, null, null, null, null, null, null, o.ordered_at, o.ordered_at
from validated.crm_orders_current o
left join validated.contacts_current c on c.contact_id = o.contact_id
where not coalesce(o.is_test, false)
    and (
        c.contact_id is null
        or coalesce(o.email, '') not in ('', coalesce(c.email, ''))
        or coalesce(o.phone, '') not in ('', coalesce(c.phone, ''), coalesce(c.mobile, ''))
    )
union all
select
    concat('survey:', submission_id), 'survey', 'crm', null, null, null, null, email, null, null,
    null, null, null, null, null, null, null, null, submitted_at, submitted_at
from validated.surveys_current
where contact_id is null and email is not null
union all
select
    concat('author:', author_id), 'author', 'social', null, null, null, null, null, null, null,
    null, null, null, null, null, null, null, null, min(occurred_at), max(occurred_at)
from validated.social_comments
where author_id is not null
group by author_id
