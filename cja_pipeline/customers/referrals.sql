-- Who brought whom: one row per contact that came with the referral code of somebody else; nobody invites
-- themselves, not even by a second account. Contacts said to be made after the data end have a damaged date: no day
-- of the event log is theirs.
with owners as (
    select referral_code, min(contact_id) as contact_id
    from validated.contacts_current
    where referral_code is not null
    group by referral_code
)
select
    concat(f.customer_id, ':', cast(row_number() over (
        partition by f.customer_id order by friend.created_at, friend.contact_id
    ) as varchar)) as referral_id,
    l.customer_id,
    friend.created_at as occurred_at
from validated.contacts_current friend
join owners o on o.referral_code = friend.referred_by_code and o.contact_id <> friend.contact_id
join customers.identity_links l on l.kind = 'contact' and l.record_key = concat('contact:', o.contact_id)
join customers.identity_links f
    on f.kind = 'contact' and f.record_key = concat('contact:', friend.contact_id) and f.customer_id <> l.customer_id
join config.params p on friend.created_at <= p.as_of
