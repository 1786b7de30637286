"""The journey models on the simulated shop, against its truth: what was planted is found, totals agree."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from cja_pipeline.kpis.attribution import build_attribution
from cja_pipeline.kpis.experiments import build_experiments
from cja_pipeline.kpis.friction import build_friction
from cja_pipeline.kpis.insights import build_insights
from cja_pipeline.kpis.journeys import build_cohorts, build_funnel, build_paths
from cja_pipeline.kpis.reconcile import reconcile
from cja_pipeline.kpis.value import build_customer_value
from cja_pipeline.warehouse import Warehouse

pytestmark = pytest.mark.slow
START, DAYS, CUSTOMERS = dt.date(2026, 3, 2), 90, 8000


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from cja_pipeline.simulator.build import build_world

    folder = tmp_path_factory.mktemp("shop") / "world"
    build_world(
        folder, customers=CUSTOMERS, days=DAYS, seed=7, start=START, time_zone="Europe/Berlin", currency="EUR"
    )
    return folder


@pytest.fixture(scope="module")
def shop(world: Path) -> Iterator[Warehouse]:
    """Sources pulled, validated, resolved; journey tables built. Web analytics and CRM are all these need."""
    from cja_pipeline.customers.build import build_all
    from cja_pipeline.orchestration.partitions import as_of
    from cja_pipeline.sources import pull
    from cja_pipeline.sources.registry import load_sources
    from cja_pipeline.sources.window import Window
    from cja_pipeline.validated.load import load

    landing = world.parent / "landing"
    window = Window(START, START + dt.timedelta(days=DAYS - 1))
    for source in load_sources().values():
        pull(source, window, as_of(window), landing, world=world)
    with Warehouse(":memory:") as wh:
        for table in (
            "web_events",
            "contacts",
            "crm_orders",
            "tickets",
            "surveys",
            "email_events",
            "ad_insights",
            "social_posts",
            "social_comments",
        ):
            load(wh, table, landing, None, "test")
        build_all(wh, b"key of the tests")
        for build in (build_customer_value, build_funnel, build_paths, build_cohorts, build_attribution):
            build(wh)
        build_friction(wh)
        build_insights(wh)
        build_experiments(wh)
        yield wh


def incident(world: Path, name: str) -> tuple[dt.date, dt.date]:
    """First and last business day of a planted incident."""
    rows = pd.read_parquet(world / "truth" / "incidents.parquet").set_index("name")
    since, until = (pd.Timestamp(rows.loc[name, c]) for c in ("from", "to"))
    zone = "Europe/Berlin"
    first, end = (t.tz_localize("UTC") if t.tzinfo is None else t for t in (since, until))
    return first.tz_convert(zone).date(), (end.tz_convert(zone) - pd.Timedelta(seconds=1)).date()


def test_all_totals_agree(shop):
    results = reconcile(shop)
    assert len(results) >= 12
    assert [r for r in results if not r["passed"]] == []


def test_the_mobile_checkout_bug_is_found_and_dated(shop, world):
    since, until = incident(world, "mobile_checkout_bug")
    found = shop.df("SELECT * FROM kpis.friction WHERE kind = 'incident' AND status = 'proven'")
    assert len(found) == 1
    row = found.iloc[0]
    assert (row["step"], row["dimension"], row["dimension_value"]) == ("add_payment_info", "device", "mobile")
    assert since <= row["period_start"].date() <= row["period_end"].date() <= until
    truth = pd.read_parquet(world / "truth" / "incidents.parquet").set_index("name")
    lost_orders = row["sessions"] * (row["expected_rate"] - row["observed_rate"])
    # the truth counts visits without consent, too; the measure must be of its size
    assert 0.4 * truth.loc["mobile_checkout_bug", "lost_orders"] < lost_orders
    assert lost_orders < 1.6 * truth.loc["mobile_checkout_bug", "lost_orders"]


def test_standing_losses_are_the_planted_ones(shop):
    """Phones go on less at every step from the cart; channels differ by who comes, and are marked so."""
    found = shop.df("SELECT * FROM kpis.friction WHERE kind = 'standing' ORDER BY rank")
    proven = found[found["status"] == "proven"]
    assert set(zip(proven["dimension"], proven["dimension_value"], strict=True)) <= {("device", "mobile")}
    suspects = found[found["status"].isin(["proven", "unclear"])].head(3)
    assert "mobile" in set(suspects["dimension_value"])
    assert set(found.loc[found["status"] == "audience", "dimension"]) <= {"channel", "country"}


def test_the_channel_without_effect_is_exposed(shop, world):
    effects = pd.read_parquet(world / "truth" / "effects.parquet")
    assert (effects[effects["name"] == "Affiliates"]["incremental_orders"] == 0).all()
    late = shop.df("SELECT feature FROM kpis.insights WHERE status = 'late_touch'")
    assert late["feature"].tolist() == ["channel:Affiliates"]
    credit = shop.df(
        "SELECT model, sum(conversions) AS n FROM kpis.attribution_total "
        "WHERE channel = 'Affiliates' GROUP BY 1"
    )
    by_model = dict(zip(credit["model"], credit["n"], strict=True))
    assert by_model["first"] < by_model["linear"] < by_model["markov_1"] < by_model["last"]


def test_the_experiment_is_read_and_the_broken_one_is_not(shop, world):
    found = shop.read("kpis.experiments").set_index(["experiment", "metric"])
    assert set(found.loc["gallery_zoom", "status"]) == {"sample_ratio_mismatch"}
    row = found.loc[("checkout_button_2", "conversion_rate")]
    assert row["split_p"] > 0.001
    # what variant B truly sold more, among the visits that web analytics told of
    effects = pd.read_parquet(world / "truth" / "effects.parquet").set_index(["kind", "name"])
    truth = effects.loc[("experiment", "checkout_button_2")]
    truly_more = truth["incremental_orders"] / truth["orders"] * row["value"]
    assert row["ci_low"] <= truly_more <= row["ci_high"]
    assert truly_more > 0


def test_buyers_of_the_funnel_are_the_buyers_of_the_orders(shop):
    buyers = shop.scalar(
        "SELECT customers FROM kpis.funnel WHERE segment = 'all' AND mode = 'any' AND step_name = 'purchase'"
    )
    assert buyers == shop.scalar("SELECT count(DISTINCT customer_id) FROM customers.orders")
    chain = shop.df("SELECT * FROM kpis.funnel WHERE segment = 'all' AND mode = 'best_chain' ORDER BY step")
    assert chain["customers"].is_monotonic_decreasing
