-- Customers who came with the referral code of somebody else; nobody invites themselves, not even by a second
-- account.
with invitations as (
    select distinct l.customer_id, c.referral_code
    from validated.contacts_current c
    join customers.identity_links l on l.kind = 'contact' and l.record_key = concat('contact:', c.contact_id)
    where c.referral_code is not null
)
select distinct l.customer_id
from validated.contacts_current c
join customers.identity_links l on l.kind = 'contact' and l.record_key = concat('contact:', c.contact_id)
join invitations i on i.referral_code = c.referred_by_code and i.customer_id <> l.customer_id
