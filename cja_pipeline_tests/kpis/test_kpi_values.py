"""KPI values against brute force over the same rows, at every grain and slice."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from cja_pipeline.kpis.catalogue import load_catalogue
from cja_pipeline.kpis.explain import NoSuchNumberError, explain_kpi
from cja_pipeline.kpis.kpi_values import build_kpi_values, headline_numbers
from cja_pipeline.kpis.periods import bounds
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.kpis.shop_data import FIRST, fill, write

DAYS = 60
LAST = FIRST + dt.timedelta(days=DAYS - 1)
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


@pytest.fixture(scope="module")
def shop() -> Iterator[tuple[Warehouse, dict[str, pd.DataFrame], pd.DataFrame]]:
    with Warehouse(":memory:") as wh:
        tables = fill(wh, days=DAYS)
        build_kpi_values(wh)
        yield wh, tables, wh.read("kpi_values")


def period(grain: str, days: pd.Series, as_of: dt.date) -> pd.Series:
    return pd.Series([bounds(grain, day, as_of)[0] for day in days], index=days.index)


def published(values: pd.DataFrame, kpi: str, column: str = "value") -> dict[tuple, float]:
    rows = values[values["kpi_id"] == kpi]
    keys = zip(
        rows["grain"], rows["period_start"].dt.date, rows["dimension"], rows["dimension_value"], strict=True
    )
    return dict(zip(keys, rows[column].astype(object).where(rows[column].notna(), None), strict=True))


def brute(
    rows: pd.DataFrame, day: str, slices: list[str], measure, as_of: dt.date = LAST
) -> dict[tuple, tuple[float, int]]:  # type: ignore[no-untyped-def]
    """measure(rows of a group) -> (value, n), for every grain, period and slice."""
    found = {}
    for grain in ("day", "week", "month", "rolling_28d"):
        starts = period(grain, rows[day], as_of)
        for dimension in ["all", *slices]:
            if dimension in ("campaign", "country") and grain == "day":
                continue
            label = pd.Series("all", index=rows.index) if dimension == "all" else rows[dimension]
            for (start, value), part in rows.groupby([starts, label.fillna("(not set)")]):
                found[grain, start, dimension, value] = measure(part)
    return found


def compare(values: pd.DataFrame, kpi: str, truth: dict[tuple, tuple[float, int]], min_n: int = 0) -> None:
    value, n = published(values, kpi), published(values, kpi, "n")
    reason = published(values, kpi, "null_reason")
    assert truth
    for key, (expected, units) in truth.items():
        assert n[key] == units, (kpi, key)
        if units < min_n:
            assert (value[key], reason[key]) == (None, "suppressed_small_n"), (kpi, key)
        else:
            assert value[key] == pytest.approx(expected, abs=1e-8), (kpi, key)
    dimensions = {key[2] for key in truth}
    for key, number in value.items():
        if key not in truth and key[2] in dimensions and number is not None:
            assert number == 0, (kpi, key)


SLICES = ["channel", "campaign", "device", "country", "new_returning"]


def visits(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    rows = tables["customers.sessions"]
    rows = rows[~rows["is_bot"]].merge(
        tables["customers.customers"][["customer_id", "first_order_at", "is_known"]], on="customer_id"
    )
    before = rows["first_order_at"] < rows["started_at"]
    return rows.assign(new_returning=np.where(before, "returning", "new"))


def check_visits(tables: dict[str, pd.DataFrame], values: pd.DataFrame, as_of: dt.date = LAST) -> None:
    rows = visits(tables)

    def rate(condition: pd.Series):  # type: ignore[no-untyped-def]
        return brute(
            rows.assign(hit=condition),
            "business_date",
            SLICES,
            lambda part: (part["hit"].mean(), part["customer_id"].nunique()),
            as_of,
        )

    compare(values, "conversion_rate", rate(rows["order_id"].notna()), min_n=20)
    compare(values, "bounce_rate", rate(~rows["engaged"]), min_n=20)
    compare(values, "session_duration", rate(rows["duration_seconds"]), min_n=20)
    people = brute(rows, "business_date", SLICES, lambda part: (part["customer_id"].nunique(),) * 2, as_of)
    compare(values, "visitors", people)
    counts = brute(
        rows, "business_date", SLICES, lambda part: (len(part), part["customer_id"].nunique()), as_of
    )
    compare(values, "sessions", counts)


def test_visits_equal_brute_force(shop) -> None:  # type: ignore[no-untyped-def]
    _, tables, values = shop
    check_visits(tables, values)


def test_visitor_conversion_is_of_people(shop) -> None:  # type: ignore[no-untyped-def]
    _, tables, values = shop
    rows = visits(tables).assign(bought=lambda r: r["order_id"].notna())

    def share(part: pd.DataFrame) -> tuple[float, int]:
        per_person = part.groupby("customer_id")["bought"].any()
        return per_person.mean(), len(per_person)

    compare(values, "visitor_conversion_rate", brute(rows, "business_date", SLICES, share), min_n=20)


def test_orders_equal_brute_force(shop) -> None:  # type: ignore[no-untyped-def]
    _, tables, values = shop
    orders = tables["customers.orders"].merge(
        tables["customers.sessions"][["session_id", "channel", "campaign", "device", "country"]],
        on="session_id",
        how="left",
    )
    store = orders["sales_channel"] == "store"
    home = orders["customer_id"].map(tables["customers.customers"].set_index("customer_id")["country"])
    rows = orders.assign(
        channel=orders["channel"].where(~store, "Store"),
        device=orders["device"].where(~store, "store"),
        country=orders["country"].where(orders["country"].notna(), home),
        new_returning=np.where(orders["is_first_order"], "new", "returning"),
    )

    def total(column: str):  # type: ignore[no-untyped-def]
        return brute(
            rows, "business_date", SLICES, lambda part: (part[column].sum(), part["customer_id"].nunique())
        )

    def mean(part: pd.DataFrame) -> tuple[float, int]:
        return part["net_revenue"].mean(), part["customer_id"].nunique()

    count = brute(rows, "business_date", SLICES, lambda part: (len(part), part["customer_id"].nunique()))
    compare(values, "orders", count)
    compare(values, "net_revenue", total("net_revenue"))
    compare(values, "average_order_value", brute(rows, "business_date", SLICES, mean), min_n=10)
    median = brute(
        rows, "business_date", SLICES, lambda p: (p["net_revenue"].median(), p["customer_id"].nunique())
    )
    compare(values, "median_order_value", median, min_n=20)


def test_answers_and_media_equal_brute_force(shop) -> None:  # type: ignore[no-untyped-def]
    _, tables, values = shop
    answers = tables["customers.feedback"]
    asked = answers[answers["kind"] == "nps"]

    def score(part: pd.DataFrame) -> tuple[float, int]:
        return 100 * ((part["score"] >= 9).mean() - (part["score"] <= 6).mean()), len(part)

    compare(values, "net_promoter_score", brute(asked, "business_date", [], score), min_n=30)
    media = tables["customers.media"]
    ctr = brute(
        media, "day", ["channel", "campaign"], lambda p: (p["clicks"].sum() / p["impressions"].sum(), len(p))
    )
    compare(values, "click_through_rate", ctr)


def test_windows_equal_brute_force(shop) -> None:  # type: ignore[no-untyped-def]
    _, tables, values = shop
    orders = tables["customers.orders"]
    days = orders[["customer_id", "business_date"]].drop_duplicates().sort_values("business_date")
    days["next"] = days.groupby("customer_id")["business_date"].shift(-1)
    rows = orders.merge(days, on=["customer_id", "business_date"])
    gap = (pd.to_datetime(rows["next"]) - pd.to_datetime(rows["business_date"])).dt.days
    for kpi, window, chosen in [
        ("repeat_purchase_rate", 30, rows["is_first_order"]),
        ("churn_rate", 45, rows["is_first_order"] | True),
    ]:
        closed = rows[chosen].assign(
            closes=[day + dt.timedelta(days=window) for day in rows.loc[chosen, "business_date"]],
            hit=(gap <= window) if kpi == "repeat_purchase_rate" else ~(gap <= window),
        )
        closed = closed[closed["closes"] <= LAST]

        def share(part: pd.DataFrame) -> tuple[float, int]:
            per_person = part.groupby("customer_id")["hit"].any()
            return per_person.mean(), len(per_person)

        compare(values, kpi, brute(closed, "closes", [], share), min_n=20)
    early = values[(values["kpi_id"] == "churn_rate") & (values["grain"] == "day")]
    before = early[early["period_start"].dt.date < FIRST + dt.timedelta(days=45)]
    assert set(before["null_reason"]) == {"immature"}
    churn, kept = (published(values, name) for name in ("churn_rate", "retention_rate"))
    both = [(churn[key], kept[key]) for key in churn if churn[key] is not None]
    assert both
    assert all(a + b == pytest.approx(1) for a, b in both)


def test_reach_is_not_additive(shop) -> None:  # type: ignore[no-untyped-def]
    _, tables, values = shop
    rows = tables["customers.touchpoints"]
    whole = published(values, "reach")
    first = bounds("rolling_28d", LAST, LAST)[0]
    inside = rows[rows["business_date"] >= first]
    assert whole["rolling_28d", first, "all", "all"] == inside["customer_id"].nunique()
    by_day = sum(v for k, v in whole.items() if k[0] == "day" and k[2] == "all" and k[1] >= first)
    assert by_day > 2 * whole["rolling_28d", first, "all", "all"]
    assert not values.loc[values["kpi_id"] == "reach", "additive"].any()


def test_every_row_says_what_it_is(shop) -> None:  # type: ignore[no-untyped-def]
    _, _, values = shop
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


def test_additive_slices_add_up_and_periods_nest(shop) -> None:  # type: ignore[no-untyped-def]
    _, _, values = shop
    rows = values[values["additive"] & (values["grain"] == "week")]
    for _kpi, part in rows.groupby("kpi_id"):
        whole = part[part["dimension"] == "all"].set_index("period_start")["value"]
        for dimension, split in part[part["dimension"] != "all"].groupby("dimension"):
            assert np.allclose(split.groupby("period_start")["value"].sum(), whole), dimension
    daily = values[
        (values["kpi_id"] == "orders") & (values["grain"] == "day") & (values["dimension"] == "all")
    ]
    assert daily["value"].sum() == sum(
        v for k, v in published(values, "orders").items() if k[0] == "week" and k[2] == "all"
    )


def test_receipts_give_the_number_again(shop) -> None:  # type: ignore[no-untyped-def]
    wh, _, values = shop
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


def test_same_data_same_table(shop) -> None:  # type: ignore[no-untyped-def]
    wh, _, values = shop
    build_kpi_values(wh)
    key = ["kpi_id", "grain", "period_start", "dimension", "dimension_value"]
    pd.testing.assert_frame_equal(
        wh.read("kpi_values").sort_values(key, ignore_index=True), values.sort_values(key, ignore_index=True)
    )
    headlines = headline_numbers(wh)
    assert headlines["kpis"] == len(load_catalogue().kpis)
    assert headlines["orders_28d"] > 0


@settings(max_examples=3, deadline=None, phases=[Phase.generate])
@given(st.integers(0, 10_000), st.integers(3, 45))
def test_random_shops_equal_brute_force(seed: int, days: int) -> None:
    with Warehouse(":memory:") as wh:
        tables = fill(wh, seed=seed, customers=40, days=days)
        build_kpi_values(wh)
        check_visits(tables, wh.read("kpi_values"), FIRST + dt.timedelta(days=days - 1))


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
