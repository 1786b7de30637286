-- Meta page posts with their lifetime metrics -> posts.
SELECT
  raw.id AS post_id,
  raw.created_time AS created_at,
  raw.message AS message,
  raw.permalink_url AS url,
  coalesce(
    list_filter(raw.insights.data, lambda m: m.name = 'post_media_view')[1].values[1].value,
    list_filter(raw.insights.data, lambda m: m.name = 'post_impressions')[1].values[1].value
  ) AS impressions,
  coalesce(
    list_filter(raw.insights.data, lambda m: m.name = 'post_total_media_view_unique')[1].values[1].value,
    list_filter(raw.insights.data, lambda m: m.name = 'post_impressions_unique')[1].values[1].value
  ) AS reach,
  raw.reactions.summary.total_count AS reactions,
  raw.comments.summary.total_count AS comments,
  coalesce(raw.shares.count, '0') AS shares,
  list_filter(raw.insights.data, lambda m: m.name = 'post_clicks')[1].values[1].value AS clicks,
  raw._dt, raw._source_file, raw._source_row, raw._landed_at, raw._record
FROM raw
