-- Touches that may earn credit: those of ordered journeys within the lookback of the order, and those of
-- journeys that ended without one. Open journeys are left out: nobody knows yet how they end.
WITH carts AS (
    SELECT journey_id, min(position) AS filled
    FROM kpis.journey_touches
    WHERE touchpoint_type = 'add_to_cart'
    GROUP BY journey_id
)
SELECT
    t.journey_id,
    t.position,
    j.outcome = 'purchase' AS ordered,
    t.channel,
    coalesce(t.campaign, '(none)') AS campaign,
    date_diff('second', t.occurred_at, j.ended_at) / 86400.0 AS days,
    coalesce(c.filled < t.position, FALSE) AS after_cart,
    j.value,
    o.is_first_order AS is_new,
    CASE WHEN o.is_first_order THEN v.clv_12m END AS worth,
    CAST(date_trunc('month', j.end_date) AS DATE) AS month
FROM kpis.journey_touches AS t
INNER JOIN kpis.journeys AS j ON j.journey_id = t.journey_id
LEFT JOIN customers.orders AS o ON o.order_id = j.order_id
LEFT JOIN kpis.customer_value AS v ON v.customer_id = o.customer_id
LEFT JOIN carts AS c ON c.journey_id = t.journey_id
CROSS JOIN config.journey_params AS p
WHERE
    t.earns_credit
    AND j.outcome <> 'open'
    AND j.end_date BETWEEN p.credit_from AND p.last_day
    AND date_diff('second', t.occurred_at, j.ended_at) <= p.lookback_days * 86400
