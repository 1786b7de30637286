"""Experiments: the split is checked first, and differences are those of an independent test."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from scipy import stats as oracle

from cja_pipeline.kpis import stats
from cja_pipeline.kpis.experiments import build_experiments
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.kpis.shop_data import FIRST, fill, write

START = pd.Timestamp(FIRST) + pd.Timedelta(days=2)


def test_split_check_equals_published_and_scipy() -> None:
    assert stats.sample_ratio_p([5000, 5250]) == pytest.approx(0.0135, abs=5e-5)
    for counts, shares in (([821, 60, 119], [8, 1, 1]), ([30, 41], [0.4, 0.6])):
        expected = np.array(shares) / sum(shares) * sum(counts)
        assert stats.sample_ratio_p(counts, shares) == pytest.approx(
            oracle.chisquare(counts, expected).pvalue
        )
    assert np.isnan(stats.sample_ratio_p([7]))
    assert np.isnan(stats.sample_ratio_p([0, 0]))
    with pytest.raises(ValueError, match="one positive share for each group"):
        stats.sample_ratio_p([1, 2], [1.0])


def test_means_equal_scipys_welch() -> None:
    random = np.random.default_rng(4)
    a, b = random.gamma(0.3, 90, 300), random.gamma(0.3, 70, 410)
    found = stats.mean_difference(len(a), a.sum(), (a * a).sum(), len(b), b.sum(), (b * b).sum())
    welch = oracle.ttest_ind(a, b, equal_var=False)
    limits = welch.confidence_interval()
    assert found == pytest.approx((a.mean() - b.mean(), limits.low, limits.high, welch.pvalue))
    assert np.isnan(stats.mean_difference(1, 5, 25, 9, 5, 25).p_value)
    assert stats.mean_difference(9, 0, 0, 9, 0, 0) == (0, 0, 0, 1)


def test_no_effect_is_found_in_one_of_twenty() -> None:
    random = np.random.default_rng(8)
    a, b = random.binomial(2000, 0.05, (2, 3000))
    assert 0.035 <= (stats.two_proportion_p(a, 2000, b, 2000) < 0.05).mean() <= 0.065
    gap = stats.newcombe_difference(a, 2000, b, 2000)
    assert 0.935 <= ((gap.low <= 0) & (gap.high >= 0)).mean() <= 0.965


def show(
    wh: Warehouse, groups: dict[str, tuple[int, int]], *, name: str = "test", at: pd.Timestamp = START
) -> None:
    """Customers of each variant, the first so many of whom begin a checkout and order for 50 within a day."""
    seen, touches, orders = [], [], []
    for variant, (customers, buyers) in groups.items():
        for i in range(customers):
            who = f"{name}-{variant}-{i}"
            when = at + pd.Timedelta(hours=i % 48)
            seen.append((f"{who}-e", who, when, name, variant))
            # what happened before the first view, or after the days of outcome, is not the experiment's doing
            touches += [(f"{who}-b", who, when - pd.Timedelta(minutes=1))]
            orders += [(f"{who}-late", who, when + pd.Timedelta(days=7), 999.0)]
            if i < buyers:
                touches.append((f"{who}-c", who, when + pd.Timedelta(hours=1)))
                orders.append((f"{who}-o", who, when + pd.Timedelta(hours=2), 50.0))
    old = {
        table: wh.read(table)
        for table in ("customers.web_activity", "customers.touchpoints", "customers.orders")
        if wh.exists(table)
    }
    frames = {
        "customers.web_activity": pd.DataFrame(
            seen, columns=["event_id", "customer_id", "occurred_at", "experiment", "variant"]
        ).assign(visitor_rule="sole"),
        "customers.touchpoints": pd.DataFrame(
            touches, columns=["touchpoint_id", "customer_id", "occurred_at"]
        ).assign(touchpoint_type="begin_checkout"),
        "customers.orders": pd.DataFrame(
            orders, columns=["order_id", "customer_id", "ordered_at", "net_revenue"]
        ).assign(sales_channel="web"),
    }
    for table, rows in frames.items():
        write(wh, table, pd.concat([old[table], rows]) if table in old else rows)


def readout(wh: Warehouse) -> pd.DataFrame:
    build_experiments(wh)
    return wh.read("kpis.experiments").set_index(["experiment", "variant", "metric"])


@pytest.fixture
def shop(warehouse: Warehouse) -> Warehouse:
    fill(warehouse, customers=20, days=40)
    for table in ("customers.touchpoints", "customers.orders"):
        warehouse.execute(f"DROP TABLE {table}")
    return warehouse


def test_a_real_difference_is_read(shop: Warehouse) -> None:
    show(shop, {"A": (1000, 50), "B": (1020, 102)})
    # two who saw both variants, and a machine
    both = shop.read("customers.web_activity").head(2).assign(variant="B")
    both["event_id"] += "-again"
    machine = both.head(1).assign(event_id="m", customer_id="m", visitor_rule="bot")
    write(shop, "customers.web_activity", pd.concat([shop.read("customers.web_activity"), both, machine]))
    found = readout(shop)
    row = found.loc[("test", "B", "conversion_rate")]
    assert (row["customers"], row["control_customers"], row["mixed_customers"]) == (1020, 998, 2)
    assert (row["value"], row["control_value"]) == pytest.approx((102 / 1020, 48 / 998))
    expected = stats.newcombe_difference(102, 1020, 48, 998)
    assert (row["difference"], row["ci_low"], row["ci_high"]) == pytest.approx(expected[:3])
    assert row["lift"] == pytest.approx(0.1 / (48 / 998) - 1)
    assert 0 < row["lift_low"] < row["lift"] < row["lift_high"]
    assert set(found["status"]) == {"better"}
    money = found.loc[("test", "B", "revenue_per_customer")]
    spent = [np.r_[np.full(n, 50.0), np.zeros(size - n)] for n, size in ((102, 1020), (48, 998))]
    assert money["p_value"] == pytest.approx(oracle.ttest_ind(*spent, equal_var=False).pvalue, rel=1e-3)
    assert money["currency"] == "EUR"
    assert pd.isna(row["currency"])
    assert found["q_value"].max() == pytest.approx(max(found["p_value"]))


def test_a_broken_split_blocks_the_reading(shop: Warehouse) -> None:
    show(shop, {"A": (1000, 50), "B": (800, 80)})
    found = readout(shop)
    assert set(found["status"]) == {"sample_ratio_mismatch"}
    assert found["split_p"].iloc[0] == pytest.approx(oracle.chisquare([1000, 800]).pvalue, rel=1e-3)
    assert found[["difference", "ci_low", "ci_high", "lift", "p_value", "q_value"]].isna().all(axis=None)
    assert found["finding"].str.contains("do not read").all()


def test_a_planned_unequal_split_is_no_fault(
    shop: Warehouse, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cja_pipeline.config import SHIPPED
    from cja_pipeline.settings import get_settings

    text = (SHIPPED / "journeys.yml").read_text(encoding="utf-8")
    said = "experiments:\n  control: {test: old}\n  planned: {test: {old: 0.55, new: 0.45}}\n"
    assert text.count("\nexperiments:\n") == 1
    (tmp_path / "journeys.yml").write_text(text.replace("experiments:\n", said, 1), encoding="utf-8")
    monkeypatch.setenv("CJA_CONFIG", str(tmp_path))
    get_settings.cache_clear()
    try:
        show(shop, {"old": (1100, 100), "new": (900, 40)})
        found = readout(shop)
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()
    assert set(found["control"]) == {"old"}
    assert found.loc[("test", "new", "conversion_rate"), "status"] == "worse"


def test_early_and_small_experiments_get_no_verdict(shop: Warehouse) -> None:
    late = pd.Timestamp(FIRST + dt.timedelta(days=36))
    show(shop, {"A": (400, 20), "B": (400, 60)}, name="young", at=late)
    show(shop, {"A": (90, 1), "B": (100, 30)}, name="tiny")
    found = readout(shop)
    young, tiny = found.loc["young"], found.loc["tiny"]
    assert set(young["status"]) == {"running"}
    assert (young["customers"] < 400).all()
    assert young["ended_at"].isna().all()
    assert set(tiny["status"]) == {"too_few"}
    assert tiny["difference"].isna().all()


def test_a_shop_without_experiments_has_an_empty_table(warehouse: Warehouse) -> None:
    fill(warehouse, customers=20, days=40)
    assert build_experiments(warehouse) == {"experiments": 0, "experiments_broken": 0}
    assert warehouse.read("kpis.experiments").empty
