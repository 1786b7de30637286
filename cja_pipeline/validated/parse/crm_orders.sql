-- HubSpot orders -> versions of orders. hs_total_price is what the customer paid: after the discount, before
-- refunds. Where the price before discount is missing it is the price paid and the discount together.
WITH amounts AS (
  SELECT
    raw.*,
    TRY_CAST(nullif(raw.properties.hs_subtotal_price, '') AS DECIMAL(18, 4)) AS subtotal,
    TRY_CAST(nullif(raw.properties.hs_total_price, '') AS DECIMAL(18, 4)) AS paid,
    coalesce(nullif(raw.properties.hs_order_discount, ''), '0') AS discount_text,
    coalesce(nullif(raw.properties.hs_refund_amount, ''), '0') AS refund_text
  FROM raw
),
summed AS (
  SELECT
    amounts.*,
    TRY_CAST(discount_text AS DECIMAL(18, 4)) AS discount,
    TRY_CAST(refund_text AS DECIMAL(18, 4)) AS refund
  FROM amounts
)
SELECT
  summed.id AS crm_order_id,
  coalesce(summed.properties.hs_lastmodifieddate, summed.updatedAt) AS updated_at,
  coalesce(nullif(summed.properties.hs_external_order_id, ''), summed.id) AS order_id,
  summed.associations.contacts.results[1].id AS contact_id,
  coalesce(summed.properties.hs_createdate, summed.createdAt) AS created_at,
  coalesce(
    nullif(summed.properties.hs_external_created_date, ''), summed.properties.hs_createdate, summed.createdAt
  ) AS ordered_at,
  lower(coalesce(
    nullif(summed.properties.hs_external_order_status, ''), summed.properties.hs_payment_status
  )) AS status,
  coalesce(summed.subtotal, summed.paid + summed.discount) AS gross_revenue,
  summed.discount_text AS discount,
  summed.paid AS paid,
  summed.refund_text AS refund,
  coalesce(summed.subtotal, summed.paid + summed.discount) - summed.discount - summed.refund AS net_revenue,
  upper(summed.properties.hs_currency_code) AS currency,
  summed.properties.hs_exchange_rate AS exchange_rate,
  lower(coalesce(nullif(summed.properties.sales_channel, ''), summed.properties.hs_source_store)) AS sales_channel,
  summed.properties.hs_billing_address_email AS email,
  summed.properties.hs_billing_address_phone AS phone,
  summed.properties.discount_code AS discount_code,
  coalesce(nullif(summed.properties.is_test, ''), 'false') AS is_test,
  coalesce(nullif(summed.properties.hs_is_canceled, ''), 'false') AS is_canceled,
  coalesce(summed.archived, 'false') AS archived,
  summed._dt, summed._source_file, summed._source_row, summed._landed_at, summed._record
FROM summed
