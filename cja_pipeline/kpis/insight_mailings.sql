-- People on the mailing list at each mailing: who got it, how active they were before it, and whether they ordered
-- after it. Who is on the list is decided before the mailing, so that signing up for mails, leaving the list and
-- automatic messages that answer what people do (a filled cart, an order) are not mistaken for effects of mail.
WITH drawn AS (
    -- numbers stand for the ids, which are long to compare
    SELECT customer_id, first_order_at, row_number() OVER (ORDER BY customer_id) AS person
    FROM customers.customers
    WHERE substr(md5(customer_id), 1, 6) <= $drawn
),
mails AS (
    SELECT t.campaign, t.business_date AS day, d.person, min(t.occurred_at) AS sent_at
    FROM customers.touchpoints AS t
    INNER JOIN drawn AS d ON d.customer_id = t.customer_id
    CROSS JOIN config.journey_params AS j
    WHERE t.touchpoint_type = 'email_received' AND t.campaign IS NOT NULL
        -- who is on the list of the first of them shows in the two feature windows before it
        AND t.business_date > j.last_day - CAST($moments * $outcome_days + 2 * $feature_days AS INTEGER)
    GROUP BY t.campaign, t.business_date, d.person
),
mailings AS (
    SELECT campaign, day, min(sent_at) AS sent_at, row_number() OVER (ORDER BY day, campaign) AS mailing
    FROM mails
    GROUP BY campaign, day
    HAVING count(*) >= CAST($min_mailed AS INTEGER)
),
bulk AS (
    SELECT g.mailing, m.day, m.person
    FROM mails AS m
    INNER JOIN mailings AS g ON g.campaign = m.campaign AND g.day = m.day
),
usable AS (
    SELECT g.mailing, g.campaign, g.day, g.sent_at
    FROM mailings AS g
    CROSS JOIN config.journey_params AS j
    CROSS JOIN config.params AS p
    WHERE g.day - CAST($feature_days AS INTEGER) >= p.first_day
        AND g.day + CAST($outcome_days AS INTEGER) - 1 <= j.last_day
        AND g.day > j.last_day - CAST($moments * $outcome_days AS INTEGER)
),
left_list AS (
    SELECT d.person, min(t.occurred_at) AS left_at
    FROM customers.touchpoints AS t
    INNER JOIN drawn AS d ON d.customer_id = t.customer_id
    WHERE t.touchpoint_type = 'email_unsubscribed'
    GROUP BY d.person
),
turns AS (
    SELECT person, day, lead(day) OVER (PARTITION BY person ORDER BY day) AS following
    FROM (SELECT DISTINCT person, day FROM bulk) AS mailed
),
pairs AS (
    SELECT DISTINCT u.mailing, u.day, u.sent_at, g.day AS day_before
    FROM usable AS u
    INNER JOIN mailings AS g ON g.day < u.day AND g.day >= u.day - 2 * CAST($feature_days AS INTEGER)
),
listed AS (
    -- on the list: the last mailing before this one came in the two feature windows before it, and the customer
    -- has not left since
    SELECT p.mailing, p.day, p.sent_at, b.person
    FROM pairs AS p
    INNER JOIN turns AS b ON b.day = p.day_before AND (b.following IS NULL OR b.following >= p.day)
    LEFT JOIN left_list AS l ON l.person = b.person
    WHERE l.left_at IS NULL OR l.left_at >= p.sent_at
),
acts AS (
    SELECT d.person, t.business_date, t.occurred_at, t.touchpoint_type
    FROM customers.touchpoints AS t
    INNER JOIN drawn AS d ON d.customer_id = t.customer_id
    WHERE t.touchpoint_type IN ('visit', 'add_to_cart', 'purchase', 'store_order', 'phone_order', 'other_order')
        AND t.business_date >= (SELECT min(day) - CAST($feature_days AS INTEGER) FROM usable)
),
people AS (
    SELECT
        p.mailing,
        p.person,
        count(CASE WHEN t.occurred_at < p.sent_at AND t.touchpoint_type = 'visit' THEN 1 END) AS visits,
        max(CASE WHEN t.occurred_at < p.sent_at AND t.touchpoint_type = 'add_to_cart' THEN 1 ELSE 0 END) AS carted,
        max(CASE WHEN t.occurred_at >= p.sent_at AND t.touchpoint_type IN ('purchase', 'store_order', 'phone_order', 'other_order') THEN 1 ELSE 0 END)
            AS ordered
    FROM listed AS p
    LEFT JOIN acts AS t
        ON t.person = p.person
        AND t.business_date >= p.day - CAST($feature_days AS INTEGER)
        AND t.business_date < p.day + CAST($outcome_days AS INTEGER)
    GROUP BY p.mailing, p.person
),
judged AS (
    SELECT
        u.day,
        u.campaign,
        least(p.visits, 3) AS visits,
        p.carted,
        coalesce(d.first_order_at < CAST(u.day AS TIMESTAMP), FALSE) AS bought_earlier,
        b.person IS NOT NULL AS exposed,
        CASE WHEN p.ordered = 1 THEN d.customer_id END AS customer_id,
        count(*) AS customers,
        sum(p.ordered) AS ordered
    FROM people AS p
    INNER JOIN usable AS u ON u.mailing = p.mailing
    INNER JOIN drawn AS d ON d.person = p.person
    LEFT JOIN bulk AS b ON b.mailing = p.mailing AND b.person = p.person
    GROUP BY
        u.day,
        u.campaign,
        least(p.visits, 3),
        p.carted,
        coalesce(d.first_order_at < CAST(u.day AS TIMESTAMP), FALSE),
        b.person IS NOT NULL,
        CASE WHEN p.ordered = 1 THEN d.customer_id END
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
