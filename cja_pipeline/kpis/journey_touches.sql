-- The one event log cut into purchase attempts: an order ends one, and so does a pause of idle_days.
WITH marks AS (
    SELECT
        t.touchpoint_id AS touch_id,
        t.customer_id,
        t.occurred_at,
        0 AS is_order,
        CASE WHEN t.touchpoint_type = 'visit' THEN t.channel ELSE t.touchpoint_type END AS item,
        t.touchpoint_type,
        t.channel,
        nullif(t.campaign, '') AS campaign,
        k.in_path,
        k.earns_credit,
        CAST(NULL AS VARCHAR) AS order_id,
        CAST(NULL AS DECIMAL(18, 2)) AS value,
        t.business_date
    FROM customers.touchpoints AS t
    INNER JOIN config.journey_touches AS k ON k.touchpoint_type = t.touchpoint_type
    UNION ALL
    SELECT
        'order:' || order_id,
        customer_id,
        ordered_at,
        1,
        'purchase',
        'order',
        NULL,
        NULL,
        FALSE,
        FALSE,
        order_id,
        net_revenue,
        business_date
    FROM customers.orders
),
flow AS (
    SELECT
        *,
        lag(occurred_at) OVER in_time AS before_at,
        lag(is_order) OVER in_time AS before_is_order,
        row_number() OVER in_time AS place
    FROM marks
    WINDOW in_time AS (PARTITION BY customer_id ORDER BY occurred_at, is_order, touch_id)
),
begun AS (
    SELECT
        f.*,
        CASE
            WHEN f.before_at IS NULL OR f.before_is_order = 1 THEN 1
            WHEN date_diff('second', f.before_at, f.occurred_at) > p.idle_days * 86400 THEN 1
            ELSE 0
        END AS begins
    FROM flow AS f
    CROSS JOIN config.journey_params AS p
),
numbered AS (
    SELECT
        *,
        sum(begins) OVER so_far AS journey_number,
        max(CASE WHEN begins = 1 THEN place END) OVER so_far AS first_place
    FROM begun
    WINDOW so_far AS (PARTITION BY customer_id ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
)
SELECT
    n.touch_id,
    n.customer_id || '#' || CAST(n.journey_number AS VARCHAR) AS journey_id,
    n.customer_id,
    n.occurred_at,
    n.place - n.first_place + 1 AS position,
    n.item,
    n.touchpoint_type,
    n.channel,
    n.campaign,
    n.in_path,
    n.earns_credit,
    n.order_id,
    n.value,
    n.business_date,
    k.main_device,
    coalesce(n.occurred_at > k.first_order_at, FALSE) AS bought_before
FROM numbered AS n
LEFT JOIN kpis.journey_keys AS k ON k.customer_id = n.customer_id
