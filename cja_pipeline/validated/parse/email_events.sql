-- Klaviyo events -> e-mail events. Profile and metric come with the event under _included.
SELECT
  raw.id AS event_id,
  raw.attributes.datetime AS occurred_at,
  CASE raw._included.metric.attributes.name
    WHEN 'Received Email' THEN 'received'
    WHEN 'Opened Email' THEN 'opened'
    WHEN 'Clicked Email' THEN 'clicked'
    WHEN 'Bounced Email' THEN 'bounced'
    WHEN 'Unsubscribed' THEN 'unsubscribed'
    WHEN 'Unsubscribed from Email Marketing' THEN 'unsubscribed'
    WHEN 'Marked as Spam' THEN 'spam'
    WHEN 'Marked Email as Spam' THEN 'spam'
    ELSE raw._included.metric.attributes.name
  END AS event_type,
  coalesce(raw._included.profile.id, raw.relationships.profile.data.id) AS profile_id,
  raw._included.profile.attributes.email AS email,
  lower(raw._included.profile.attributes.properties.email_sha256) AS email_sha256,
  raw._included.profile.attributes.phone_number AS phone,
  raw._included.profile.attributes.external_id AS login_id,
  raw._included.profile.attributes.first_name AS first_name,
  raw._included.profile.attributes.last_name AS last_name,
  raw._included.profile.attributes.location.zip AS postcode,
  raw.attributes.event_properties."Campaign Name" AS campaign,
  raw.attributes.event_properties."$message" AS message_id,
  raw.attributes.event_properties."Subject" AS subject,
  raw.attributes.event_properties."URL" AS url,
  lower(raw.attributes.event_properties."Bounce Type") AS bounce_type,
  coalesce(raw.attributes.event_properties.machine_open, 'false') AS is_machine_open,
  raw._dt, raw._source_file, raw._source_row, raw._landed_at, raw._record
FROM raw
