-- What was shown, sent and spent per business day and campaign. Advertising days are the platform's own;
-- posts count on the day they were published, e-mails on the day of each event.
with ads as (
    select
        cast(day as date) as day,
        'meta_ads' as platform,
        'Paid Social' as channel,
        coalesce(campaign, '') as campaign,
        sum(impressions) as impressions,
        sum(reach) as reach,
        sum(clicks) as clicks,
        sum(clicks) as interactions,
        sum(spend) as spend,
        max(currency) as currency,
        sum(platform_conversions) as platform_conversions,
        sum(platform_revenue) as platform_revenue
    from validated.ad_insights
    group by 1, 4
),
posts as (
    select
        case when s.created_at < d.boundary_at then d.date_before else d.date_after end as day,
        sum(s.impressions) as impressions,
        sum(s.reach) as reach,
        sum(s.clicks) as clicks,
        sum(coalesce(s.reactions, 0) + coalesce(s.comments, 0) + coalesce(s.shares, 0) + coalesce(s.clicks, 0))
            as interactions
    from validated.social_posts s
    join config.business_days d on d.utc_date = cast(s.created_at as date)
    group by 1
),
mails as (
    select
        case when e.occurred_at < d.boundary_at then d.date_before else d.date_after end as day,
        coalesce(e.campaign, '') as campaign,
        count(distinct case when e.event_type = 'received' then e.event_id end) as delivered,
        count(distinct case when e.event_type = 'opened' and not coalesce(e.is_machine_open, false)
            then concat(e.profile_id, '|', coalesce(e.message_id, e.event_id)) end) as opens,
        count(distinct case when e.event_type = 'opened' and coalesce(e.is_machine_open, false)
            then concat(e.profile_id, '|', coalesce(e.message_id, e.event_id)) end) as machine_opens,
        count(distinct case when e.event_type = 'clicked'
            then concat(e.profile_id, '|', coalesce(e.message_id, e.event_id)) end) as clicks,
        count(distinct case when e.event_type = 'bounced' then e.event_id end) as bounces,
        count(distinct case when e.event_type = 'unsubscribed' then e.event_id end) as unsubscribes,
        count(distinct case when e.event_type = 'spam' then e.event_id end) as complaints
    from validated.email_events e
    join config.business_days d on d.utc_date = cast(e.occurred_at as date)
    group by 1, 2
)
select
    day, platform, channel, campaign, impressions, reach, clicks, interactions, spend, currency,
    platform_conversions, platform_revenue,
    cast(null as bigint) as delivered, cast(null as bigint) as opens, cast(null as bigint) as machine_opens,
    cast(null as bigint) as bounces, cast(null as bigint) as unsubscribes, cast(null as bigint) as complaints
from ads
union all
select
    day, 'meta_organic', 'Organic Social', '', impressions, reach, clicks, interactions, null, null, null, null,
    null, null, null, null, null, null
from posts
union all
select
    day, 'email', 'Email', campaign, null, null, clicks, opens + clicks, null, null, null, null,
    delivered, opens, machine_opens, bounces, unsubscribes, complaints
from mails
