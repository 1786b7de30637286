-- The commonest paths of each segment and outcome; rare ones are pooled so that the rows still sum to everything.
WITH tagged AS (
    SELECT
        s.segment,
        j.outcome,
        j.path,
        j.steps,
        j.customer_id,
        j.value
    FROM kpis.journeys AS j
    INNER JOIN config.segments AS s
        ON (s.device IS NULL OR s.device = j.main_device)
        AND (s.bought_before IS NULL OR s.bought_before = j.bought_before)
),
counted AS (
    SELECT
        segment,
        outcome,
        path,
        min(steps) AS steps,
        count(*) AS journeys,
        count(DISTINCT customer_id) AS customers
    FROM tagged
    GROUP BY segment, outcome, path
),
ranked AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY segment, outcome ORDER BY journeys DESC, path) AS place,
        sum(CASE WHEN outcome = 'purchase' THEN journeys ELSE 0 END) OVER (PARTITION BY segment, path) AS bought,
        sum(CASE WHEN outcome <> 'open' THEN journeys ELSE 0 END) OVER (PARTITION BY segment, path) AS closed,
        sum(journeys) OVER (PARTITION BY segment) AS all_journeys
    FROM counted
),
named AS (
    SELECT
        r.*,
        r.place <= q.top_paths AND r.customers >= q.min_customers AS shown
    FROM ranked AS r
    CROSS JOIN config.journey_params AS q
)
SELECT
    t.segment,
    CASE WHEN n.shown THEN t.path ELSE '(other paths)' END AS path,
    CASE WHEN n.shown THEN min(n.steps) END AS steps,
    t.outcome,
    count(*) AS journeys,
    count(DISTINCT t.customer_id) AS customers,
    CAST(count(*) AS DOUBLE) / min(n.all_journeys) AS share,
    CASE WHEN n.shown AND min(n.closed) > 0 THEN CAST(min(n.bought) AS DOUBLE) / min(n.closed) END AS conversion_rate,
    sum(t.value) AS value,
    min(p.currency) AS currency,
    CASE WHEN n.shown THEN min(n.place) END AS rank
FROM tagged AS t
INNER JOIN named AS n ON n.segment = t.segment AND n.outcome = t.outcome AND n.path = t.path
CROSS JOIN config.journey_params AS p
GROUP BY t.segment, t.outcome, n.shown, CASE WHEN n.shown THEN t.path ELSE '(other paths)' END
