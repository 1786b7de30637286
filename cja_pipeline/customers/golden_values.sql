-- Every value that records of a customer offer for an attribute, the best first by the declared rules.
with wanted as (
    select distinct attribute from config.survivorship
),
contact_says as (
    select
        l.customer_id,
        l.record_key,
        'crm' as source,
        w.attribute,
        case w.attribute
            when 'first_name' then c.first_name
            when 'last_name' then c.last_name
            when 'email' then c.email
            when 'phone' then coalesce(c.mobile, c.phone)
            when 'birth_date' then cast(c.birth_date as varchar)
            when 'address' then c.address
            when 'postcode' then c.postcode
            when 'city' then c.city
            when 'country' then c.country
            when 'language' then c.language
        end as value,
        1 as times,
        c.updated_at as seen_at
    from validated.contacts_current c
    join customers.identity_links l
        on l.kind = 'contact' and l.record_key = concat('contact:', c.contact_id)
    cross join wanted w
),
profiles as (
    select
        profile_id,
        max_by(first_name, occurred_at) filter (where first_name is not null) as first_name,
        max_by(last_name, occurred_at) filter (where last_name is not null) as last_name,
        max_by(email, occurred_at) filter (where email is not null) as email,
        max_by(phone, occurred_at) filter (where phone is not null) as phone,
        max_by(postcode, occurred_at) filter (where postcode is not null) as postcode,
        max(occurred_at) as seen_at
    from validated.email_events
    where profile_id is not null
    group by profile_id
),
profile_says as (
    select
        l.customer_id,
        l.record_key,
        'email' as source,
        w.attribute,
        case w.attribute
            when 'first_name' then p.first_name
            when 'last_name' then p.last_name
            when 'email' then p.email
            when 'phone' then p.phone
            when 'postcode' then p.postcode
        end as value,
        1 as times,
        p.seen_at
    from profiles p
    join customers.identity_links l
        on l.kind = 'profile' and l.record_key = concat('profile:', p.profile_id)
    cross join wanted w
),
visits_say as (
    select
        customer_id,
        'visits' as record_key,
        'web_analytics' as source,
        'country' as attribute,
        country as value,
        count(*) as times,
        max(started_at) as seen_at
    from customers.sessions
    where country is not null and not is_bot
    group by customer_id, country
),
said as (
    select * from contact_says
    union all
    select * from profile_says
    union all
    select * from visits_say
),
offered as (
    select
        s.customer_id,
        s.attribute,
        trim(s.value) as value,
        min(r.priority) as priority,
        min_by(s.source, concat(lpad(cast(r.priority as varchar), 4, '0'), s.record_key)) as source,
        min_by(s.record_key, concat(lpad(cast(r.priority as varchar), 4, '0'), s.record_key)) as record_key,
        sum(s.times) as times,
        count(distinct s.record_key) as records,
        max(s.seen_at) as seen_at,
        max(r.first_rule) as first_rule,
        max(r.second_rule) as second_rule,
        max(r.third_rule) as third_rule
    from said s
    join config.survivorship r on r.attribute = s.attribute and r.source = s.source
    left join config.empty_values e on e.value = lower(trim(s.value))
    where trim(s.value) <> '' and e.value is null
    group by s.customer_id, s.attribute, trim(s.value)
),
aged as (
    select
        o.*,
        rank() over (partition by customer_id, attribute order by seen_at desc) as age
    from offered o
),
placed as (
    select
        a.*,
        row_number() over (
            partition by customer_id, attribute
            order by
                case first_rule when 'source' then priority when 'frequent' then -times else age end,
                case second_rule when 'source' then priority when 'frequent' then -times else age end,
                case third_rule when 'source' then priority when 'frequent' then -times else age end,
                value
        ) as place
    from aged a
)
select
    customer_id,
    attribute,
    value,
    place = 1 as is_winner,
    place,
    concat(first_rule, ', then ', second_rule, ', then ', third_rule) as rule,
    source,
    record_key,
    records,
    seen_at
from placed
