-- One row per purchase attempt, with its path: each step where it first happened, the rest as an ellipsis.
WITH steps AS (
    SELECT
        journey_id,
        item,
        min(position) AS position
    FROM kpis.journey_touches
    WHERE in_path
    GROUP BY journey_id, item
),
placed AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY journey_id ORDER BY position) AS place
    FROM steps
),
paths AS (
    SELECT
        s.journey_id,
        string_agg(s.item, ' > ' ORDER BY s.place) FILTER (WHERE s.place <= p.path_steps)
        || CASE WHEN max(s.place) > max(p.path_steps) THEN ' > …' ELSE '' END AS path,
        max(s.place) AS steps
    FROM placed AS s
    CROSS JOIN config.journey_params AS p
    GROUP BY s.journey_id
),
attempts AS (
    SELECT
        journey_id,
        min(customer_id) AS customer_id,
        min(occurred_at) AS started_at,
        max(occurred_at) AS ended_at,
        max(business_date) AS end_date,
        max(order_id) AS order_id,
        coalesce(sum(value), 0) AS value,
        count(*) - count(order_id) AS touches,
        min(main_device) AS main_device,
        -- the order itself is not earlier than itself: the attempt's first row decides
        min(bought_before) AS bought_before
    FROM kpis.journey_touches
    GROUP BY journey_id
)
SELECT
    a.journey_id,
    a.customer_id,
    a.started_at,
    a.ended_at,
    a.end_date,
    CASE
        WHEN a.order_id IS NOT NULL THEN 'purchase'
        WHEN a.ended_at < q.idle_since THEN 'exit'
        ELSE 'open'
    END AS outcome,
    a.order_id,
    a.value,
    a.touches,
    coalesce(s.path, '(no known touch)') AS path,
    coalesce(s.steps, 0) AS steps,
    a.main_device,
    a.bought_before
FROM attempts AS a
CROSS JOIN config.journey_params AS q
LEFT JOIN paths AS s ON s.journey_id = a.journey_id
