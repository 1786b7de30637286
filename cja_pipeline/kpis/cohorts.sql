-- Buyers by month of their first order, and what they did in each month since. A month that is not over yet is
-- unobserved: its cells are null, not 0.
WITH dated AS (
    SELECT
        o.customer_id,
        o.order_id,
        o.net_revenue,
        CAST(date_trunc('month', o.business_date) AS DATE) AS month,
        row_number() OVER (PARTITION BY o.customer_id ORDER BY o.ordered_at, o.order_id) AS nth
    FROM customers.orders AS o
),
firsts AS (
    SELECT customer_id, month AS cohort_month
    FROM dated
    WHERE nth = 1
),
sizes AS (
    SELECT cohort_month, count(*) AS customers
    FROM firsts
    GROUP BY cohort_month
),
activity AS (
    SELECT
        f.cohort_month,
        date_diff('month', f.cohort_month, d.month) AS period,
        d.customer_id,
        CAST(sum(d.net_revenue) AS DOUBLE) AS revenue,
        -- in the month of the first order only a further order is a return
        max(CASE WHEN d.nth > 1 THEN 1 ELSE 0 END) AS returned
    FROM dated AS d
    INNER JOIN firsts AS f ON f.customer_id = d.customer_id
    GROUP BY f.cohort_month, date_diff('month', f.cohort_month, d.month), d.customer_id
),
sums AS (
    SELECT
        cohort_month,
        period,
        sum(returned) AS active,
        sum(revenue) AS revenue,
        sum(revenue * revenue) AS revenue_squares
    FROM activity
    GROUP BY cohort_month, period
),
months AS (
    SELECT DISTINCT month FROM dated
),
grid AS (
    SELECT
        s.cohort_month,
        s.customers,
        date_diff('month', s.cohort_month, m.month) AS period,
        -- observed in full when the day after the month's last is already there
        m.month + INTERVAL '1' MONTH <= CAST(p.last_day AS TIMESTAMP) + INTERVAL '1' DAY AS complete
    FROM sizes AS s
    INNER JOIN months AS m ON m.month >= s.cohort_month
    CROSS JOIN config.journey_params AS p
)
SELECT
    g.cohort_month,
    g.period,
    g.customers,
    CASE WHEN g.complete THEN coalesce(u.active, 0) END AS active,
    CASE WHEN g.complete THEN coalesce(u.revenue, 0) END AS revenue,
    coalesce(u.revenue_squares, 0) AS revenue_squares
FROM grid AS g
LEFT JOIN sums AS u ON u.cohort_month = g.cohort_month AND u.period = g.period
