-- Touches that may earn credit: those of ordered journeys within the lookback of the order, and those of
-- journeys that ended without one. Open journeys are left out: nobody knows yet how they end.
SELECT
    dense_rank() OVER (ORDER BY j.outcome DESC, j.journey_id) - 1 AS path,
    j.outcome = 'purchase' AS ordered,
    coalesce(t.channel, 'Unassigned') AS channel,
    coalesce(t.campaign, '(none)') AS campaign,
    date_diff('second', t.occurred_at, j.ended_at) / 86400.0 AS days,
    j.value,
    NOT j.bought_before AS is_new
FROM kpis.journey_touches AS t
INNER JOIN kpis.journeys AS j ON j.journey_id = t.journey_id
CROSS JOIN config.journey_params AS p
WHERE
    t.earns_credit
    AND j.outcome <> 'open'
    AND j.ended_at >= p.credit_from
    AND date_diff('second', t.occurred_at, j.ended_at) <= p.lookback_days * 86400
ORDER BY path, t.position
