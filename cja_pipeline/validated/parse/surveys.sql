-- HubSpot feedback submissions -> versions of survey answers.
SELECT
  raw.id AS submission_id,
  coalesce(raw.properties.hs_lastmodifieddate, raw.updatedAt) AS updated_at,
  raw.associations.contacts.results[1].id AS contact_id,
  raw.properties.hs_contact_email_rollup AS email,
  upper(raw.properties.hs_survey_type) AS survey_type,
  raw.properties.hs_value AS score,
  raw.properties.hs_content AS comment,
  coalesce(nullif(raw.properties.hs_submission_timestamp, ''), raw.createdAt) AS submitted_at,
  raw.properties.order_id AS order_id,
  lower(split_part(raw.properties.hs_language, '-', 1)) AS language,
  raw._dt, raw._source_file, raw._source_row, raw._landed_at, raw._record
FROM raw
