-- People on the mailing list at each mailing: who got it, how active they were before it, and whether they ordered
-- after it. Who is on the list is decided before the mailing, so that signing up for mails, leaving the list and
-- automatic messages that answer what people do (a filled cart, an order) are not mistaken for effects of mail.
WITH drawn AS (
    SELECT customer_id
    FROM customers.customers
    WHERE substr(md5(customer_id), 1, 6) <= $drawn
),
mails AS (
    SELECT t.campaign, t.business_date AS day, t.customer_id, min(t.occurred_at) AS sent_at
    FROM customers.touchpoints AS t
    CROSS JOIN config.journey_params AS j
    WHERE t.touchpoint_type = 'email_received' AND t.campaign IS NOT NULL
        AND t.customer_id IN (SELECT customer_id FROM drawn)
        -- who is on the list of the first of them shows in the two feature windows before it
        AND t.business_date > j.last_day - CAST($moments * $outcome_days + 2 * $feature_days AS INTEGER)
    GROUP BY t.campaign, t.business_date, t.customer_id
),
mailings AS (
    SELECT campaign, day, min(sent_at) AS sent_at
    FROM mails
    GROUP BY campaign, day
    HAVING count(*) >= CAST($min_mailed AS INTEGER)
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
        AND g.day > j.last_day - CAST($moments * $outcome_days AS INTEGER)
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
pairs AS (
    SELECT DISTINCT u.campaign, u.day, u.sent_at, g.day AS day_before
    FROM usable AS u
    INNER JOIN mailings AS g ON g.day < u.day AND g.day >= u.day - 2 * CAST($feature_days AS INTEGER)
),
listed AS (
    -- on the list: the last mailing before this one came in the two feature windows before it, and the customer
    -- has not left since
    SELECT p.campaign, p.day, p.sent_at, b.customer_id
    FROM pairs AS p
    INNER JOIN turns AS b ON b.day = p.day_before AND (b.following IS NULL OR b.following >= p.day)
    LEFT JOIN left_list AS l ON l.customer_id = b.customer_id
    WHERE l.left_at IS NULL OR l.left_at >= p.sent_at
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
        p.day,
        p.campaign,
        least(p.visits, 3) AS visits,
        p.carted,
        coalesce(c.first_order_at < CAST(p.day AS TIMESTAMP), FALSE) AS bought_earlier,
        b.customer_id IS NOT NULL AS exposed,
        CASE WHEN p.ordered = 1 THEN p.customer_id END AS customer_id,
        count(*) AS customers,
        sum(p.ordered) AS ordered
    FROM people AS p
    LEFT JOIN bulk AS b ON b.campaign = p.campaign AND b.day = p.day AND b.customer_id = p.customer_id
    LEFT JOIN customers.customers AS c ON c.customer_id = p.customer_id
    GROUP BY
        p.day,
        p.campaign,
        least(p.visits, 3),
        p.carted,
        coalesce(c.first_order_at < CAST(p.day AS TIMESTAMP), FALSE),
        b.customer_id IS NOT NULL,
        CASE WHEN p.ordered = 1 THEN p.customer_id END
),
ranked AS (
    SELECT *, dense_rank() OVER (ORDER BY day, campaign, visits, carted, bought_earlier) AS stratum
    FROM judged
),
marked AS (
    SELECT '' AS feature, * FROM ranked
    UNION ALL
    SELECT 'email_received', * FROM ranked WHERE exposed
)
SELECT
    feature,
    stratum,
    customer_id,
    sum(customers) AS customers,
    sum(ordered) AS ordered
FROM marked
GROUP BY feature, stratum, customer_id
ORDER BY feature, stratum, customer_id
