"""What hurts, what changed, what goes with buying: the three tables that people act on."""

from __future__ import annotations

from cja_pipeline.kpis.anomalies import build_anomalies
from cja_pipeline.kpis.friction import build_friction
from cja_pipeline.kpis.insights import build_insights
from cja_pipeline.warehouse import Warehouse


def build_findings(wh: Warehouse) -> dict[str, int]:
    """Write ``kpis.friction``, ``kpis.anomalies`` and ``kpis.insights``.

    Returns:
        Rows of each (anomalies: findings, series judged, series still too young), and the proven friction.
    """
    friction = build_friction(wh)
    anomalies = build_anomalies(wh)
    insights = build_insights(wh)
    proven = int(wh.scalar("SELECT count(*) FROM kpis.friction WHERE status = 'proven'"))
    return {"friction": friction, "friction_proven": proven, **anomalies, "insights": insights}
