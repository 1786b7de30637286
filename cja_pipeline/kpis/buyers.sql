-- One row per buyer. Orders of one business day count as one purchase; ages are in days of the shop's zone.
WITH purchases AS (
    SELECT
        o.customer_id,
        o.business_date AS day,
        count(*) AS orders,
        coalesce(sum(o.net_revenue), 0) AS spent
    FROM customers.orders AS o
    GROUP BY o.customer_id, o.business_date
),
placed AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY customer_id ORDER BY day) AS nth
    FROM purchases
),
buyers AS (
    SELECT
        customer_id,
        sum(orders) AS orders,
        count(*) - 1 AS frequency,
        min(day) AS first_day,
        max(day) AS newest_day,
        sum(spent) AS net_revenue,
        avg(CASE WHEN nth > 1 THEN CAST(spent AS DOUBLE) END) AS monetary
    FROM placed
    GROUP BY customer_id
)
SELECT
    b.customer_id,
    b.orders,
    b.frequency,
    CAST(date_diff('day', b.first_day, b.newest_day) AS DOUBLE) AS recency_days,
    CAST(greatest(date_diff('day', b.first_day, p.last_day), date_diff('day', b.first_day, b.newest_day)) AS DOUBLE) AS age_days,
    CAST(greatest(date_diff('day', b.newest_day, p.last_day), 0) AS DOUBLE) AS days_since_order,
    b.monetary,
    b.net_revenue,
    -- ties share a score, whatever the order of rows
    CAST(greatest(1, ceil(5 * cume_dist() OVER (ORDER BY b.newest_day))) AS BIGINT) AS r_score,
    least(b.orders, 5) AS f_score,
    CAST(greatest(1, ceil(5 * cume_dist() OVER (ORDER BY b.net_revenue))) AS BIGINT) AS m_score
FROM buyers AS b
CROSS JOIN config.journey_params AS p
ORDER BY b.customer_id
