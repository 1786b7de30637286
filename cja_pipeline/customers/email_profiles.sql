-- What the e-mail tool knows of each profile: the last values told (of two at the same moment, that of the greater
-- event id), and whether mail still reaches it.
select
    profile_id,
    max_by(email, place) filter (where email is not null) as email,
    max_by(email_sha256, place) filter (where email_sha256 is not null) as email_sha256,
    max_by(phone, place) filter (where phone is not null) as phone,
    max_by(login_id, place) filter (where login_id is not null) as login_id,
    max_by(first_name, place) filter (where first_name is not null) as first_name,
    max_by(last_name, place) filter (where last_name is not null) as last_name,
    max_by(postcode, place) filter (where postcode is not null) as postcode,
    min(occurred_at) as first_seen_at,
    max(occurred_at) as last_seen_at,
    coalesce(bool_or(event_type in ('unsubscribed', 'spam')), false) as left_list,
    -- undeliverable until something arrives again
    coalesce(
        max(case when event_type = 'bounced' and bounce_type = 'hard' then occurred_at end)
        >= coalesce(max(case when event_type = 'received' then occurred_at end), timestamp '1970-01-01'),
        false
    ) as is_bounced
from (
    select *, concat(cast(date_diff('microsecond', timestamp '1970-01-01', occurred_at) as varchar), '|', event_id) as place
    from validated.email_events
    where profile_id is not null
) as placed
group by profile_id
