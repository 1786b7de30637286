-- Each customer's moves: from stage to stage, and from step to step of purchase attempts.
WITH spells AS (
    SELECT
        s.customer_id,
        s.stage AS item,
        lag(s.stage) OVER (PARTITION BY s.customer_id ORDER BY s.entered_at, s.entry_touchpoint_id) AS item_before,
        lead(s.stage) OVER (PARTITION BY s.customer_id ORDER BY s.entered_at, s.entry_touchpoint_id) AS item_after,
        k.is_idle,
        coalesce(s.entered_at > k.first_order_at, FALSE) AS bought_before
    FROM customers.stage_spells AS s
    LEFT JOIN kpis.journey_keys AS k ON k.customer_id = s.customer_id
),
stage_moves AS (
    SELECT
        'stage' AS grain,
        customer_id,
        item AS from_stage,
        CASE WHEN item_after IS NOT NULL THEN item_after WHEN is_idle THEN 'exit' ELSE 'open' END AS to_stage,
        bought_before
    FROM spells
    UNION ALL
    SELECT 'stage', customer_id, 'start', item, bought_before
    FROM spells
    WHERE item_before IS NULL
),
steps AS (
    SELECT
        journey_id,
        position,
        item,
        lag(item) OVER (PARTITION BY journey_id ORDER BY position) AS item_before
    FROM kpis.journey_touches
    WHERE in_path
),
collapsed AS (
    SELECT
        journey_id,
        item,
        item_before,
        lead(item) OVER (PARTITION BY journey_id ORDER BY position) AS item_after
    FROM steps
    WHERE item_before IS NULL OR item_before <> item
),
touch_moves AS (
    SELECT
        'touchpoint' AS grain,
        j.customer_id,
        c.item AS from_stage,
        coalesce(c.item_after, j.outcome) AS to_stage,
        j.bought_before
    FROM collapsed AS c
    INNER JOIN kpis.journeys AS j ON j.journey_id = c.journey_id
    UNION ALL
    SELECT 'touchpoint', j.customer_id, 'start', c.item, j.bought_before
    FROM collapsed AS c
    INNER JOIN kpis.journeys AS j ON j.journey_id = c.journey_id
    WHERE c.item_before IS NULL
    UNION ALL
    SELECT 'touchpoint', customer_id, 'start', outcome, bought_before
    FROM kpis.journeys
    WHERE steps = 0
),
moves AS (
    SELECT * FROM stage_moves
    UNION ALL
    SELECT * FROM touch_moves
),
-- scope 0 is everything; buyers are there twice more: before (1) and after (2) their first order
pairs AS (
    SELECT
        m.customer_id,
        c.scope,
        m.grain,
        m.from_stage,
        m.to_stage,
        k.main_device,
        k.first_order_at IS NOT NULL AS is_buyer,
        count(*) AS n
    FROM moves AS m
    LEFT JOIN kpis.journey_keys AS k ON k.customer_id = m.customer_id
    INNER JOIN (SELECT unnest([0, 1, 2]) AS scope) AS c
        ON c.scope = 0 OR (k.first_order_at IS NOT NULL AND m.bought_before = (c.scope = 2))
    GROUP BY
        m.customer_id, c.scope, m.grain, m.from_stage, m.to_stage, k.main_device, k.first_order_at IS NOT NULL
)
SELECT
    *,
    sum(n) OVER (PARTITION BY customer_id, scope, grain, from_stage) AS leaving,
    row_number() OVER (PARTITION BY customer_id, scope, grain, from_stage ORDER BY to_stage) = 1 AS is_first
FROM pairs
