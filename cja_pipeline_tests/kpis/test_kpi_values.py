"""KPI values against brute force over the same rows, at every grain and slice."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from cja_pipeline.kpis.kpi_values import build_kpi_values
from cja_pipeline.kpis.periods import bounds
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.kpis.shop_data import FIRST, LAST, fill


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


def unlike(
    values: pd.DataFrame, kpi: str, truth: dict[tuple, tuple[float, int]], min_n: int = 0
) -> list[tuple]:
    """The published numbers of a KPI that are not the true ones: key, published, true."""
    value, n = published(values, kpi), published(values, kpi, "n")
    reason = published(values, kpi, "null_reason")
    assert truth
    found = []
    for key, (expected, units) in truth.items():
        if n[key] != units:
            found.append((key, n[key], units))
        elif units < min_n:
            if (value[key], reason[key]) != (None, "suppressed_small_n"):
                found.append((key, value[key], reason[key]))
        elif value[key] != pytest.approx(expected, abs=1e-8):
            found.append((key, value[key], expected))
    dimensions = {key[2] for key in truth}
    for key, number in value.items():
        if key not in truth and key[2] in dimensions and number not in (None, 0):
            found.append((key, number, 0))
    return found


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

    assert unlike(values, "conversion_rate", rate(rows["order_id"].notna()), min_n=20) == []
    assert unlike(values, "bounce_rate", rate(~rows["engaged"]), min_n=20) == []
    assert unlike(values, "session_duration", rate(rows["duration_seconds"]), min_n=20) == []
    people = brute(rows, "business_date", SLICES, lambda part: (part["customer_id"].nunique(),) * 2, as_of)
    assert unlike(values, "visitors", people) == []
    counts = brute(
        rows, "business_date", SLICES, lambda part: (len(part), part["customer_id"].nunique()), as_of
    )
    assert unlike(values, "sessions", counts) == []


def test_visits_equal_brute_force(random_shop) -> None:  # type: ignore[no-untyped-def]
    _, tables, values = random_shop
    check_visits(tables, values)


def test_visitor_conversion_is_of_people(random_shop) -> None:  # type: ignore[no-untyped-def]
    _, tables, values = random_shop
    rows = visits(tables).assign(bought=lambda r: r["order_id"].notna())

    def share(part: pd.DataFrame) -> tuple[float, int]:
        per_person = part.groupby("customer_id")["bought"].any()
        return per_person.mean(), len(per_person)

    assert (
        unlike(values, "visitor_conversion_rate", brute(rows, "business_date", SLICES, share), min_n=20) == []
    )


def test_orders_equal_brute_force(random_shop) -> None:  # type: ignore[no-untyped-def]
    _, tables, values = random_shop
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
    assert unlike(values, "orders", count) == []
    assert unlike(values, "net_revenue", total("net_revenue")) == []
    assert unlike(values, "average_order_value", brute(rows, "business_date", SLICES, mean), min_n=10) == []
    median = brute(
        rows, "business_date", SLICES, lambda p: (p["net_revenue"].median(), p["customer_id"].nunique())
    )
    assert unlike(values, "median_order_value", median, min_n=20) == []


def test_answers_and_media_equal_brute_force(random_shop) -> None:  # type: ignore[no-untyped-def]
    _, tables, values = random_shop
    answers = tables["customers.feedback"]
    asked = answers[answers["kind"] == "nps"]

    def score(part: pd.DataFrame) -> tuple[float, int]:
        return 100 * ((part["score"] >= 9).mean() - (part["score"] <= 6).mean()), len(part)

    assert unlike(values, "net_promoter_score", brute(asked, "business_date", [], score), min_n=30) == []
    media = tables["customers.media"]
    ctr = brute(
        media, "day", ["channel", "campaign"], lambda p: (p["clicks"].sum() / p["impressions"].sum(), len(p))
    )
    assert unlike(values, "click_through_rate", ctr) == []


def test_windows_equal_brute_force(random_shop) -> None:  # type: ignore[no-untyped-def]
    _, tables, values = random_shop
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

        assert unlike(values, kpi, brute(closed, "closes", [], share), min_n=20) == []
    early = values[(values["kpi_id"] == "churn_rate") & (values["grain"] == "day")]
    before = early[early["period_start"].dt.date < FIRST + dt.timedelta(days=45)]
    assert set(before["null_reason"]) == {"immature"}
    churn, kept = (published(values, name) for name in ("churn_rate", "retention_rate"))
    both = [(churn[key], kept[key]) for key in churn if churn[key] is not None]
    assert both
    assert all(a + b == pytest.approx(1) for a, b in both)


def test_reach_is_not_additive(random_shop) -> None:  # type: ignore[no-untyped-def]
    _, tables, values = random_shop
    rows = tables["customers.touchpoints"]
    whole = published(values, "reach")
    first = bounds("rolling_28d", LAST, LAST)[0]
    inside = rows[rows["business_date"] >= first]
    assert whole["rolling_28d", first, "all", "all"] == inside["customer_id"].nunique()
    by_day = sum(v for k, v in whole.items() if k[0] == "day" and k[2] == "all" and k[1] >= first)
    assert by_day > 2 * whole["rolling_28d", first, "all", "all"]
    assert not values.loc[values["kpi_id"] == "reach", "additive"].any()


def test_additive_slices_add_up_and_periods_nest(random_shop) -> None:  # type: ignore[no-untyped-def]
    _, _, values = random_shop
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


@settings(max_examples=2, deadline=None, phases=[Phase.generate])
@given(st.integers(0, 10_000), st.integers(3, 45))
def test_random_shops_equal_brute_force(seed: int, days: int) -> None:
    with Warehouse(":memory:") as wh:
        tables = fill(wh, seed=seed, customers=40, days=days)
        build_kpi_values(wh)
        check_visits(tables, wh.read("kpi_values"), FIRST + dt.timedelta(days=days - 1))
