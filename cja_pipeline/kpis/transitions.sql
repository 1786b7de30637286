-- What follows what: stages of the journey, and steps of purchase attempts. One customer counts as one witness,
-- so the clustered interval needs sums of squares of what each customer did.
WITH scopes AS (
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
-- they add up over groups of customers, so groups are made before segments
pair_sums AS (
    SELECT
        scope,
        is_buyer,
        main_device,
        grain,
        from_stage,
        to_stage,
        count(*) AS customers,
        count(CASE WHEN is_first THEN 1 END) AS clusters,
        CAST(sum(n) AS DOUBLE) AS n,
        CAST(sum(n * n) AS DOUBLE) AS nn,
        CAST(sum(n * leaving) AS DOUBLE) AS nd
    FROM kpis.journey_moves
    GROUP BY scope, is_buyer, main_device, grain, from_stage, to_stage
),
by_segment AS (
    SELECT
        g.segment,
        p.grain,
        p.from_stage,
        p.to_stage,
        sum(p.customers) AS customers,
        sum(p.clusters) AS clusters,
        sum(p.n) AS n,
        sum(p.nn) AS nn,
        sum(p.nd) AS nd
    FROM pair_sums AS p
    INNER JOIN scopes AS g
        ON g.scope = p.scope AND g.is_buyer = p.is_buyer AND (g.device IS NULL OR g.device = p.main_device)
    GROUP BY g.segment, p.grain, p.from_stage, p.to_stage
)
SELECT
    segment,
    grain,
    from_stage,
    to_stage,
    customers,
    n,
    sum(clusters) OVER leaving AS clusters,
    sum(n) OVER leaving AS sum_d,
    nn AS sum_nn,
    -- a customer's moves from a stage, each times all of them, are the square of all of them
    sum(nd) OVER leaving AS sum_dd,
    nd AS sum_nd
FROM by_segment
WINDOW leaving AS (PARTITION BY segment, grain, from_stage)
