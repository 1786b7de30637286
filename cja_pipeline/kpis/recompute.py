"""A number once more, from its rows alone and without the compiler's SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cja_pipeline.kpis.estimates import estimate
from cja_pipeline.kpis.kpi_entry import Kpi
from cja_pipeline.kpis.row_kpis import estimate_groups

if TYPE_CHECKING:
    import pandas as pd


def recompute(kpi: Kpi, rows: pd.DataFrame) -> float | None:
    """The value from the rows alone, by the functions that published it."""
    import numpy as np

    if rows.empty:
        return 0.0 if kpi.kind in ("count", "sum", "distinct") else None
    if kpi.needs_rows:
        found = estimate_groups(kpi, np.zeros(len(rows), dtype=int), rows)
        return _known(found["value"][0])
    numerator = rows["numerator"]
    money = {"missing": numerator.isna().sum(), "rows": len(rows)} if kpi.format == "money" else {}
    if money and kpi.denominator:
        rows = rows.assign(denominator=rows["denominator"].where(numerator.notna(), 0.0))
    sums: dict[str, float] = {}
    if kpi.kind == "nps":
        sums = {"promoters": (numerator >= 9).sum(), "detractors": (numerator <= 6).sum(), "d": len(rows)}
        sums["units"] = len(rows)
    else:
        per_unit = rows.groupby("kpi_unit")[[c for c in rows.columns if not c.startswith("kpi_")]].sum()
        n = per_unit["numerator"]
        d = per_unit["denominator"] if kpi.denominator else None
        if kpi.kind == "distinct":
            n = (n > 0).astype(float)
        elif kpi.kind == "proportion" and d is not None:
            n, d = ((n > 0) & (d > 0)).astype(float), (d > 0).astype(float)
        elif kpi.kind == "per_unit" and d is not None:
            n, d = n.where(d > 0, 0.0), (d > 0).astype(float)
        base = d if d is not None else n
        units = len(per_unit) if kpi.kind == "sum" else (base != 0).sum()
        sums = {"n": n.sum(), "units": units, "nn": (n * n).sum()}
        if d is not None:
            sums |= {"d": d.sum(), "dd": (d * d).sum(), "nd": (n * d).sum()}
        sums |= {name: per_unit[name].sum() for name in ("model_low", "model_high") if name in per_unit}
    arrays = {name: np.array([float(value)]) for name, value in {**sums, **money}.items()}
    return _known(estimate(kpi, arrays)["value"][0])


def _known(value: float) -> float | None:
    return None if value != value else float(value)
