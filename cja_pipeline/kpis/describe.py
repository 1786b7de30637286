"""The catalogue as a table, and tonight's headline numbers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from cja_pipeline.kpis.catalogue import Catalogue, load_catalogue
from cja_pipeline.kpis.estimates import estimate
from cja_pipeline.kpis.kpi_entry import Kpi, fill
from cja_pipeline.kpis.kpi_sources import load_sources
from cja_pipeline.kpis.objectives import load_objectives
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

HEADLINES = ("net_revenue", "orders", "conversion_rate", "average_order_value", "net_promoter_score")


def describe(catalogue: Catalogue) -> pd.DataFrame:
    """The catalogue as a table, one row per KPI, with its latest target."""
    import pandas as pd

    latest = {o.kpi: o for o in sorted(load_objectives(), key=lambda o: o.effective_from) if o.is_whole}

    rows: list[dict[str, Any]] = []
    for kpi in catalogue:
        objective = latest.get(kpi.id)
        rows.append(
            {
                "kpi_id": kpi.id,
                "stage": kpi.stage,
                "label": kpi.label,
                "description": kpi.description,
                "formula": formula(kpi),
                "kind": kpi.kind,
                "sources": ", ".join(catalogue.tables(kpi)),
                "format": kpi.format,
                "better": kpi.better,
                "window_days": kpi.window_days,
                "min_n": kpi.smallest_n,
                "additive": kpi.additive,
                "dimensions": ", ".join(catalogue.dimensions(kpi)),
                "grains": ", ".join(catalogue.grains(kpi)),
                "objective": objective.objective if objective else None,
                "target": objective.target if objective else None,
                "owner": kpi.owner,
                "unit": unit_of(kpi),
                "interval": interval_of(kpi),
                "version": kpi.version,
                "definition_hash": catalogue.definition_hash(kpi),
            }
        )
    return pd.DataFrame(rows).astype({"window_days": "Int64"})


def formula(kpi: Kpi) -> str:
    """The declared formula in one line of words."""

    def words(text: str | None) -> str:
        if kpi.kind == "derived":
            return str(text)
        if text == "1":
            return f"rows of {kpi.source}"
        filled = fill(str(text), window=kpi.window_days or 0)
        # a weight is read more easily than the SQL for it
        weighted = re.fullmatch(r"case when (.+) then (\d+) else 0 end", filled)
        return f"{weighted[2]} x ({weighted[1]})" if weighted else f"({filled})"

    top, bottom = words(kpi.numerator), words(kpi.denominator)
    text = {
        "count": top,
        "sum": f"sum of {top}",
        "distinct": f"different customers with {top}",
        "proportion": f"customers with {top} / customers with {bottom}",
        "per_unit": f"sum of {top} / customers with {bottom}",
        "nps": f"100 x (share of {top} >= 9 - share of {top} <= 6)",
        "quantile": f"quantile {kpi.at} of {top}",
        "survival": f"share with {top} within {kpi.at} of {words(kpi.duration)}, Kaplan-Meier",
    }.get(kpi.kind, f"{top} / {bottom}")
    if (kpi.scale, kpi.offset) != (1.0, 0.0):
        text = f"{kpi.scale:g} x {text} {'+' if kpi.offset >= 0 else '-'} {abs(kpi.offset):g}"
    if kpi.complement:
        text = f"1 - {text}"
    return f"{text}, where {kpi.where}" if kpi.where else text


def unit_of(kpi: Kpi) -> str:
    """What a KPI counts and its interval is clustered by, in words."""
    if kpi.kind == "derived":
        return "as its parts"
    if kpi.kind == "nps":
        return "answer"
    source = load_sources()[str(kpi.source)]
    return "customer" if source.people else "row as delivered"


def interval_of(kpi: Kpi) -> str:
    """Method of a KPI's interval, as its published rows name it; ``none`` for figures taken as exact."""
    import numpy as np

    if kpi.kind == "derived":
        return "mover"
    if kpi.kind == "survival":
        return "greenwood"
    if kpi.kind == "quantile":
        return "bootstrap" if kpi.interval == "bootstrap" else "woodruff"
    roles = {"n": 30, "d": 60, "units": 50, "nn": 40, "dd": 90, "nd": 45, "promoters": 20, "detractors": 5}
    if kpi.model_low:
        roles |= {"model_low": 25, "model_high": 35}
    sums = {name: np.array([float(value)]) for name, value in roles.items()}
    return str(estimate(kpi, sums)["ci_method"][0] or "none")


def headline_numbers(wh: Warehouse) -> dict[str, Any]:
    """Tonight's numbers for the asset's page: counts of values, and the last four weeks' headlines.

    Keys carry the unit and stay the same from night to night, so that they plot.
    """
    rows = wh.sql(
        "select kpi_id, value from kpis.kpi_values where grain = 'rolling_28d' and dimension = 'all' "
        "and period_start = (select max(period_start) from kpis.kpi_values where grain = 'rolling_28d')"
    ).fetchall()
    latest = dict(rows)
    catalogue = load_catalogue()
    found: dict[str, Any] = {
        "kpis": len(catalogue.kpis),
        "kpis_without_value": sum(value is None for value in latest.values()),
        "values": wh.scalar("select count(value) from kpis.kpi_values"),
        "values_suppressed": wh.scalar(
            "select count(*) from kpis.kpi_values where null_reason = 'suppressed_small_n'"
        ),
        "targets_behind": wh.scalar(
            "select count(*) from kpis.kpi_values where status = 'behind' and grain = 'rolling_28d' "
            "and period_start = (select max(period_start) from kpis.kpi_values where grain = 'rolling_28d')"
        ),
    }
    currency = str(wh.scalar("select currency from config.params")).lower()
    for kpi_id in HEADLINES:
        value = latest.get(kpi_id)
        if value is None or kpi_id not in catalogue.kpis:
            continue
        shape = catalogue[kpi_id].format
        unit = {"percent": "percent", "money": currency}.get(shape)
        name = f"{kpi_id}_28d" + (f"_{unit}" if unit else "")
        found[name] = round(100 * value if shape == "percent" else value, 2)
    return found
