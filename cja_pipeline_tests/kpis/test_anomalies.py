"""Anomalies: a bench of planted shocks, no look into the future, findings on a KPI table."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from cja_pipeline.kpis.anomalies import build_anomalies
from cja_pipeline.kpis.anomaly_score import detect
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.kpis.shop_data import write

DAYS, WARM_UP = 180, 63


def series(random: np.random.Generator, shocks: int) -> tuple[np.ndarray, np.ndarray]:
    """Daily counts with a week's rhythm, a trend, memory and planted shocks of 20-50 % up or down."""
    day = np.arange(DAYS)
    level = np.exp(random.uniform(np.log(400), np.log(4000))) * (1 + random.uniform(-0.2, 0.4) * day / DAYS)
    week = np.exp(random.normal(0, 0.15, 7))
    drift = np.zeros(DAYS)
    for i in range(1, DAYS):
        drift[i] = 0.6 * drift[i - 1] + random.normal(0, 0.012)
    mean = level * week[day % 7] * np.exp(drift)
    shocked = np.zeros(DAYS, dtype=bool)
    for i in random.choice(np.arange(WARM_UP, DAYS), shocks, replace=False):
        mean[i] *= 1 + random.uniform(0.2, 0.5) * random.choice([-1, 1])
        shocked[i] = True
    return random.poisson(mean).astype(float), shocked


def test_shocks_are_found_and_little_else():
    random = np.random.default_rng(0)
    hit = false = missed = 0
    for _ in range(120):
        values, shocked = series(random, shocks=3)
        flagged = detect(values)["score"].abs().to_numpy() > 4.5
        flagged = flagged & (np.arange(DAYS) >= WARM_UP)
        hit += int((flagged & shocked).sum())
        false += int((flagged & ~shocked).sum())
        missed += int((~flagged & shocked).sum())
    precision, recall = hit / (hit + false), hit / (hit + missed)
    assert 2 * precision * recall / (precision + recall) >= 0.93
    assert precision >= 0.97
    assert false / 120 / (DAYS - WARM_UP) * 365 <= 0.3  # false alarms per series and year


def test_a_finding_does_not_depend_on_what_came_after():
    values, _ = series(np.random.default_rng(3), shocks=3)
    whole, cut = detect(values), detect(values[:120])
    pd.testing.assert_frame_equal(whole.iloc[:120], cut)


def test_short_or_missing_past_gives_no_score():
    values, _ = series(np.random.default_rng(4), shocks=0)
    assert detect(values)["score"].iloc[:35].isna().all()
    gap = values.copy()
    gap[100] = np.nan
    scores = detect(gap)["score"]
    assert np.isnan(scores[100])
    assert scores[101:].notna().all()


def test_shares_that_are_usually_zero_can_be_judged():
    share = np.zeros(90)
    share[80] = 0.02
    found = detect(share, np.full(90, 0.002), ratio=False)
    assert found["score"][80] == pytest.approx(10)
    assert found["score"].drop(80).abs().max() < 1


FIRST = dt.date(2026, 1, 5)


def kpi_rows(kpi_id: str, values: np.ndarray, visits: int, **columns) -> pd.DataFrame:
    days = [FIRST + dt.timedelta(days=i) for i in range(len(values))]
    share = values / visits
    rows = pd.DataFrame(
        {
            "kpi_id": kpi_id,
            "stage": "purchase",
            "grain": "day",
            "period_start": days,
            "period_end": days,
            "dimension": "all",
            "dimension_value": "all",
            "value": share,
            "numerator": values,
            "denominator": float(visits),
            "n": visits,
            "ci_low": np.maximum(share - 0.01, 0),
            "ci_high": share + 0.01,
            "ci_method": "wilson_clustered",
            "is_complete": True,
            "is_mature": True,
        }
    )
    return rows.assign(**columns)


@pytest.fixture
def kpis(warehouse: Warehouse) -> Warehouse:
    """Eleven weeks of a rate with a slump of three days, of its mobile slice, and of quiet series."""
    random = np.random.default_rng(8)
    rate = random.binomial(2000, 0.05, 77).astype(float)
    slump = rate.copy()
    slump[60:63] = [30, 28, 33]
    mobile = {"dimension": "device", "dimension_value": "mobile"}
    late = kpi_rows("orders_share", rate, 2000)
    late.loc[70, ["value", "is_complete"]] = [0.0, False]
    tables = [
        kpi_rows("conversion_rate", slump, 2000),
        kpi_rows("conversion_rate", slump, 2000, **mobile),
        kpi_rows("conversion_rate", slump, 2000, dimension="country", dimension_value="DE"),
        late,
        kpi_rows("tiny", np.where(np.arange(77) == 60, 5.0, 1.0), 6),
        kpi_rows("young", slump, 2000).iloc[50:],
    ]
    write(warehouse, "kpis.kpi_values", pd.concat(tables, ignore_index=True))
    names = ["conversion_rate", "orders_share", "tiny", "young"]
    catalogue = pd.DataFrame({"kpi_id": names, "label": names, "owner": "Web team"})
    write(warehouse, "kpis.kpi_catalogue", catalogue.assign(format="percent", better="up", kind="proportion"))
    return warehouse


def test_findings_name_day_slice_and_owner(kpis):
    told = build_anomalies(kpis)
    found = kpis.read("kpis.anomalies")
    assert set(found["kpi_id"]) == {"conversion_rate"}
    assert set(found["dimension_value"]) == {"all", "mobile"}
    assert sorted({d.date() for d in found["day"]}) == [FIRST + dt.timedelta(days=i) for i in (60, 61, 62)]
    assert set(found["effect"]) == {"bad"}
    assert set(found["owner"]) == {"Web team"}
    first = found[(found["dimension"] == "device")].sort_values("day").iloc[0]
    assert "conversion_rate (device mobile) was 1.50 %" in first["evidence"]
    assert "30 of 2,000" in first["evidence"]
    assert told == {"anomalies": 6, "series": 3, "warming_up": 1}


def test_without_kpis_there_are_no_anomalies(warehouse):
    assert build_anomalies(warehouse) == {"anomalies": 0, "series": 0, "warming_up": 0}
