-- What follows what: stages of the journey, and steps of purchase attempts. One customer counts as one witness,
-- so the sums of squares that the clustered interval needs are made per customer.
WITH spells AS (
    SELECT
        s.customer_id,
        s.stage AS item,
        s.entered_at AS moment,
        s.exited_at,
        lag(s.stage) OVER (PARTITION BY s.customer_id ORDER BY s.entered_at, s.entry_touchpoint_id) AS item_before,
        lead(s.stage) OVER (PARTITION BY s.customer_id ORDER BY s.entered_at, s.entry_touchpoint_id) AS item_after,
        k.main_device,
        coalesce(s.entered_at > k.first_order_at, FALSE) AS bought_before
    FROM customers.stage_spells AS s
    LEFT JOIN kpis.journey_keys AS k ON k.customer_id = s.customer_id
),
last_seen AS (
    SELECT customer_id, max(occurred_at) AS last_at
    FROM customers.touchpoints
    GROUP BY customer_id
),
stage_moves AS (
    SELECT
        'stage' AS grain,
        s.customer_id,
        s.item AS from_stage,
        CASE
            WHEN s.item_after IS NOT NULL THEN s.item_after
            WHEN date_diff('second', coalesce(l.last_at, s.moment), p.observed_until) > p.idle_days * 86400 THEN 'exit'
            ELSE 'open'
        END AS to_stage,
        s.main_device,
        s.bought_before
    FROM spells AS s
    LEFT JOIN last_seen AS l ON l.customer_id = s.customer_id
    CROSS JOIN config.journey_params AS p
    UNION ALL
    SELECT 'stage', customer_id, 'start', item, main_device, bought_before
    FROM spells
    WHERE item_before IS NULL
),
steps AS (
    SELECT
        journey_id,
        customer_id,
        position,
        item,
        lag(item) OVER (PARTITION BY journey_id ORDER BY position) AS item_before,
        main_device,
        bought_before
    FROM kpis.journey_touches
    WHERE in_path
),
collapsed AS (
    SELECT
        journey_id,
        customer_id,
        item,
        item_before,
        lead(item) OVER (PARTITION BY journey_id ORDER BY position) AS item_after,
        main_device,
        bought_before
    FROM steps
    WHERE item_before IS NULL OR item_before <> item
),
touch_moves AS (
    SELECT
        'touchpoint' AS grain,
        c.customer_id,
        c.item AS from_stage,
        coalesce(c.item_after, j.outcome) AS to_stage,
        c.main_device,
        j.bought_before
    FROM collapsed AS c
    INNER JOIN kpis.journeys AS j ON j.journey_id = c.journey_id
    UNION ALL
    SELECT 'touchpoint', c.customer_id, 'start', c.item, c.main_device, j.bought_before
    FROM collapsed AS c
    INNER JOIN kpis.journeys AS j ON j.journey_id = c.journey_id
    WHERE c.item_before IS NULL
    UNION ALL
    SELECT 'touchpoint', customer_id, 'start', outcome, main_device, bought_before
    FROM kpis.journeys
    WHERE steps = 0
),
moves AS (
    SELECT * FROM stage_moves
    UNION ALL
    SELECT * FROM touch_moves
),
pairs AS (
    SELECT
        g.segment,
        m.grain,
        m.from_stage,
        m.to_stage,
        m.customer_id,
        CAST(count(*) AS DOUBLE) AS n
    FROM moves AS m
    INNER JOIN config.segments AS g
        ON (g.device IS NULL OR g.device = m.main_device)
        AND (g.bought_before IS NULL OR g.bought_before = m.bought_before)
    GROUP BY g.segment, m.grain, m.from_stage, m.to_stage, m.customer_id
),
shared AS (
    SELECT
        *,
        sum(n) OVER (PARTITION BY segment, grain, from_stage, customer_id) AS d
    FROM pairs
),
totals AS (
    SELECT
        segment,
        grain,
        from_stage,
        count(*) AS clusters,
        sum(d) AS sum_d,
        sum(d * d) AS sum_dd
    FROM (SELECT DISTINCT segment, grain, from_stage, customer_id, d FROM shared) AS per_customer
    GROUP BY segment, grain, from_stage
)
SELECT
    s.segment,
    s.grain,
    s.from_stage,
    s.to_stage,
    count(*) AS customers,
    sum(s.n) AS n,
    min(t.clusters) AS clusters,
    min(t.sum_d) AS sum_d,
    sum(s.n * s.n) AS sum_nn,
    min(t.sum_dd) AS sum_dd,
    sum(s.n * s.d) AS sum_nd
FROM shared AS s
INNER JOIN totals AS t
    ON t.segment = s.segment AND t.grain = s.grain AND t.from_stage = s.from_stage
GROUP BY s.segment, s.grain, s.from_stage, s.to_stage
