-- Meta comments under page posts -> comments. A comment does not say its post; the connector adds it, and its own
-- key begins with it.
SELECT
  raw.id AS comment_id,
  coalesce(raw._post_id, CASE WHEN strpos(raw.id, '_') > 0 THEN split_part(raw.id, '_', 1) END) AS post_id,
  raw.parent.id AS parent_id,
  raw."from".id AS author_id,
  raw."from".name AS author_name,
  raw.created_time AS occurred_at,
  raw.message AS message,
  coalesce(raw.like_count, '0') AS likes,
  raw._dt, raw._source_file, raw._source_row, raw._landed_at, raw._record
FROM raw
