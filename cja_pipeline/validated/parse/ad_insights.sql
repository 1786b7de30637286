-- Meta advert insights -> one row per advert and day. Purchases are taken from the widest action type that the
-- account reports, never added over types: they overlap.
WITH claimed AS (
  SELECT
    raw.*,
    coalesce(
      list_filter(raw.actions, lambda a: a.action_type = 'omni_purchase')[1].value,
      list_filter(raw.actions, lambda a: a.action_type = 'purchase')[1].value,
      list_filter(raw.actions, lambda a: a.action_type = 'offsite_conversion.fb_pixel_purchase')[1].value
    ) AS conversions,
    coalesce(
      list_filter(raw.action_values, lambda a: a.action_type = 'omni_purchase')[1].value,
      list_filter(raw.action_values, lambda a: a.action_type = 'purchase')[1].value,
      list_filter(raw.action_values, lambda a: a.action_type = 'offsite_conversion.fb_pixel_purchase')[1].value
    ) AS revenue
  FROM raw
)
SELECT
  claimed.date_start AS day,
  claimed.account_id AS account_id,
  claimed.campaign_id AS campaign_id,
  claimed.campaign_name AS campaign,
  claimed.adset_id AS adset_id,
  claimed.ad_id AS ad_id,
  claimed.ad_name AS ad_name,
  claimed.impressions AS impressions,
  claimed.reach AS reach,
  claimed.clicks AS clicks,
  claimed.inline_link_clicks AS link_clicks,
  claimed.spend AS spend,
  upper(claimed.account_currency) AS currency,
  claimed.conversions AS platform_conversions,
  claimed.revenue AS platform_revenue,
  claimed._dt, claimed._source_file, claimed._source_row, claimed._landed_at, claimed._record
FROM claimed
