-- What splits customers into segments: the device of most of their visits, and their first order; and what
-- the passing of time alone changes: who has not been seen for idle_days.
WITH visits AS (
    SELECT
        customer_id,
        device,
        row_number() OVER (PARTITION BY customer_id ORDER BY count(*) DESC, device) AS place
    FROM customers.sessions
    WHERE NOT is_bot AND device IS NOT NULL
    GROUP BY customer_id, device
),
first_orders AS (
    SELECT customer_id, min(ordered_at) AS first_order_at
    FROM customers.orders
    GROUP BY customer_id
),
seen AS (
    SELECT customer_id, max(occurred_at) AS last_at
    FROM customers.touchpoints
    GROUP BY customer_id
)
SELECT
    coalesce(v.customer_id, o.customer_id, s.customer_id) AS customer_id,
    v.device AS main_device,
    o.first_order_at,
    coalesce(s.last_at < p.idle_since, FALSE) AS is_idle
FROM (SELECT customer_id, device FROM visits WHERE place = 1) AS v
FULL OUTER JOIN first_orders AS o ON o.customer_id = v.customer_id
FULL OUTER JOIN seen AS s ON s.customer_id = coalesce(v.customer_id, o.customer_id)
CROSS JOIN config.journey_params AS p
