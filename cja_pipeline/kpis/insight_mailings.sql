-- People on the mailing list at each mailing: who got it, how active they were before it, and whether they ordered
-- after it. Who is on the list is decided before the mailing, so that signing up for mails, leaving the list and
-- automatic messages that answer what people do (a filled cart, an order) are not mistaken for effects of mail.
WITH mails AS (
    SELECT campaign, business_date AS day, customer_id, min(occurred_at) AS sent_at
    FROM customers.touchpoints
    WHERE touchpoint_type = 'email_received' AND campaign IS NOT NULL
    GROUP BY campaign, business_date, customer_id
),
mailings AS (
    SELECT campaign, day, min(sent_at) AS sent_at
    FROM mails
    GROUP BY campaign, day
    HAVING count(*) >= CAST($min_exposed AS INTEGER) / 4
),
bulk AS (
    SELECT m.campaign, m.day, m.customer_id
    FROM mails AS m
    INNER JOIN mailings AS g ON g.campaign = m.campaign AND g.day = m.day
),
usable AS (
    SELECT g.campaign, g.day, g.sent_at
    FROM mailings AS g
    CROSS JOIN config.journey_params AS j
    CROSS JOIN config.params AS p
    WHERE g.day - CAST($feature_days AS INTEGER) >= p.first_day
        AND g.day + CAST($outcome_days AS INTEGER) - 1 <= j.last_day
),
left_list AS (
    SELECT customer_id, min(occurred_at) AS left_at
    FROM customers.touchpoints
    WHERE touchpoint_type = 'email_unsubscribed'
    GROUP BY customer_id
),
turns AS (
    SELECT customer_id, day, lead(day) OVER (PARTITION BY customer_id ORDER BY day) AS following
    FROM (SELECT DISTINCT customer_id, day FROM bulk) AS mailed
),
listed AS (
    -- on the list: the last mailing before this one came in the two feature windows before it, and the customer
    -- has not left since
    SELECT u.campaign, u.day, u.sent_at, b.customer_id
    FROM usable AS u
    INNER JOIN turns AS b
        ON b.day < u.day
        AND (b.following IS NULL OR b.following >= u.day)
        AND b.day >= u.day - 2 * CAST($feature_days AS INTEGER)
    LEFT JOIN left_list AS l ON l.customer_id = b.customer_id
    WHERE l.left_at IS NULL OR l.left_at >= u.sent_at
),
people AS (
    SELECT
        p.campaign,
        p.day,
        p.customer_id,
        count(CASE WHEN t.occurred_at < p.sent_at AND t.touchpoint_type = 'visit' THEN 1 END) AS visits,
        max(CASE WHEN t.occurred_at < p.sent_at AND t.touchpoint_type = 'add_to_cart' THEN 1 ELSE 0 END) AS carted,
        max(CASE WHEN t.occurred_at >= p.sent_at AND t.touchpoint_type IN ('purchase', 'store_order', 'phone_order', 'other_order') THEN 1 ELSE 0 END)
            AS ordered
    FROM listed AS p
    LEFT JOIN customers.touchpoints AS t
        ON t.customer_id = p.customer_id
        AND t.business_date >= p.day - CAST($feature_days AS INTEGER)
        AND t.business_date < p.day + CAST($outcome_days AS INTEGER)
        AND t.touchpoint_type IN ('visit', 'add_to_cart', 'purchase', 'store_order', 'phone_order', 'other_order')
    GROUP BY p.campaign, p.day, p.customer_id
),
judged AS (
    SELECT
        p.customer_id,
        p.ordered,
        b.customer_id IS NOT NULL AS exposed,
        dense_rank() OVER (
            ORDER BY
                p.day,
                p.campaign,
                least(p.visits, 3),
                p.carted,
                coalesce(c.first_order_at < CAST(p.day AS TIMESTAMP), FALSE)
        ) AS stratum
    FROM people AS p
    LEFT JOIN bulk AS b ON b.campaign = p.campaign AND b.day = p.day AND b.customer_id = p.customer_id
    LEFT JOIN customers.customers AS c ON c.customer_id = p.customer_id
),
marked AS (
    SELECT '' AS feature, customer_id, ordered, stratum
    FROM judged
    UNION ALL
    SELECT 'email_received', customer_id, ordered, stratum
    FROM judged
    WHERE exposed
)
SELECT
    feature,
    stratum,
    CASE WHEN ordered = 1 THEN customer_id END AS customer_id,
    count(*) AS customers,
    sum(ordered) AS ordered
FROM marked
GROUP BY feature, stratum, CASE WHEN ordered = 1 THEN customer_id END
ORDER BY feature, stratum, customer_id
