-- Spans of time in days, with the customer's keys: in a stage, from first touch to order, within the buying
-- visit, from first to second order. `ended` is 0 for a span that was still running when last seen. What is known
-- from before all was watched (an old order, a recommendation) begins no spell: nobody saw how that went on.
SELECT
    'stage' AS measure,
    s.stage,
    date_diff('second', s.entered_at, coalesce(s.exited_at, greatest(p.observed_until, s.entered_at))) / 86400.0
        AS days,
    s.exited_at IS NOT NULL AS ended,
    k.main_device,
    coalesce(s.entered_at > k.first_order_at, FALSE) AS bought_before
FROM customers.stage_spells AS s
LEFT JOIN kpis.journey_keys AS k ON k.customer_id = s.customer_id
CROSS JOIN config.journey_params AS p
WHERE p.observed_from IS NULL OR s.entered_at >= p.observed_from
UNION ALL
SELECT
    'purchase_journey',
    'purchase',
    -- an attempt without an order has gone without one until now: given up or not, a later order is a new attempt
    date_diff('second', j.started_at, CASE WHEN j.outcome = 'purchase' THEN j.ended_at ELSE p.observed_until END)
        / 86400.0,
    j.outcome = 'purchase',
    j.main_device,
    j.bought_before
FROM kpis.journeys AS j
CROSS JOIN config.journey_params AS p
WHERE j.touches > 0
UNION ALL
SELECT
    'buyers_journey',
    'purchase',
    date_diff('second', started_at, ended_at) / 86400.0,
    TRUE,
    main_device,
    bought_before
FROM kpis.journeys
WHERE outcome = 'purchase' AND touches > 0
UNION ALL
SELECT
    'buying_visit',
    'purchase',
    greatest(date_diff('second', v.started_at, o.ordered_at), 0) / 86400.0,
    TRUE,
    k.main_device,
    o.ordered_at > k.first_order_at
FROM customers.sessions AS v
INNER JOIN customers.orders AS o ON o.order_id = v.order_id
LEFT JOIN kpis.journey_keys AS k ON k.customer_id = o.customer_id
UNION ALL
SELECT
    'second_order',
    'retention',
    date_diff('second', f.first_at, coalesce(f.second_at, p.observed_until)) / 86400.0,
    f.second_at IS NOT NULL,
    k.main_device,
    TRUE
FROM (
    SELECT
        customer_id,
        min(ordered_at) AS first_at,
        min(CASE WHEN nth = 2 THEN ordered_at END) AS second_at
    FROM (
        SELECT
            customer_id,
            ordered_at,
            row_number() OVER (PARTITION BY customer_id ORDER BY ordered_at, order_id) AS nth
        FROM customers.orders
    ) AS numbered
    GROUP BY customer_id
) AS f
LEFT JOIN kpis.journey_keys AS k ON k.customer_id = f.customer_id
CROSS JOIN config.journey_params AS p
