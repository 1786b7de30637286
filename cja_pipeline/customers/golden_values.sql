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
        p.last_seen_at as seen_at
    from customers.email_profiles p
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
        trim(country) as value,
        count(*) as times,
        max(started_at) as seen_at
    from customers.sessions
    where country is not null and not is_bot
    group by customer_id, trim(country)
),
said as (
    select * from contact_says
    union all
    select * from profile_says
    union all
    select * from visits_say
),
-- windows, which go to disk where memory is short; aggregates that keep texts do not
offers as (
    select
        s.customer_id,
        s.record_key,
        s.attribute,
        trim(s.value) as value,
        s.source,
        s.times,
        s.seen_at,
        r.priority,
        r.first_rule,
        r.second_rule,
        r.third_rule
    from said s
    join config.survivorship r on r.attribute = s.attribute and r.source = s.source
    left join config.empty_values e on e.value = lower(trim(s.value))
    where trim(s.value) <> '' and e.value is null
),
agreed as (
    select
        o.*,
        row_number() over (
            partition by customer_id, attribute, value order by priority, record_key
        ) as turn,
        sum(o.times) over same_value as all_times,
        count(*) over same_value as records,
        max(o.seen_at) over same_value as last_seen_at
    from offers o
    window same_value as (partition by customer_id, attribute, value)
),
-- a value by the best of the records that offer it
offered as (
    select
        customer_id,
        attribute,
        value,
        source,
        record_key,
        priority,
        all_times as times,
        records,
        last_seen_at as seen_at,
        first_rule,
        second_rule,
        third_rule
    from agreed
    where turn = 1
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
