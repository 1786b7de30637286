-- Google Analytics 4, BigQuery export -> web events.
-- An exported event has no id; the fields below identify it together (vendor's documentation), so their digest
-- is the key. Parameters come as text or as numbers, hence one list of their texts per event.
WITH events AS (
  SELECT
    raw.*,
    list_transform(raw.event_params, lambda p: p.key) AS names,
    list_transform(raw.event_params, lambda p: coalesce(
      p.value.string_value, CAST(p.value.int_value AS VARCHAR), CAST(p.value.double_value AS VARCHAR)
    )) AS texts,
    -- microseconds; what lies outside the years 1970 to 9999 is no time at all
    CASE WHEN TRY_CAST(raw.event_timestamp AS BIGINT) BETWEEN 0 AND 253402300799999999
         THEN TRY_CAST(raw.event_timestamp AS BIGINT) END AS happened_us,
    CASE WHEN TRY_CAST(raw.event_server_timestamp_offset AS BIGINT) BETWEEN -1000000000000000 AND 1000000000000000
         THEN TRY_CAST(raw.event_server_timestamp_offset AS BIGINT) END AS delay_us
  FROM raw
),
located AS (
  SELECT
    events.*,
    nullif(texts[list_position(names, 'page_location')], '') AS page_url,
    split_part(split_part(texts[list_position(names, 'page_location')], '?', 1), '#', 1) AS page
  FROM events
),
pathed AS (
  -- the path begins at the first slash after the host; no scheme is longer than the eight characters of https://
  SELECT
    located.*,
    CASE WHEN starts_with(page, '/') THEN page
         WHEN strpos(substr(page, 9), '/') > 0 THEN substr(page, 8 + strpos(substr(page, 9), '/'))
         WHEN page_url IS NOT NULL THEN '/' END AS path
  FROM located
),
paged AS (
  SELECT pathed.*, shop_path(path) AS bare_path FROM pathed
)
SELECT
  md5(concat_ws('|',
    coalesce(paged.user_pseudo_id, ''), coalesce(CAST(paged.event_timestamp AS VARCHAR), ''),
    coalesce(paged.event_name, ''), coalesce(CAST(paged.event_bundle_sequence_id AS VARCHAR), ''),
    coalesce(CAST(paged.batch_page_id AS VARCHAR), ''), coalesce(CAST(paged.batch_ordering_id AS VARCHAR), ''),
    coalesce(CAST(paged.batch_event_index AS VARCHAR), '')
  )) AS event_id,
  paged.user_pseudo_id AS visitor_id,
  paged.user_id AS login_id,
  paged.texts[list_position(paged.names, 'ga_session_id')] AS ga_session_id,
  -- a device clock that runs ahead puts an event after its arrival: then the arrival counts
  make_timestamp(CASE WHEN paged.delay_us < 0 THEN paged.happened_us + paged.delay_us ELSE paged.happened_us END)
    AS occurred_at,
  make_timestamp(paged.happened_us + coalesce(paged.delay_us, 0)) AS received_at,
  paged.event_name AS event_name,
  paged.page_url AS page_url,
  paged.path AS page_path,
  page_type(paged.bare_path) AS page_type,
  paged.texts[list_position(paged.names, 'page_referrer')] AS referrer,
  coalesce(
    paged.collected_traffic_source.manual_source,
    CASE WHEN paged.collected_traffic_source.gclid IS NOT NULL THEN 'google' END
  ) AS source,
  coalesce(
    paged.collected_traffic_source.manual_medium,
    CASE WHEN paged.collected_traffic_source.gclid IS NOT NULL THEN 'cpc' END
  ) AS medium,
  paged.collected_traffic_source.manual_campaign_name AS campaign,
  CASE lower(paged.device.category)
    WHEN 'mobile' THEN 'mobile' WHEN 'desktop' THEN 'desktop' WHEN 'tablet' THEN 'tablet' ELSE 'other'
  END AS device,
  paged.device.operating_system AS os,
  paged.device.web_info.browser AS browser,
  countries.code AS country,
  lower(split_part(paged.device.language, '-', 1)) AS language,
  CASE lower(paged.privacy_info.analytics_storage) WHEN 'yes' THEN TRUE WHEN 'no' THEN FALSE END
    AS consent_analytics,
  CASE lower(paged.privacy_info.ads_storage) WHEN 'yes' THEN TRUE WHEN 'no' THEN FALSE END AS consent_marketing,
  nullif(coalesce(
    paged.ecommerce.transaction_id, paged.texts[list_position(paged.names, 'transaction_id')]
  ), '(not set)') AS order_id,
  -- the export keeps amounts as floating point: read them as such, in both file formats
  coalesce(
    TRY_CAST(paged.ecommerce.purchase_revenue AS DOUBLE),
    TRY_CAST(paged.texts[list_position(paged.names, 'value')] AS DOUBLE)
  ) AS value,
  upper(paged.texts[list_position(paged.names, 'currency')]) AS currency,
  paged.ecommerce.total_item_quantity AS item_count,
  paged.texts[list_position(paged.names, 'engagement_time_msec')] AS engagement_ms,
  paged.texts[list_position(paged.names, 'session_engaged')] IN ('1', 'true') AS session_engaged,
  paged.texts[list_position(paged.names, 'search_term')] AS search_term,
  coalesce(
    paged.texts[list_position(paged.names, 'error_message')],
    CASE WHEN paged.event_name = 'exception' THEN paged.texts[list_position(paged.names, 'description')] END
  ) AS error_message,
  paged.texts[list_position(paged.names, 'experiment_id')] AS experiment,
  paged.texts[list_position(paged.names, 'variant_id')] AS variant,
  paged._dt, paged._source_file, paged._source_row, paged._landed_at, paged._record
FROM paged
LEFT JOIN config.country_names AS countries ON countries.name = paged.geo.country
