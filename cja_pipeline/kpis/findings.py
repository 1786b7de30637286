"""What hurts, what changed, what goes with buying, what experiments say: the tables that people act on."""

from __future__ import annotations

from cja_pipeline.kpis.anomalies import build_anomalies
from cja_pipeline.kpis.experiments import build_experiments
from cja_pipeline.kpis.friction import build_friction
from cja_pipeline.kpis.insights import build_insights
from cja_pipeline.warehouse import Warehouse


def build_findings(wh: Warehouse) -> dict[str, int]:
    """Write ``kpis.friction``, ``kpis.anomalies``, ``kpis.insights`` and ``kpis.experiments``.

    Returns:
        Rows of each (anomalies: findings, series judged, series still too young), the proven friction, and
        experiments with a broken split.
    """
    friction = build_friction(wh)
    anomalies = build_anomalies(wh)
    insights = build_insights(wh)
    proven = int(wh.scalar("SELECT count(*) FROM kpis.friction WHERE status = 'proven'"))
    experiments = build_experiments(wh)
    return {"friction": friction, "friction_proven": proven, **anomalies, "insights": insights, **experiments}
