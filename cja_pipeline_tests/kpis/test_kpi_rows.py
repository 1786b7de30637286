"""What a row of KPI values says: reasons, flags, receipts, segments."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from cja_pipeline.kpis.catalogue import load_catalogue
from cja_pipeline.kpis.explain import NoSuchNumberError, explain_kpi
from cja_pipeline.kpis.kpi_values import build_kpi_values, headline_numbers
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.kpis.shop_data import DAYS, FIRST, LAST, fill, write

NAMED = {
    "orders",
    "net_promoter_score",
    "impressions",
    "reach",
    "session_duration",
    "customer_acquisition_cost",
    "referral_rate",
    "bounce_rate",
    "purchase_journey_duration",
    "net_revenue",
    "customer_lifetime_value",
    "engagement_rate",
    "return_on_ad_spend",
    "retention_rate",
    "churn_rate",
    "customer_satisfaction_score",
    "clv_to_cac",
    "cart_abandonment_rate",
    "click_through_rate",
    "average_order_value",
    "conversion_rate",
    "repeat_purchase_rate",
}


def test_every_row_says_what_it_is(random_shop) -> None:  # type: ignore[no-untyped-def]
    _, _, values = random_shop
    catalogue = load_catalogue()
    assert set(catalogue.kpis) >= NAMED
    assert set(catalogue.kpis) == set(values["kpi_id"])
    assert not values.duplicated(["kpi_id", "grain", "period_start", "dimension", "dimension_value"]).any()
    null = values["value"].isna()
    assert (null == values["null_reason"].notna()).all()
    assert values.loc[null, ["ci_low", "ci_high", "ci_method"]].isna().all(axis=None)
    both = values[values["ci_low"].notna() & values["ci_high"].notna()]
    slack = 1e-8 * (1 + both["value"].abs())
    assert (both["ci_low"] <= both["value"] + slack).all()
    assert (both["value"] <= both["ci_high"] + slack).all()
    assert both["ci_method"].notna().all()
    money = values["kpi_id"].map(lambda kpi: catalogue[kpi].format == "money")
    assert (money == values["currency"].notna()).all()
    rates = values[values["kpi_id"].map(lambda kpi: catalogue[kpi].kind in ("ratio", "proportion"))]
    rates = rates[rates["value"].notna() & rates["denominator"].gt(0)]
    assert np.allclose(rates["value"], rates["numerator"] / rates["denominator"], atol=1e-7)
    whole = values[(values["dimension"] == "all") & (values["grain"] == "day")]
    daily = {kpi.id for kpi in catalogue if "day" in catalogue.grains(kpi)}
    assert (whole.groupby("kpi_id").size() == DAYS).all()
    assert set(whole["kpi_id"]) == daily


def test_receipts_give_the_number_again(random_shop) -> None:  # type: ignore[no-untyped-def]
    wh, _, values = random_shop
    random = np.random.Generator(np.random.Philox(2))
    for kpi, rows in values.groupby("kpi_id"):
        for at in random.choice(len(rows), 1):
            row = rows.iloc[at]
            receipt = explain_kpi(
                wh, kpi, row["period_start"].date(), row["grain"], row["dimension"], row["dimension_value"]
            )
            assert receipt.agrees, (kpi, receipt.published, receipt.recomputed)
            assert receipt.tables
    orders = explain_kpi(wh, "orders", LAST, "week", "device", "store")
    assert len(orders.rows) == orders.published["value"]
    assert explain_kpi(wh, "net_promoter_score", grain="rolling_28d").as_dict()["row_count"] > 0
    with pytest.raises(NoSuchNumberError, match="it is split by"):
        explain_kpi(wh, "orders", LAST, "day", "device", "fridge")


def test_same_data_same_table(random_shop) -> None:  # type: ignore[no-untyped-def]
    wh, _, values = random_shop
    build_kpi_values(wh)
    key = ["kpi_id", "grain", "period_start", "dimension", "dimension_value"]
    pd.testing.assert_frame_equal(
        wh.read("kpi_values").sort_values(key, ignore_index=True), values.sort_values(key, ignore_index=True)
    )
    headlines = headline_numbers(wh)
    assert headlines["kpis"] == len(load_catalogue().kpis)
    assert headlines["orders_28d"] > 0


def test_missing_is_null_with_a_reason() -> None:
    with Warehouse(":memory:") as wh:
        tables = fill(wh, seed=4, customers=100, days=40)
        orders = tables["customers.orders"]
        gap, unrated = orders["business_date"].iloc[3], FIRST + dt.timedelta(days=35)
        sessions = tables["customers.sessions"]
        write(wh, "customers.sessions", sessions[sessions["business_date"] != gap])
        orders.loc[orders["business_date"] == unrated, "net_revenue"] = np.nan
        write(wh, "customers.orders", orders)
        wh.execute("drop table customers.media")
        build_kpi_values(wh)
        values = wh.read("kpi_values")
    day = values[(values["grain"] == "day") & (values["dimension"] == "all")].set_index(
        ["kpi_id", "period_start"]
    )
    lost = day.loc[("sessions", pd.Timestamp(gap))]
    assert np.isnan(lost["value"])
    assert lost["null_reason"] == "incomplete"
    assert (
        not values[(values["period_start"] == pd.Timestamp(gap)) & (values["kpi_id"] == "sessions")][
            "dimension"
        ]
        .isin(["device"])
        .any()
    )
    assert day.loc[("net_revenue", pd.Timestamp(unrated))]["null_reason"] == "missing_rate"
    assert day.loc[("orders", pd.Timestamp(unrated))]["value"] > 0
    assert set(day.loc["impressions"]["null_reason"]) == {"incomplete"}
    assert set(day.loc["customer_acquisition_cost"]["null_reason"]) == {"incomplete"}
    last = FIRST + dt.timedelta(days=39)
    cart = day.loc[("cart_abandonment_rate", pd.Timestamp(last))]
    assert (cart["null_reason"], bool(cart["is_mature"])) == ("immature", False)
    weeks = values[
        (values["grain"] == "week") & (values["kpi_id"] == "orders") & (values["dimension"] == "all")
    ]
    assert weeks["is_complete"].tolist() == [False, *[True] * 5, False]
    value = values[values["kpi_id"] == "customer_lifetime_value"]
    assert set(value["null_reason"]) == {"immature"}


def test_value_model_gives_segments_and_expected_value() -> None:
    with Warehouse(":memory:") as wh:
        tables = fill(wh, seed=9, customers=150, days=40)
        buyers = tables["customers.customers"].dropna(subset=["first_order_at"])
        even = np.arange(len(buyers)) % 2 == 0
        value = pd.DataFrame(
            {
                "customer_id": buyers["customer_id"],
                "rfm_segment": np.where(even, "champions", "asleep"),
                "clv_12m": np.where(even, 100.0, 50.0),
                "clv_12m_low": np.where(even, 80.0, 40.0),
                "clv_12m_high": np.where(even, 130.0, 60.0),
                "p_active_90d": np.where(even, 0.9, 0.1),
            }
        )
        write(wh, "kpis.customer_value", value)
        build_kpi_values(wh)
        values = wh.read("kpi_values")
        receipt = explain_kpi(wh, "orders", None, "month", "segment", "champions")
    assert receipt.agrees
    month = values[(values["grain"] == "month") & (values["kpi_id"] == "orders")]
    split = month[month["dimension"] == "segment"]
    assert set(split["dimension_value"]) == {"champions", "asleep"}
    whole = month[month["dimension"] == "all"].set_index("period_start")["value"]
    assert (split.groupby("period_start")["value"].sum() == whole).all()
    assert not ((values["dimension"] == "segment") & (values["grain"] == "day")).any()
    first = values[
        (values["grain"] == "rolling_28d") & (values["dimension"] == "all") & values["is_complete"]
    ]
    row = first[first["kpi_id"] == "customer_lifetime_value"].iloc[-1]
    start = row["period_start"].date()
    cohort = buyers["first_order_at"].dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin").dt.date >= start
    assert row["value"] == pytest.approx(value.loc[cohort.to_numpy(), "clv_12m"].mean())
    assert row["ci_low"] < value.loc[cohort.to_numpy(), "clv_12m_low"].mean()
    assert row["ci_method"] == "delta_model"
    ratio = first[first["kpi_id"] == "clv_to_cac"].iloc[-1]
    cost = first[first["kpi_id"] == "customer_acquisition_cost"].iloc[-1]
    assert ratio["value"] == pytest.approx(row["value"] / cost["value"])
    assert ratio["ci_low"] < ratio["value"] < ratio["ci_high"]
