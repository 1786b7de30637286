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
-- scope 0 is everything; buyers are there twice more: before (1) and after (2) their first order
pairs AS (
    SELECT
        c.scope,
        m.grain,
        m.from_stage,
        m.to_stage,
        m.customer_id,
        min(m.main_device) AS main_device,
        k.first_order_at IS NOT NULL AS is_buyer,
        CAST(count(*) AS DOUBLE) AS n
    FROM moves AS m
    LEFT JOIN kpis.journey_keys AS k ON k.customer_id = m.customer_id
    INNER JOIN (SELECT unnest([0, 1, 2]) AS scope) AS c
        ON c.scope = 0 OR (k.first_order_at IS NOT NULL AND m.bought_before = (c.scope = 2))
    GROUP BY c.scope, m.grain, m.from_stage, m.to_stage, m.customer_id, k.first_order_at IS NOT NULL
),
leaving AS (
    SELECT
        scope,
        grain,
        from_stage,
        customer_id,
        min(main_device) AS main_device,
        bool_or(is_buyer) AS is_buyer,
        sum(n) AS d
    FROM pairs
    GROUP BY scope, grain, from_stage, customer_id
),
scopes AS (
    SELECT
        g.segment,
        g.device,
        b.is_buyer,
        CASE
            WHEN g.bought_before IS NULL THEN 0
            WHEN g.bought_before THEN 2
            WHEN b.is_buyer THEN 1
            ELSE 0
        END AS scope
    FROM config.segments AS g
    CROSS JOIN (SELECT unnest([TRUE, FALSE]) AS is_buyer) AS b
),
-- sums of squares per customer add up over groups of customers, so groups are made before segments
pair_sums AS (
    SELECT
        s.scope,
        s.is_buyer,
        s.main_device,
        s.grain,
        s.from_stage,
        s.to_stage,
        count(*) AS customers,
        sum(s.n) AS n,
        sum(s.n * s.n) AS nn,
        sum(s.n * l.d) AS nd
    FROM pairs AS s
    INNER JOIN leaving AS l
        ON l.scope = s.scope
        AND l.grain = s.grain
        AND l.from_stage = s.from_stage
        AND l.customer_id = s.customer_id
    GROUP BY s.scope, s.is_buyer, s.main_device, s.grain, s.from_stage, s.to_stage
),
from_sums AS (
    SELECT
        scope,
        is_buyer,
        main_device,
        grain,
        from_stage,
        count(*) AS clusters,
        sum(d) AS d,
        sum(d * d) AS dd
    FROM leaving
    GROUP BY scope, is_buyer, main_device, grain, from_stage
),
segment_totals AS (
    SELECT
        g.segment,
        f.grain,
        f.from_stage,
        sum(f.clusters) AS clusters,
        sum(f.d) AS sum_d,
        sum(f.dd) AS sum_dd
    FROM from_sums AS f
    INNER JOIN scopes AS g
        ON g.scope = f.scope AND g.is_buyer = f.is_buyer AND (g.device IS NULL OR g.device = f.main_device)
    GROUP BY g.segment, f.grain, f.from_stage
)
SELECT
    g.segment,
    p.grain,
    p.from_stage,
    p.to_stage,
    sum(p.customers) AS customers,
    sum(p.n) AS n,
    min(t.clusters) AS clusters,
    min(t.sum_d) AS sum_d,
    sum(p.nn) AS sum_nn,
    min(t.sum_dd) AS sum_dd,
    sum(p.nd) AS sum_nd
FROM pair_sums AS p
INNER JOIN scopes AS g
    ON g.scope = p.scope AND g.is_buyer = p.is_buyer AND (g.device IS NULL OR g.device = p.main_device)
INNER JOIN segment_totals AS t
    ON t.segment = g.segment AND t.grain = p.grain AND t.from_stage = p.from_stage
GROUP BY g.segment, p.grain, p.from_stage, p.to_stage
