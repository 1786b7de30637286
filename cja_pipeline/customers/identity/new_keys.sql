-- Identifiers of the records that changed. An address also carries the key of its spelling, because vendors hash
-- what they were given: so hashed addresses meet plain ones.
select node, 'crm_id' as kind, crm_id as key, cast(null as uuid) as alias_of from ids_of where crm_id is not null
union all
select node, 'login_id', login_id, null from ids_of where login_id is not null
union all
select node, 'loyalty_id', loyalty_id, null from ids_of where loyalty_id is not null
union all
select node, 'email', key, null from emails_of where key is not null
union all
select node, 'email', alias, key from emails_of where alias is not null
union all
select node, 'email', digest, null
from emails_of
where digest is not null and digest is distinct from key and digest is distinct from alias
union all
select distinct node, 'phone', key, cast(null as uuid) from phones_of
