"""The trials: intervals cover what they promise, findings are true ones, copies of a shop are that shop."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from cja_pipeline.kpis.kpi_values import build_kpi_values
from cja_pipeline.trials.findings import judge, summary
from cja_pipeline.trials.intervals import by_method, coverage
from cja_pipeline.trials.speed import model_trial, multiply
from cja_pipeline.trials.worlds import build_shop
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.conftest import use_home
from cja_pipeline_tests.kpis.shop_data import fill

CUSTOMERS = 3000
# no method was developed on these
PLANTED, QUIET = 411, 412


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """A shop with planted faults and a quiet one, with their findings; folder of each."""
    before = dict(os.environ)
    root = tmp_path_factory.mktemp("trials")
    use_home(root / "home")
    for name, seed, quiet in (("planted", PLANTED, False), ("quiet", QUIET, True)):
        build_shop(root / name, customers=CUSTOMERS, seed=seed, quiet=quiet)
    yield {name: root / name for name in ("planted", "quiet")}
    os.environ.clear()
    os.environ.update(before)


@pytest.mark.slow
def test_intervals_cover_the_truth(shops):
    with Warehouse(shops["planted"] / "warehouse.duckdb") as wh:
        found = coverage(wh, customers=2_000, samples=1_000, row_samples=1_000)
    # 1,000 samples know a coverage of 95 % to 0.7 points
    assert len(found) >= 100
    assert found["covered"].mean() == pytest.approx(0.955, abs=0.012)
    assert found["covered"].between(0.92, 0.98).mean() >= 0.9
    enough = found[found["n"] >= 100]
    assert enough["covered"].min() >= 0.91
    methods = by_method(found).set_index("ci_method")["covered"]
    assert {"poisson", "compound_poisson", "gamma", "wilson", "wilson_clustered", "woodruff"} <= set(
        methods.index
    )
    assert methods.between(0.93, 0.97).all(), methods


@pytest.mark.slow
def test_planted_faults_are_found_and_nothing_else(shops):
    rows = []
    for name, folder in shops.items():
        with Warehouse(folder / "warehouse.duckdb") as wh:
            rows.append({"quiet": name == "quiet"} | judge(wh, folder / "world" / "truth"))
    planted, quiet = rows
    assert planted["bug_found"]
    assert planted["bug_rank"] <= 3
    assert planted["harvester_exposed"]
    for told in rows:
        assert told["false_incidents"] == told["false_late"] == 0
        assert told["false_standing"] <= 1
        assert told["false_anomalies"] / told["anomaly_series_years"] <= 0.3
    assert quiet["false_insights"] == 0
    table = {row[0]: row[1:3] for row in summary(pd.DataFrame(rows))}
    assert table["mobile checkout bug found"] == [1, 1]
    assert table["quiet shops with false incidents"] == [0, 1]


@pytest.mark.slow
def test_no_visit_has_a_test_order(shops):
    with Warehouse(shops["planted"] / "warehouse.duckdb") as wh:
        tests = "SELECT order_id FROM customers.orders_excluded WHERE reason = 'test'"
        bought = "SELECT count(*) FROM customers.web_activity WHERE event_name = 'purchase'"
        reported = f"{bought} AND order_id IN ({tests})"
        assert wh.scalar(reported) > 0
        assert wh.scalar(f"SELECT count(*) FROM customers.sessions WHERE order_id IN ({tests})") == 0


def test_copies_of_a_shop_count_three_times(warehouse):
    """Distinct people, orders and money triple; rates stay."""
    fill(warehouse, customers=60, days=30)
    build_kpi_values(warehouse)
    once = warehouse.read("kpi_values")
    multiply(warehouse, 3)
    build_kpi_values(warehouse)
    keys = ["kpi_id", "grain", "period_start", "dimension", "dimension_value"]
    both = once.merge(warehouse.read("kpi_values"), on=keys, suffixes=("", "_3"))
    both = both[(both["dimension"] == "all") & both["value"].notna() & both["value_3"].notna()]
    total = both["kpi_id"].isin(["orders", "net_revenue", "buyers", "visitors", "sessions", "reach"])
    assert total.sum() > 20
    assert both.loc[total, "value_3"].to_numpy() == pytest.approx(3 * both.loc[total, "value"].to_numpy())
    rate = both["kpi_id"].isin(["conversion_rate", "average_order_value", "bounce_rate"])
    assert rate.sum() > 5
    assert both.loc[rate, "value_3"].to_numpy() == pytest.approx(both.loc[rate, "value"].to_numpy())


@pytest.mark.slow
def test_a_million_customers_and_paths_are_measured_against_their_bars():
    """Whether the bars are met is for a quiet machine to say: ``cja bench kpis``."""
    found = model_trial()
    assert [(row["rows"], row["bar"]) for row in found] == [(1_000_000, 2.0), (1_000_000, 1.0)]
    assert all(row["cpu_seconds"] > 0 and isinstance(row["met"], bool) for row in found)


@pytest.mark.slow
def test_sentiment_is_the_writers_and_unknown_languages_have_none(shops):
    """Measured on the simulator's texts, whose true feeling is known; real texts are harder."""
    truth = pd.read_parquet(shops["planted"] / "world" / "truth" / "texts.parquet")
    with Warehouse(shops["planted"] / "warehouse.duckdb") as wh:
        read = wh.df(
            "SELECT split_part(feedback_id, ':', 2) AS id, sentiment, sentiment_status "
            "FROM customers.feedback WHERE kind = 'comment'"
        )
    both = read.merge(truth, on="id")
    assert len(both) == len(read) > 400
    known = both[both["sentiment"].notna()]
    assert (known["sentiment_status"] == "scored").all()
    assert (
        both.loc[both["sentiment"].isna(), "sentiment_status"].isin(["unsupported_language", "empty"]).all()
    )
    assert len(known) > 0.9 * len(both)
    sign = known["sentiment"].map(lambda s: 0 if abs(s) < 0.05 else 1 if s > 0 else -1)
    assert (sign == known["feeling"]).mean() >= 0.9
