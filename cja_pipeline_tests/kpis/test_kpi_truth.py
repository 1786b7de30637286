"""KPIs of the simulated shop against the truth that its simulator kept."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cja_pipeline.config import shop
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.conftest import DAYS, START

from .visit_truth import visits_by_day

pytestmark = pytest.mark.slow
EXACT = [
    "net_promoter_score",
    "customer_satisfaction_score",
    "customer_effort_score",
    "media_spend",
]


# the truth of visits goes by the consent of the device alone: see visit_truth
VISITS = {"sessions": "sessions", "conversion_rate": "sold", "engagement_rate": "engaged"}


@pytest.fixture(scope="module")
def numbers(night: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Daily KPIs of the whole shop and the truth as the last night can know it, by KPI and day."""
    with Warehouse(night / "warehouse.duckdb") as wh:
        ours = wh.df(
            "select kpi_id, period_start as at, value, numerator, denominator, n, missing, null_reason "
            "from kpis.kpi_values where grain = 'day' and dimension = 'all'"
        )
        truth = wh.df(
            "select replace(kpi_id, 'ads_spend', 'media_spend') as kpi_id, cast(day as date) as at, value, "
            f"numerator, denominator from '{night}/world/truth/kpis.parquet' "
            "where basis = 'known' and day is not null"
        )
    return ours.set_index(["kpi_id", "at"]).sort_index(), truth.set_index(["kpi_id", "at"]).sort_index()


@pytest.mark.parametrize("kpi", EXACT)
def test_equal_to_the_truth(numbers: tuple[pd.DataFrame, pd.DataFrame], kpi: str) -> None:
    ours, truth = (frame.loc[kpi] for frame in numbers)
    assert len(ours) == len(truth)
    # the truth counts a promoter as 100; small groups keep their sums where the value is suppressed
    scale = 100 if kpi == "net_promoter_score" else 1
    assert np.allclose(ours["numerator"].fillna(0) * scale, truth["numerator"], atol=1e-6)
    assert np.allclose(ours["denominator"].fillna(0), truth["denominator"].fillna(0), atol=1e-6)
    published = ours["value"].notna()
    assert np.allclose(ours.loc[published, "value"], truth.loc[published, "value"], atol=1e-6)


@pytest.fixture(scope="module")
def visits(night: Path) -> dict[bool, pd.DataFrame]:
    """Visits by day from the truth, by whether those who refuse consent are left out."""
    last = START + dt.timedelta(days=DAYS - 1)
    read_at = f"{last + dt.timedelta(days=1)} 02:00:00"
    return {
        honoured: visits_by_day(night, read_at, shop().time_zone, honoured=honoured).loc[:last]
        for honoured in (False, True)
    }


@pytest.mark.parametrize("kpi", VISITS)
def test_visits_equal_the_truth(
    numbers: tuple[pd.DataFrame, pd.DataFrame], visits: dict[bool, pd.DataFrame], kpi: str
) -> None:
    """Brute force equals the truth with everybody in it, and our KPI without those who refuse."""
    for frame, honoured in zip(numbers, (True, False), strict=True):
        counted = frame.loc[kpi]
        days = [pd.Timestamp(day).date() for day in counted.index]
        expected = visits[honoured].reindex(days).fillna(0)
        assert counted["numerator"].fillna(0).to_list() == expected[VISITS[kpi]].to_list()
        if kpi != "sessions":
            assert counted["denominator"].fillna(0).to_list() == expected["sessions"].to_list()
    left_out = visits[False]["sessions"].sum() - visits[True]["sessions"].sum()
    assert 0 < left_out <= 0.02 * visits[False]["sessions"].sum()


def test_orders_and_money(numbers: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    """Each order is converted and rounded to a cent. Damaged orders and web orders that the CRM learns of
    later are the only ones we may count beyond the truth's."""
    ours, truth = numbers
    extra = (ours.loc["orders"]["numerator"] - truth.loc["orders"]["numerator"]).to_numpy()
    assert extra.min() >= 0
    assert extra.sum() <= 3
    agreed = extra == 0
    rated = truth.loc["orders_with_rate"]["numerator"].to_numpy()
    for kpi in ("net_revenue", "gross_revenue"):
        difference = (ours.loc[kpi]["numerator"] - truth.loc[kpi]["numerator"]).abs().to_numpy()
        assert (difference[agreed] <= 0.011 * (1 + rated[agreed])).all(), kpi
    aov = ours.loc["average_order_value"]
    assert (aov["denominator"].to_numpy()[agreed] == rated[agreed]).all()
    unrated = truth.loc["orders"]["numerator"].to_numpy() - rated
    assert (ours.loc["net_revenue"]["missing"].to_numpy()[agreed] == unrated[agreed]).all()
