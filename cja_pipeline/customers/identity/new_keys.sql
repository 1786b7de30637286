-- Identifiers of the records that changed. An address also carries the key of its spelling, because vendors hash
-- what they were given: so hashed addresses meet plain ones.
with carried as (
    select c.node, i.kind, i.key, cast(null as varchar) as alias_of
    from changed c join ids_of i on i.kind = 'crm_id' and i.value = c.crm_id
    union all
    select c.node, i.kind, i.key, null
    from changed c join ids_of i on i.kind = 'login_id' and i.value = c.login_id
    union all
    select c.node, i.kind, i.key, null
    from changed c join ids_of i on i.kind = 'loyalty_id' and i.value = c.loyalty_id
    union all
    select c.node, 'email', m.key, null from changed c join mails_of m on m.value = c.email
    union all
    select c.node, 'email', m.alias, m.key from changed c join mails_of m on m.value = c.email
    union all
    select c.node, 'email', g.key, null from changed c join digests_of g on g.value = c.email_sha256
    union all
    select c.node, 'phone', p.key, null
    from changed c
    join phones_of p on p.value = c.phone and p.country is not distinct from c.country
    union all
    select c.node, 'phone', p.key, null
    from changed c
    join phones_of p on p.value = c.mobile and p.country is not distinct from c.country
)
select node, kind, key, min(alias_of) as alias_of
from carried
where key is not null
group by node, kind, key
