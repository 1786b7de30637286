"""Nights of a simulated shop: every past number that a night changed is told with reasons that are true."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from cja_pipeline.customers.identity.unlink import decide
from cja_pipeline_tests.recovery.conftest import NIGHT, Shop
from cja_pipeline_tests.recovery.nights import Nights

pytestmark = pytest.mark.slow
WHERE = ["kpi_id", "grain", "period_start"]
RULE = """
stage: purchase
owner: team:test
kpis:
  - {id: large_orders, label: Large, description: Large orders., kind: count, source: orders,
     numerator: gross_revenue > LIMIT, format: count, better: up}
"""


def query(home: Path, sql: str) -> pd.DataFrame:
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(sql).df()


def changed(before: Path, now: Path) -> pd.DataFrame:
    """Whole numbers of periods that were over and done with, and are others in the second home."""
    settled = (
        "SELECT kpi_id, grain, period_start, value FROM kpis.kpi_values WHERE dimension = 'all' "
        "AND grain <> 'rolling_28d' AND is_complete AND is_mature AND value IS NOT NULL"
    )
    both = query(before, settled).merge(query(now, settled), on=WHERE, suffixes=("_before", "_now"))
    off = (both["value_before"] - both["value_now"]).abs() > 2e-9 * both["value_before"].abs().clip(lower=1)
    return both[off].set_index(WHERE).sort_index()


def told(home: Path, night: dt.date) -> pd.DataFrame:
    rows = query(home, "SELECT * FROM kpis.restatements")
    return rows[rows["restated_at"].dt.date == night + dt.timedelta(days=1)]


def assert_told(before: Path, now: Path, night: dt.date) -> pd.DataFrame:
    """Exactly what changed is told, and the parts add up to it."""
    truth, rows = changed(before, now), told(now, night)
    each = rows[rows["reason"] != "withheld"].groupby(WHERE)
    pd.testing.assert_index_equal(truth.index, each["part"].sum().index)
    for column in ("value_before", "value_now"):
        pd.testing.assert_series_equal(truth[column], each[column].first(), rtol=1e-9)
    change = truth["value_now"] - truth["value_before"]
    assert (each["part"].sum() - change).abs().max() < 1e-6
    assert len(change) > 10
    assert "unexplained" not in {*rows["reason"]}
    return rows


def test_a_night_tells_every_number_that_it_changed(shop: Shop) -> None:
    rows = assert_told(shop.base, shop.undisturbed, NIGHT)
    orders = "SELECT order_id, business_date AS day, refund FROM customers.orders"
    before, now = (query(home, orders).set_index("order_id") for home in (shop.base, shop.undisturbed))
    at = [
        query(home, "SELECT as_of FROM config.params")["as_of"][0] for home in (shop.base, shop.undisturbed)
    ]
    truth = pd.read_parquet(shop.base / "world" / "truth" / "orders.parquet").set_index("order_number")
    late = now[~now.index.isin(before.index) & (now["day"] < pd.Timestamp(NIGHT))]
    # the web knows of an order at once if it was tracked; of the others the CRM tells later
    assert ((truth.loc[late.index, "in_crm_at"] > at[0]) | truth.loc[late.index, "tracked"]).all()
    parts = rows[(rows["kpi_id"] == "orders") & (rows["grain"] == "day") & (rows["reason"] == "late")]
    expected = late.groupby("day").size()
    assert parts.set_index("period_start")["part"].to_dict() == expected[expected > 0].to_dict()
    both = before.merge(now, left_index=True, right_index=True, suffixes=("", "_now"))
    returned = both[both["refund_now"] > both["refund"]]
    assert truth.loc[returned.index, "refunded_at"].between(*at).all()
    parts = rows[(rows["kpi_id"] == "net_revenue") & (rows["grain"] == "day") & (rows["reason"] == "refund")]
    gone = before[~before.index.isin(now.index)]
    expected = (returned["refund"] - returned["refund_now"]).groupby(returned["day"]).sum()
    for day, part in parts.set_index("period_start")["part"].items():
        if day not in {*gone["day"]}:
            assert part == pytest.approx(float(expected[day]))
    assert {*expected.index} <= {*parts["period_start"]}


def test_identities_and_definitions_are_reasons(nights: Nights, shop: Shop, tmp_path: Path) -> None:
    home = shop.copy(tmp_path)
    config = tmp_path / "config" / "kpis"
    config.mkdir(parents=True)
    env = {"CJA_CONFIG": str(config.parent)}
    (config / "mine.yml").write_text(RULE.replace("LIMIT", "50"))
    end = nights.run(home, NIGHT, light=True, env=env)
    assert end.ok, end.log
    before = tmp_path / "before"
    before.mkdir()
    shutil.copy(home / "warehouse.duckdb", before)
    # the visitor of a customer with visits and orders is declared somebody else
    pair = query(
        home,
        "SELECT min(record_key) AS one, max(record_key) AS other FROM customers.identity_links l "
        "JOIN customers.orders o USING (customer_id) WHERE l.kind IN ('contact', 'login', 'profile') "
        "GROUP BY customer_id HAVING count(DISTINCT record_key) > 1 ORDER BY count(*) DESC LIMIT 1",
    ).iloc[0]
    at = dt.datetime(2026, 3, 30, 1)  # noqa: DTZ001  warehouse times are naive UTC
    decide(home / "decisions", pair["one"], pair["other"], unlinked=True, reason="a test", at=at)
    (config / "mine.yml").write_text(RULE.replace("LIMIT", "90"))
    night = NIGHT + dt.timedelta(days=1)
    end = nights.run(home, night, light=True, env=env)
    assert end.ok, end.log
    rows = assert_told(before, home, night)
    assert {"identity", "rule"} <= {*rows["reason"]}
    rule = rows[rows["reason"] == "rule"]
    assert {*rule["kpi_id"]} == {"large_orders"}
    now = query(home, "SELECT business_date AS day, gross_revenue FROM customers.orders")
    lost = now[(now["gross_revenue"] > 50) & (now["gross_revenue"] <= 90)].groupby("day").size()
    for day, part in rule[rule["grain"] == "day"].set_index("period_start")["part"].items():
        assert part == -lost[day]
