-- Landed files -> clean rows. The caller sets variables: `landing` and `given` (folders), `json_files` (days of web
-- analytics that came as JSON), `event_names`, `currencies` (known values), `countries` and `categories` (CSV files).
create macro parameter(names, texts, wanted) as nullif(texts[list_position(names, wanted)], '');
create macro folder(file) as regexp_extract(file, '(.*)/', 1);

create temp table pulls as
select folder(filename) as folder, dt, as_of as pulled_at
from read_json(
    getvariable('landing') || '/*/*/dt=*/**/_MANIFEST.json', filename = true, hive_partitioning = false,
    columns = {dt: 'DATE', as_of: 'TIMESTAMP'}
);

create temp table countries as
with listed as (select name, code from read_csv(getvariable('countries'), header = true, all_varchar = true))
select name, code from listed
union select lower(name), code from listed
union select upper(name), code from listed
union select code, code from listed
union select lower(code), code from listed;

create temp view exported as
select
    filename, user_pseudo_id, user_id, event_name, event_timestamp, event_server_timestamp_offset,
    event_bundle_sequence_id, batch_page_id, batch_ordering_id, batch_event_index,
    list_transform(event_params, lambda p: p.key) as names,
    list_transform(event_params, lambda p: coalesce(
        p.value.string_value, p.value.int_value::varchar, p.value.double_value::varchar)) as texts,
    collected_traffic_source.manual_source as source, collected_traffic_source.manual_medium as medium,
    collected_traffic_source.manual_campaign_name as campaign, device.category as category,
    geo.country as country_name, privacy_info.analytics_storage as storage, ecommerce.transaction_id,
    ecommerce.purchase_revenue
from read_parquet(
    getvariable('landing') || '/ga4/events/*/*.parquet', union_by_name = true, filename = true,
    hive_partitioning = false
)
union all by name
select
    filename, user_pseudo_id, user_id, event_name, event_timestamp, event_server_timestamp_offset,
    event_bundle_sequence_id, batch_page_id, batch_ordering_id, batch_event_index,
    list_transform(event_params, lambda p: p.key) as names,
    list_transform(event_params, lambda p: coalesce(
        p.value.string_value, p.value.int_value, p.value.double_value)) as texts,
    collected_traffic_source.manual_source as source, collected_traffic_source.manual_medium as medium,
    collected_traffic_source.manual_campaign_name as campaign, device.category as category,
    geo.country as country_name, privacy_info.analytics_storage as storage, ecommerce.transaction_id,
    ecommerce.purchase_revenue
from read_json(
    getvariable('json_files'), format = 'newline_delimited', ignore_errors = true, filename = true,
    hive_partitioning = false, columns = {
        user_pseudo_id: 'VARCHAR', user_id: 'VARCHAR', event_name: 'VARCHAR', event_timestamp: 'BIGINT',
        event_server_timestamp_offset: 'BIGINT', event_bundle_sequence_id: 'BIGINT', batch_page_id: 'BIGINT',
        batch_ordering_id: 'BIGINT', batch_event_index: 'BIGINT',
        event_params: 'STRUCT("key" VARCHAR, "value" STRUCT(
            string_value VARCHAR, int_value VARCHAR, double_value VARCHAR))[]',
        collected_traffic_source: 'STRUCT(manual_source VARCHAR, manual_medium VARCHAR, manual_campaign_name VARCHAR)',
        device: 'STRUCT(category VARCHAR)', geo: 'STRUCT(country VARCHAR)',
        privacy_info: 'STRUCT(analytics_storage VARCHAR)',
        ecommerce: 'STRUCT(transaction_id VARCHAR, purchase_revenue DOUBLE)'
    }
);

create table web_events as
with typed as (
    select
        md5(concat_ws('|', coalesce(user_pseudo_id, ''), coalesce(event_timestamp::varchar, ''),
            coalesce(event_name, ''), coalesce(event_bundle_sequence_id::varchar, ''),
            coalesce(batch_page_id::varchar, ''), coalesce(batch_ordering_id::varchar, ''),
            coalesce(batch_event_index::varchar, ''))) as event_id,
        p.dt, p.pulled_at,
        nullif(user_pseudo_id, '') as visitor_id, nullif(user_id, '') as login_id,
        make_timestamp(event_timestamp + least(coalesce(event_server_timestamp_offset, 0), 0)) as occurred_at,
        case when list_contains(getvariable('event_names'), event_name) then event_name
            when event_name <> '' then 'other' end as event_name,
        parameter(names, texts, 'page_location') as page_url,
        parameter(names, texts, 'page_referrer') as referrer,
        nullif(source, '') as source, nullif(medium, '') as medium, nullif(campaign, '') as campaign,
        case when lower(category) in ('mobile', 'desktop', 'tablet') then lower(category) else 'other' end as device,
        c.code as country,
        case lower(storage) when 'yes' then true when 'no' then false end as consent,
        nullif(coalesce(nullif(transaction_id, ''), parameter(names, texts, 'transaction_id')), '(not set)')
            as order_id,
        coalesce(purchase_revenue, try_cast(parameter(names, texts, 'value') as double))::decimal(18, 4) as value,
        upper(parameter(names, texts, 'currency')) as currency,
        try_cast(parameter(names, texts, 'engagement_time_msec') as bigint) as engagement_ms,
        parameter(names, texts, 'session_engaged') in ('1', 'true') as session_engaged
    from exported e
    join pulls p on p.folder = folder(e.filename)
    left join countries c on c.name = e.country_name
)
select
    event_id, visitor_id, login_id, occurred_at, event_name, source, medium, campaign, referrer, device, country,
    consent, order_id, value, currency, engagement_ms, session_engaged,
    case when page_url like '/%' then regexp_extract(page_url, '^[^?#]*')
        when page_url is not null
        then coalesce(nullif(regexp_extract(page_url, '^[a-z-]+://[^/?#]*(/[^?#]*)', 1), ''), '/')
    end as page_path,
    nullif(regexp_extract(page_url, '(gclid|gbraid|wbraid|msclkid)=', 1), '') as click_id
from typed
where event_name is not null and occurred_at >= timestamp '2010-01-01' and occurred_at <= pulled_at
    and occurred_at >= dt - interval 1 day and occurred_at < dt + interval 2 day
    and coalesce(value, 0) >= 0
    and (currency is null or list_contains(getvariable('currencies'), currency))
    and not (event_name = 'purchase' and value is not null and currency is null)
    and coalesce(length(page_url), 0) <= 8000
    and not (coalesce(consent = false, false) and visitor_id is not null)
qualify row_number() over (partition by dt, event_id) = 1;

create temp table crm_orders as
with versions as (
    select
        id as crm_order_id, coalesce(nullif(q.hs_external_order_id, ''), id) as order_id,
        associations.contacts.results[1].id as contact_id,
        try_cast(coalesce(q.hs_lastmodifieddate, updatedAt) as timestamp) as updated_at,
        try_cast(coalesce(nullif(q.hs_external_created_date, ''), q.hs_createdate, createdAt) as timestamp) as ordered_at,
        try_cast(nullif(q.hs_total_price, '') as decimal(18, 4)) as paid,
        coalesce(try_cast(nullif(q.hs_order_discount, '') as decimal(18, 4)), 0) as discount,
        coalesce(try_cast(nullif(q.hs_subtotal_price, '') as decimal(18, 4)), paid + discount) as gross,
        coalesce(try_cast(nullif(q.hs_refund_amount, '') as decimal(18, 4)), 0) as refund,
        nullif(upper(q.hs_currency_code), '') as currency, q.hs_exchange_rate as exchange_rate,
        lower(coalesce(nullif(q.sales_channel, ''), q.hs_source_store)) as sales_channel,
        q.is_test = 'true' as is_test,
        q.is_test = 'true' or q.hs_is_canceled = 'true' or archived as is_void, p.pulled_at, filename
    from (select *, properties as q from read_json(
        getvariable('landing') || '/hubspot/orders/*/*/*.jsonl.gz', format = 'newline_delimited',
        ignore_errors = true, filename = true, hive_partitioning = false, columns = {
            id: 'VARCHAR', createdAt: 'VARCHAR', updatedAt: 'VARCHAR', archived: 'BOOLEAN',
            associations: 'STRUCT(contacts STRUCT(results STRUCT(id VARCHAR)[]))',
            properties: 'STRUCT(hs_external_order_id VARCHAR, hs_lastmodifieddate VARCHAR,
                hs_external_created_date VARCHAR, hs_createdate VARCHAR, hs_subtotal_price VARCHAR,
                hs_total_price VARCHAR, hs_order_discount VARCHAR, hs_refund_amount VARCHAR,
                hs_currency_code VARCHAR, hs_exchange_rate DOUBLE, sales_channel VARCHAR, hs_source_store VARCHAR,
                is_test VARCHAR, hs_is_canceled VARCHAR)'
        })) landed
    join pulls p on p.folder = folder(filename)
),
-- of an order the newest version counts, of the records of one order number one that is not void
newest as (
    select * from versions
    where ordered_at <= pulled_at and ordered_at >= timestamp '2000-01-01' and gross - discount - refund is not null
        and least(gross, discount, refund) >= 0 and coalesce(abs(gross - discount - paid), 0) <= 0.01
        and list_contains(getvariable('currencies'), currency)
    qualify row_number() over (partition by crm_order_id order by updated_at desc, pulled_at desc, filename desc) = 1
)
select * replace (coalesce(is_test, false) as is_test, coalesce(is_void, false) as is_void) from newest
qualify row_number() over (partition by order_id order by coalesce(is_void, false), updated_at desc, crm_order_id) = 1;

create temp table mails as
select
    id as event_id, try_cast(attributes.datetime as timestamp) as occurred_at, p.dt,
    case m.metric.attributes.name
        when 'Received Email' then 'received' when 'Opened Email' then 'opened' when 'Clicked Email' then 'clicked'
        when 'Unsubscribed' then 'unsubscribed' when 'Unsubscribed from Email Marketing' then 'unsubscribed'
        when 'Marked as Spam' then 'spam' when 'Marked Email as Spam' then 'spam' else 'other' end as event_type,
    coalesce(m.profile.id, relationships.profile.data.id) as profile_id,
    nullif(attributes.event_properties."Campaign Name", '') as campaign,
    coalesce(attributes.event_properties.machine_open = 'true', false) as is_machine_open
from (select *, _included as m from read_json(
    getvariable('landing') || '/klaviyo/events/*/*.jsonl.gz', format = 'newline_delimited', ignore_errors = true,
    filename = true, hive_partitioning = false, columns = {
        id: 'VARCHAR',
        attributes: 'STRUCT(datetime VARCHAR,
            event_properties STRUCT("Campaign Name" VARCHAR, machine_open VARCHAR))',
        relationships: 'STRUCT(profile STRUCT(data STRUCT(id VARCHAR)))',
        _included: 'STRUCT(metric STRUCT(attributes STRUCT("name" VARCHAR)), profile STRUCT(id VARCHAR))'
    })) landed
join pulls p on p.folder = folder(filename)
where occurred_at >= timestamp '2010-01-01' and occurred_at <= p.pulled_at
    and occurred_at >= p.dt - interval 1 day and m.metric.attributes.name is not null
qualify row_number() over (partition by p.dt, id) = 1;

create temp table contact_versions as
select
    id as contact_id, try_cast(coalesce(q.lastmodifieddate, updatedAt) as timestamp) as updated_at,
    try_cast(coalesce(q.createdate, createdAt) as timestamp) as created_at, try_cast(q.consent_analytics as boolean) as granted,
    nullif(q.referral_code, '') as referral_code, nullif(q.referred_by_code, '') as referred_by_code, p.pulled_at,
    filename
from (select *, properties as q from read_json(
    getvariable('landing') || '/hubspot/contacts/*/*/*.jsonl.gz', format = 'newline_delimited',
    ignore_errors = true, filename = true, hive_partitioning = false, columns = {
        id: 'VARCHAR', createdAt: 'VARCHAR', updatedAt: 'VARCHAR',
        properties: 'STRUCT(lastmodifieddate VARCHAR, createdate VARCHAR, consent_analytics VARCHAR,
            referral_code VARCHAR, referred_by_code VARCHAR)'
    })) landed
join pulls p on p.folder = folder(filename)
where updated_at >= timestamp '2000-01-01' and updated_at <= p.pulled_at;

-- who is who, and what customers said: the same input for every contender
create temp table links as
select kind, split_part(record_key, ':', 2) as id, customer_id, source, first_seen_at, last_seen_at
from read_parquet(getvariable('given') || '/identity_links.parquet');
create temp table devices as select * from read_parquet(getvariable('given') || '/visitor_map.parquet');
create temp table feedback as select * from read_parquet(getvariable('given') || '/feedback.parquet');
