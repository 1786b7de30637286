-- One row per visit of a person: how far it came, what it was worth, and what it has in common with others.
-- Only the days that friction is looked for in.
WITH visits AS (
    SELECT s.*
    FROM customers.sessions AS s
    CROSS JOIN (SELECT max(business_date) AS last_day FROM customers.sessions WHERE NOT is_bot) AS l
    CROSS JOIN config.journey_params AS p
    WHERE NOT s.is_bot AND s.business_date > l.last_day - CAST(p.friction_days AS INTEGER)
),
reached AS (
    SELECT t.session_id, max(s.step) AS step
    FROM customers.touchpoints AS t
    INNER JOIN config.funnel_steps AS s ON s.step_name = t.touchpoint_type
    WHERE t.session_id IN (SELECT session_id FROM visits)
    GROUP BY t.session_id
),
bought AS (
    SELECT session_id, coalesce(sum(net_revenue), 0) AS value
    FROM customers.orders
    WHERE session_id IN (SELECT session_id FROM visits)
    GROUP BY session_id
),
pages AS (
    SELECT
        session_id,
        min(browser) AS browser,
        min(os) AS os,
        -- the first one; of the same moment the one that sorts first
        min_by(page_path, concat(date_diff('microsecond', timestamp '1970-01-01', occurred_at), '|', event_id))
            FILTER (WHERE event_name = 'view_item') AS product_page
    FROM customers.web_activity
    WHERE session_id IN (SELECT session_id FROM visits)
    GROUP BY session_id
),
ends AS (
    SELECT max(step) AS last_step FROM config.funnel_steps
)
SELECT
    v.session_id,
    v.customer_id,
    v.business_date AS day,
    CASE WHEN b.session_id IS NOT NULL OR v.order_id IS NOT NULL THEN e.last_step ELSE coalesce(r.step, 1) END
        AS furthest,
    CAST(coalesce(b.value, 0) AS DOUBLE) AS value,
    v.errors,
    v.device,
    g.browser,
    g.os,
    v.landing_page,
    -- kind of the first page: a visit that begins on a product has seen one, so only alike beginnings compare
    split_part(coalesce(v.landing_page, ''), '/', 2) AS landing_kind,
    g.product_page,
    v.channel,
    v.country,
    CASE WHEN v.is_new_visitor THEN 'new' ELSE 'returning' END AS visitor
FROM visits AS v
CROSS JOIN ends AS e
LEFT JOIN reached AS r ON r.session_id = v.session_id
LEFT JOIN bought AS b ON b.session_id = v.session_id
LEFT JOIN pages AS g ON g.session_id = v.session_id
