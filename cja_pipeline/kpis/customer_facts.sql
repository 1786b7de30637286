-- What groups and audiences are defined by. One row per customer; machines are left out.
WITH recent AS (
    SELECT
        t.customer_id,
        count(CASE WHEN t.touchpoint_type = 'product_view' THEN 1 END) AS product_views,
        count(CASE WHEN t.touchpoint_type = 'search' THEN 1 END) AS searches,
        count(CASE WHEN t.touchpoint_type = 'add_to_cart' THEN 1 END) AS carts,
        count(CASE WHEN t.touchpoint_type = 'email_clicked' THEN 1 END) AS mail_clicks,
        count(CASE WHEN t.touchpoint_type = 'ticket' THEN 1 END) AS tickets
    FROM customers.touchpoints AS t
    CROSS JOIN config.params AS p
    WHERE t.business_date > p.last_day - 90
    GROUP BY t.customer_id
),
ever AS (
    SELECT
        t.customer_id,
        count(CASE WHEN t.touchpoint_type = 'referral' THEN 1 END) AS referrals,
        count(CASE WHEN t.touchpoint_type = 'share' THEN 1 END) AS shares,
        max(CASE WHEN t.touchpoint_type = 'add_to_cart' THEN t.business_date END) AS cart_on,
        max(t.business_date) AS seen_on
    FROM customers.touchpoints AS t
    GROUP BY t.customer_id
),
purchases AS (
    SELECT
        o.customer_id,
        o.business_date,
        o.discount,
        o.sales_channel,
        lag(o.business_date) OVER (PARTITION BY o.customer_id ORDER BY o.ordered_at, o.order_id) AS before_on,
        row_number() OVER (PARTITION BY o.customer_id ORDER BY o.ordered_at DESC, o.order_id DESC) AS back
    FROM customers.orders AS o
),
bought AS (
    SELECT
        customer_id,
        max(business_date) AS ordered_on,
        max(CASE WHEN back = 1 THEN date_diff('day', before_on, business_date) END) AS last_gap,
        count(CASE WHEN discount > 0 THEN 1 END) AS discounted,
        count(CASE WHEN sales_channel <> 'web' THEN 1 END) AS offline
    FROM purchases
    GROUP BY customer_id
),
valued AS (
    SELECT
        v.customer_id,
        v.rfm_segment,
        v.p_active_90d,
        v.clv_12m,
        v.clv_12m_low,
        v.clv_12m_high,
        -- ties share a fifth, whatever the order of rows
        CASE
            WHEN v.clv_12m IS NOT NULL
                THEN CAST(greatest(1, ceil(5 * cume_dist() OVER (PARTITION BY v.clv_12m IS NULL ORDER BY v.clv_12m))) AS BIGINT)
        END AS value_fifth
    FROM kpis.customer_value AS v
    INNER JOIN customers.customers AS c ON c.customer_id = v.customer_id
    WHERE NOT c.is_bot
)
SELECT
    c.customer_id,
    c.is_known,
    c.country,
    c.language,
    c.acquisition_channel,
    c.sessions AS visits,
    c.orders,
    c.net_revenue,
    date_diff('day', b.ordered_on, p.last_day) AS days_since_order,
    b.last_gap AS days_between_last_orders,
    date_diff('day', e.cart_on, p.last_day) AS days_since_cart,
    date_diff('day', e.seen_on, p.last_day) AS days_since_seen,
    coalesce(b.discounted, 0) AS discounted_orders,
    coalesce(b.offline, 0) AS offline_orders,
    coalesce(r.product_views, 0) AS product_views_90d,
    coalesce(r.searches, 0) AS searches_90d,
    coalesce(r.carts, 0) AS carts_90d,
    coalesce(r.mail_clicks, 0) AS mail_clicks_90d,
    coalesce(r.tickets, 0) AS tickets_90d,
    coalesce(e.referrals, 0) AS referrals,
    coalesce(e.shares, 0) AS shares,
    c.last_nps,
    c.open_tickets,
    v.rfm_segment,
    v.p_active_90d,
    v.clv_12m,
    v.clv_12m_low,
    v.clv_12m_high,
    v.value_fifth,
    c.consent_marketing,
    c.email_status
FROM customers.customers AS c
CROSS JOIN config.params AS p
LEFT JOIN recent AS r ON r.customer_id = c.customer_id
LEFT JOIN ever AS e ON e.customer_id = c.customer_id
LEFT JOIN bought AS b ON b.customer_id = c.customer_id
LEFT JOIN valued AS v ON v.customer_id = c.customer_id
WHERE NOT c.is_bot
