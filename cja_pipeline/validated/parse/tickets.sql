-- HubSpot tickets -> versions of tickets.
SELECT
  raw.id AS ticket_id,
  coalesce(raw.properties.hs_lastmodifieddate, raw.updatedAt) AS updated_at,
  raw.associations.contacts.results[1].id AS contact_id,
  raw.properties.createdate AS created_at,
  raw.properties.closed_date AS closed_at,
  raw.properties.subject AS subject,
  raw.properties.content AS body,
  lower(raw.properties.hs_ticket_category) AS category,
  lower(raw.properties.hs_ticket_priority) AS priority,
  lower(raw.properties.hs_pipeline_stage) AS status,
  lower(split_part(raw.properties.hs_language, '-', 1)) AS language,
  coalesce(raw.archived, 'false') AS archived,
  raw._dt, raw._source_file, raw._source_row, raw._landed_at, raw._record
FROM raw
