-- Why records are, or are not, one customer: the links that scores or rules speak for, without naming records.
with numbered as (
    select
        record_key,
        customer_id,
        concat(kind, ' ', cast(row_number() over (partition by customer_id order by record_key) as varchar)) as record
    from customers.identity_links
)
select
    a.customer_id,
    a.record,
    b.customer_id as other_customer_id,
    b.record as other_record,
    e.source,
    e.other_source,
    e.rule,
    e.weight,
    e.verdict,
    case e.verdict when 'accepted' then null when 'unlinked' then 'declared two people' else e.reason end as reason,
    e.since
from customers.identity_edges e
join numbered a on a.record_key = e.record_key
join numbered b on b.record_key = e.other_key
where e.verdict <> 'weak'
