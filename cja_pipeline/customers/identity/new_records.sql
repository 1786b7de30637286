-- Records that changed, in canonical form (from the lookups).
select
    c.node,
    c.record_key,
    c.kind,
    c.source,
    c.content,
    coalesce(c.root, i.crm_id) as crm,
    f.name as first_name,
    split_part(f.name, ' ', 1) as given,
    l.name as last_name,
    d.digits as birth_date,
    d.ordered as birth_digits,
    d.born,
    m.email,
    a.place as address,
    p.place as postcode,
    t.place as city
from changed c
left join ids_of i on i.node = c.node
left join names_of f on f.value = c.first_name
left join names_of l on l.value = c.last_name
left join dates_of d on d.value = c.birth_date
left join emails_of m on m.node = c.node
left join places_of a on a.value = c.address
left join places_of p on p.value = c.postcode
left join places_of t on t.value = c.city
