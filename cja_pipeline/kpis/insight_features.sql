-- Customers at each moment of comparison: what they did or met in the feature window, how active they were, and
-- whether they ordered in the outcome window after it. Moments are an outcome window apart; feature '' is everybody.
-- Customers who ordered have a row each, because one customer's moments are not independent.
WITH moments AS (
    SELECT
        p.last_day - CAST($outcome_days * (n.step + 1) AS INTEGER) AS cut_day,
        n.step
    FROM config.journey_params AS p
    CROSS JOIN (SELECT unnest(generate_series(0, CAST($moments AS INTEGER) - 1)) AS step) AS n
),
usable AS (
    SELECT m.cut_day
    FROM moments AS m
    CROSS JOIN config.params AS p
    -- as long again before the feature window, so that the standing with the shop before it is known
    WHERE m.cut_day - CAST(2 * $feature_days AS INTEGER) + 1 >= p.first_day
),
drawn AS (
    SELECT customer_id
    FROM customers.customers
    WHERE substr(md5(customer_id), 1, 6) <= $drawn
),
seen AS (
    SELECT
        u.cut_day,
        t.customer_id,
        t.touchpoint_type,
        t.channel,
        t.business_date > u.cut_day AS later,
        t.touchpoint_type IN ('purchase', 'store_order', 'phone_order', 'other_order') AS is_order
    FROM usable AS u
    INNER JOIN customers.touchpoints AS t
        ON t.business_date > u.cut_day - CAST($feature_days AS INTEGER)
        AND t.business_date <= u.cut_day + CAST($outcome_days AS INTEGER)
    WHERE t.customer_id IN (SELECT customer_id FROM drawn)
),
people AS (
    SELECT
        s.cut_day,
        s.customer_id,
        -- known, ordered, subscribed before this window: all go with mails and surveys, and with ordering
        coalesce(min(c.known_on) <= s.cut_day - CAST($feature_days AS INTEGER), FALSE) AS is_known,
        coalesce(min(c.bought_on) <= s.cut_day - CAST($feature_days AS INTEGER), FALSE) AS bought_earlier,
        coalesce(min(c.mailed_on) <= s.cut_day - CAST($feature_days AS INTEGER), FALSE) AS mailed_earlier,
        count(CASE WHEN NOT later AND touchpoint_type = 'visit' THEN 1 END) AS visits,
        count(CASE WHEN NOT later AND touchpoint_type = 'product_view' THEN 1 END) AS products,
        max(CASE WHEN NOT later AND touchpoint_type = 'add_to_cart' THEN 1 ELSE 0 END) AS carted,
        max(CASE WHEN NOT later AND touchpoint_type = 'email_received' THEN 1 ELSE 0 END) AS mailed,
        max(CASE WHEN NOT later AND is_order THEN 1 ELSE 0 END) AS bought,
        max(CASE WHEN later AND is_order THEN 1 ELSE 0 END) AS ordered
    FROM seen AS s
    LEFT JOIN (
        SELECT
            customer_id,
            min(known_on) AS known_on,
            min(bought_on) AS bought_on,
            min(mailed_on) AS mailed_on
        FROM (
            SELECT
                customer_id,
                CAST(first_seen_at AS DATE) AS known_on,
                CAST(NULL AS DATE) AS bought_on,
                CAST(NULL AS DATE) AS mailed_on
            FROM customers.identity_links
            WHERE kind IN ('contact', 'profile', 'login')
            UNION ALL
            SELECT customer_id, NULL, business_date, NULL
            FROM customers.orders
            UNION ALL
            SELECT customer_id, NULL, NULL, business_date
            FROM customers.touchpoints
            WHERE touchpoint_type = 'email_received'
        ) AS firsts
        GROUP BY customer_id
    ) AS c ON c.customer_id = s.customer_id
    GROUP BY s.cut_day, s.customer_id
    HAVING count(CASE WHEN NOT later THEN 1 END) > 0
),
features AS (
    SELECT DISTINCT
        s.cut_day,
        s.customer_id,
        CASE WHEN s.touchpoint_type = 'visit' THEN 'channel:' || s.channel ELSE s.touchpoint_type END AS feature
    FROM seen AS s
    LEFT JOIN config.funnel_steps AS f ON f.step_name = s.touchpoint_type
    -- steps of the funnel are what makes customers comparable; they are no findings
    -- getting mail is judged mailing by mailing (insight_mailings.sql); opening it, among those who got it
    WHERE NOT s.later AND NOT s.is_order AND (f.step_name IS NULL OR s.touchpoint_type = 'visit')
        AND s.touchpoint_type <> 'email_received'
    UNION ALL
    SELECT cut_day, customer_id, ''
    FROM people
),
alike AS (
    SELECT
        p.*,
        -- alike: same moment, same standing with the shop before, as active in the window
        dense_rank() OVER (
            ORDER BY
                p.cut_day,
                p.is_known,
                p.bought_earlier,
                p.mailed_earlier,
                p.mailed,
                least(p.visits, 6),
                least(p.products, 6),
                p.carted,
                p.bought
        ) AS stratum
    FROM people AS p
)
SELECT
    f.feature,
    p.stratum,
    CASE WHEN p.ordered = 1 THEN p.customer_id END AS customer_id,
    count(*) AS customers,
    sum(p.ordered) AS ordered
FROM alike AS p
INNER JOIN features AS f ON f.cut_day = p.cut_day AND f.customer_id = p.customer_id
GROUP BY f.feature, p.stratum, CASE WHEN p.ordered = 1 THEN p.customer_id END
ORDER BY f.feature, p.stratum, customer_id
