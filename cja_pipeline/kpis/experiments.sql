-- Customers of each experiment by the variant they saw, with what they did in the days after they first saw it.
-- One row per experiment and variant; `variant` is null for customers who saw more than one (left out).
WITH seen AS (
    SELECT
        a.experiment,
        a.customer_id,
        min(a.variant) AS variant,
        count(DISTINCT a.variant) AS variants,
        min(a.occurred_at) AS first_at,
        max(a.occurred_at) AS last_at
    FROM customers.web_activity AS a
    WHERE a.experiment IS NOT NULL AND a.variant IS NOT NULL AND a.visitor_rule <> 'bot'
    GROUP BY a.experiment, a.customer_id
),
assigned AS (
    SELECT
        s.experiment,
        s.customer_id,
        CASE WHEN s.variants = 1 THEN s.variant END AS variant,
        s.first_at,
        s.last_at,
        s.first_at + $outcome_days * INTERVAL '1' DAY AS until_at,
        s.first_at + $outcome_days * INTERVAL '1' DAY <= p.observed_until AS closed
    FROM seen AS s
    CROSS JOIN config.journey_params AS p
),
checkouts AS (
    SELECT a.experiment, a.customer_id, 1 AS checkout
    FROM assigned AS a
    INNER JOIN customers.touchpoints AS t
        ON t.customer_id = a.customer_id
        AND t.touchpoint_type = 'begin_checkout'
        AND t.occurred_at >= a.first_at
        AND t.occurred_at < a.until_at
    GROUP BY a.experiment, a.customer_id
),
bought AS (
    SELECT
        a.experiment,
        a.customer_id,
        CAST(coalesce(sum(o.net_revenue), 0) AS DOUBLE) AS revenue
    FROM assigned AS a
    INNER JOIN customers.orders AS o
        ON o.customer_id = a.customer_id
        AND o.sales_channel = 'web'
        AND o.ordered_at >= a.first_at
        AND o.ordered_at < a.until_at
    GROUP BY a.experiment, a.customer_id
)
SELECT
    a.experiment,
    a.variant,
    count(*) AS assigned,
    count(CASE WHEN a.closed THEN 1 END) AS customers,
    count(CASE WHEN a.closed THEN c.checkout END) AS checkouts,
    count(CASE WHEN a.closed THEN b.customer_id END) AS buyers,
    coalesce(sum(CASE WHEN a.closed THEN b.revenue END), 0) AS revenue,
    coalesce(sum(CASE WHEN a.closed THEN b.revenue * b.revenue END), 0) AS revenue_squares,
    min(a.first_at) AS first_at,
    max(a.last_at) AS last_at
FROM assigned AS a
LEFT JOIN checkouts AS c ON c.experiment = a.experiment AND c.customer_id = a.customer_id
LEFT JOIN bought AS b ON b.experiment = a.experiment AND b.customer_id = a.customer_id
GROUP BY a.experiment, a.variant
ORDER BY a.experiment, a.variant
