-- Every raw identifier of every record of one customer (parameter: customer_id). Orders and answers of a contact that
-- are no records of their own in the identity graph stand under their own id.
with mine as (
    select record_key, kind, split_part(record_key, ':', 1) as prefix,
        substr(record_key, length(split_part(record_key, ':', 1)) + 2) as id
    from customers.identity_links
    where customer_id = $customer_id
),
contacts as (
    select c.*
    from validated.contacts c
    join mine m on m.prefix = 'contact' and m.id = c.contact_id
),
known as (
    select distinct contact_id from contacts
),
bought as (
    select o.*
    from validated.crm_orders o
    left join mine m on m.prefix = 'order' and m.id = o.crm_order_id
    where m.id is not null or o.contact_id in (select contact_id from known)
),
asked as (
    select t.ticket_id, t.contact_id from validated.tickets t where t.contact_id in (select contact_id from known)
),
answered as (
    select s.submission_id, s.contact_id, s.email
    from validated.surveys s
    left join mine m on m.prefix = 'survey' and m.id = s.submission_id
    where m.id is not null or s.contact_id in (select contact_id from known)
),
mails as (
    select e.*
    from validated.email_events e
    join mine m on m.prefix = 'profile' and m.id = e.profile_id
),
visited as (
    select e.visitor_id, e.login_id, e.order_id
    from validated.web_events e
    join mine m on m.prefix = 'visitor' and m.id = e.visitor_id
),
placed as (
    select order_id from customers.orders where customer_id = $customer_id
),
found as (
    select concat('contact:', contact_id) as record_key, 'crm_id' as kind, contact_id as value from contacts
    union all select concat('contact:', contact_id), 'crm_id', unnest(string_split(merged_contact_ids, ';')) from contacts
    union all select concat('contact:', contact_id), 'email', email from contacts
    union all select concat('contact:', contact_id), 'phone', phone from contacts
    union all select concat('contact:', contact_id), 'phone', mobile from contacts
    union all select concat('contact:', contact_id), 'login_id', login_id from contacts
    union all select concat('contact:', contact_id), 'loyalty_id', loyalty_id from contacts
    union all select concat('contact:', contact_id), 'referral_code', referral_code from contacts
    union all select concat('order:', crm_order_id), 'crm_order_id', crm_order_id from bought
    union all select concat('order:', crm_order_id), 'order_id', order_id from bought
    union all select concat('order:', crm_order_id), 'crm_id', contact_id from bought
    union all select concat('order:', crm_order_id), 'email', email from bought
    union all select concat('order:', crm_order_id), 'phone', phone from bought
    union all select concat('ticket:', ticket_id), 'ticket_id', ticket_id from asked
    union all select concat('ticket:', ticket_id), 'crm_id', contact_id from asked
    union all select concat('survey:', submission_id), 'survey_id', submission_id from answered
    union all select concat('survey:', submission_id), 'crm_id', contact_id from answered
    union all select concat('survey:', submission_id), 'email', email from answered
    union all select concat('profile:', profile_id), 'profile_id', profile_id from mails
    union all select concat('profile:', profile_id), 'email', email from mails
    union all select concat('profile:', profile_id), 'email_sha256', email_sha256 from mails
    union all select concat('profile:', profile_id), 'phone', phone from mails
    union all select concat('profile:', profile_id), 'login_id', login_id from mails
    union all select record_key, 'login_id', id from mine where prefix = 'login'
    union all select record_key, 'author_id', id from mine where prefix = 'author'
    union all select record_key, 'cookie', id from mine where prefix = 'visitor'
    union all select concat('visitor:', visitor_id), 'login_id', login_id from visited
    union all select concat('visitor:', visitor_id), 'order_id', order_id from visited
    union all select concat('web_order:', order_id), 'order_id', order_id from placed
    union all
    select concat('author:', c.author_id), 'comment_id', c.comment_id
    from validated.social_comments c
    join mine m on m.prefix = 'author' and m.id = c.author_id
)
select distinct record_key, kind, value
from found
where value is not null and value <> ''
order by record_key, kind, value
