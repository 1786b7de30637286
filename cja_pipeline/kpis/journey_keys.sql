-- What splits customers into segments: the device of most of their visits, and their first order.
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
)
SELECT
    coalesce(v.customer_id, o.customer_id) AS customer_id,
    v.device AS main_device,
    o.first_order_at
FROM (SELECT customer_id, device FROM visits WHERE place = 1) AS v
FULL OUTER JOIN first_orders AS o ON o.customer_id = v.customer_id
