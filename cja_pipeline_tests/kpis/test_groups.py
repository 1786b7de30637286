"""Groups and audiences against rows counted by hand; nobody is written to who must not be."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cja_pipeline.config import SHIPPED, ConfigError
from cja_pipeline.kpis import stats
from cja_pipeline.kpis.group_config import load_audiences, load_segments
from cja_pipeline.kpis.groups import MIN_CUSTOMERS, build_groups
from cja_pipeline.kpis.value import build_customer_value
from cja_pipeline.settings import get_settings
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.kpis.shop_data import FIRST, fill, write

DAYS = 60
STATES = np.array(["reachable", "unsubscribed", "bounced", "no_address"])
CONSENTS = np.array([True, False, None], dtype=object)


@pytest.fixture(scope="module")
def shop() -> Iterator[Warehouse]:
    with Warehouse(":memory:") as wh:
        tables = fill(wh, customers=900, days=DAYS)
        random = np.random.default_rng(3)
        people = tables["customers.customers"]
        orders = tables["customers.orders"].groupby("customer_id").size()
        people["orders"] = people["customer_id"].map(orders).fillna(0).astype(int)
        people["email_status"] = random.choice(STATES, len(people))
        people["consent_marketing"] = random.choice(CONSENTS, len(people))
        people["last_nps"] = random.choice([np.nan, 3.0, 9.0], len(people), p=[0.2, 0.1, 0.7])
        people["is_bot"] = np.arange(len(people)) % 50 == 0
        write(wh, "customers.customers", people)
        build_customer_value(wh)
        build_groups(wh)
        yield wh


@pytest.fixture
def override(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("CJA_CONFIG", str(tmp_path))
    get_settings.cache_clear()
    yield tmp_path
    monkeypatch.undo()
    get_settings.cache_clear()


def facts(wh: Warehouse) -> pd.DataFrame:
    """What the lifecycle depends on, counted in pandas from the tables that the models read."""
    last = FIRST + dt.timedelta(days=DAYS - 1)
    orders = wh.read("customers.orders").sort_values(["ordered_at", "order_id"])
    people = wh.read("customers.customers").set_index("customer_id")
    people = people[~people["is_bot"]]
    days = orders["business_date"].map(lambda day: (last - day.date()).days)
    by_customer = days.groupby(orders["customer_id"])
    gaps = by_customer.apply(lambda d: d.iloc[-2] - d.iloc[-1] if len(d) > 1 else np.nan)
    touches = wh.read("customers.touchpoints")
    seen = touches.groupby("customer_id")["business_date"].max().map(lambda day: (last - day.date()).days)
    return people.assign(
        since_order=by_customer.min().reindex(people.index),
        gap=gaps.reindex(people.index),
        since_seen=seen.reindex(people.index),
    )


def lifecycle(row: pd.Series) -> str:
    if row["orders"] == 0:
        if not row["is_known"]:
            return "visitor"
        return "lead" if row["since_seen"] <= 60 else "dormant_lead"
    if row["since_order"] <= 45:
        if row["gap"] > 90:
            return "won_back"
        return "new_buyer" if row["orders"] == 1 else "active_buyer"
    return "slipping" if row["since_order"] <= 90 else "lapsed"


def test_lifecycle_equals_brute_force(shop: Warehouse) -> None:
    expected = facts(shop).apply(lifecycle, axis=1)
    found = shop.read("kpis.customer_segments").set_index("customer_id")
    assert found.index.is_unique
    assert found["lifecycle"].reindex(expected.index).tolist() == expected.tolist()
    assert len(found) == len(expected)
    assert expected.nunique() >= 4
    assert found.notna().all(axis=None)


def test_summary_adds_up_and_hides_small_groups(shop: Warehouse) -> None:
    summary = shop.read("kpis.segment_summary")
    groups = shop.read("kpis.customer_segments").set_index("customer_id")
    people = shop.read("customers.customers").set_index("customer_id").loc[groups.index]
    assert set(summary["family"]) == {"lifecycle", "behaviour", "rfm"}
    assert (summary["customers"] >= MIN_CUSTOMERS).all()
    for family, rows in summary.groupby("family"):
        assert rows["customers"].sum() == len(people)
        assert rows[["share", "revenue_share"]].sum().to_numpy() == pytest.approx([1, 1])
        assert rows["net_revenue"].sum() == pytest.approx(float(people["net_revenue"].sum()))
        column = groups["rfm_segment" if family == "rfm" else family]
        sizes = column.value_counts()
        small = sizes[sizes < MIN_CUSTOMERS]
        shown = rows.set_index("segment")
        assert not set(small.index) & set(shown.index)
        assert ("small_groups" in shown.index) == (len(small) > 0)
        for name in set(shown.index) - {"small_groups"}:
            mine = people.loc[column[column == name].index]
            spent = mine["net_revenue"].astype(float)
            expected = stats.clustered_ratio(spent, np.ones(len(spent)))
            row = shown.loc[name]
            assert (row["customers"], row["orders"]) == (len(mine), mine["orders"].sum())
            assert row["revenue_per_customer"] == pytest.approx(expected.value)
            assert (row["ci_low"], row["ci_high"]) == pytest.approx((expected.low, expected.high))
            allowed = (mine["email_status"] == "reachable") & (mine["consent_marketing"] == True)  # noqa: E712
            assert row["contactable"] == allowed.sum()


def test_a_pool_of_few_takes_in_the_next_group(warehouse: Warehouse) -> None:
    fill(warehouse, customers=60, days=30)
    people = warehouse.read("customers.customers")
    people["is_known"] = np.arange(60) < 50  # visitors: at most ten
    people["orders"] = 0
    write(warehouse, "customers.customers", people)
    warehouse.execute("DELETE FROM customers.orders")
    build_groups(warehouse)
    rows = warehouse.df("SELECT * FROM kpis.segment_summary WHERE family = 'lifecycle'")
    assert (rows["customers"] >= MIN_CUSTOMERS).all()
    assert rows["customers"].sum() == 60


def test_audiences_hold_only_people_who_may_be_written_to(shop: Warehouse) -> None:
    people = shop.read("customers.customers").set_index("customer_id")
    members, summary = shop.read("kpis.audiences"), shop.read("kpis.audience_summary").set_index("audience")
    by_hand = facts(shop)
    promoters = by_hand[by_hand["last_nps"] >= 9]
    row = summary.loc["promoters_to_invite"]
    invited = shop.df(
        "SELECT DISTINCT customer_id FROM customers.touchpoints WHERE touchpoint_type = 'referral'"
    )["customer_id"]
    promoters = promoters[~promoters.index.isin(invited)]
    assert row["customers"] == len(promoters) > 0
    consent = promoters["consent_marketing"]
    reachable = promoters["email_status"] == "reachable"
    assert row["contactable"] == (reachable & (consent == True)).sum() > 0  # noqa: E712
    assert row["consent_denied"] == (reachable & (consent == False)).sum()  # noqa: E712
    assert row["consent_unknown"] == (reachable & consent.isna()).sum()
    for status in ("no_address", "bounced", "unsubscribed"):
        assert row[status] == (promoters["email_status"] == status).sum()
    chosen = people.loc[members["customer_id"]]
    marketing = members["audience"].map(summary["purpose"]).eq("marketing").to_numpy()
    assert (chosen.loc[marketing, "email_status"] == "reachable").all()
    assert (chosen.loc[marketing, "consent_marketing"] == True).all()  # noqa: E712
    assert not chosen["email_status"].isin(["no_address", "bounced"]).any()
    assert not chosen["is_bot"].any()
    counts = members.groupby("audience").size().reindex(summary.index, fill_value=0)
    assert (counts == summary["contactable"]).all()
    reasons = ["no_address", "bounced", "unsubscribed", "consent_denied", "consent_unknown"]
    assert (summary["contactable"] + summary[reasons].sum(axis=1) == summary["customers"]).all()


def test_service_may_write_without_consent_but_not_to_nowhere(override: Path, warehouse: Warehouse) -> None:
    (override / "audiences.yml").write_text(
        "audiences:\n"
        "  - {id: everyone, label: All, purpose: marketing, where: 'true', owner: team:crm}\n"
        "  - {id: recall, label: Recall, purpose: service, where: orders > 0, owner: team:service}\n",
        encoding="utf-8",
    )
    fill(warehouse, customers=12, days=20)
    people = warehouse.read("customers.customers")
    people["orders"], people["is_known"] = 1, True
    people["email_status"] = np.repeat(STATES, 3)
    people["consent_marketing"] = np.tile(CONSENTS, 4)
    write(warehouse, "customers.customers", people)
    build_groups(warehouse)
    found = warehouse.read("kpis.audience_summary").set_index("audience")
    assert (found.loc["everyone", "contactable"], found.loc["recall", "contactable"]) == (1, 6)
    assert found.loc["recall", ["unsubscribed", "consent_denied", "consent_unknown"]].sum() == 0


@pytest.mark.parametrize(
    ("name", "before", "after", "says"),
    [
        ("segments.yml", "tickets_90d >= 2", "tikkets_90d >= 2", "tikkets_90d"),
        ("audiences.yml", "orders = 1 and", "ordres = 1 and", "ordres"),
        ("audiences.yml", "lifecycle = 'lapsed'", "life = 'lapsed'", "life"),
        ("audiences.yml", "purpose: service", "purpose: fun", "'marketing' or 'service'"),
        ("segments.yml", "segment: lead", "segment: visitor", "distinct names"),
    ],
)
def test_faults_name_file_and_line(override: Path, name: str, before: str, after: str, says: str) -> None:
    text = (SHIPPED / name).read_text(encoding="utf-8")
    assert before in text
    (override / name).write_text(text.replace(before, after, 1), encoding="utf-8")
    load = load_segments if name == "segments.yml" else load_audiences
    with pytest.raises(ConfigError) as caught:
        load()
    message = str(caught.value)
    assert f"{override / name}, line " in message
    assert says in message


def test_nobody_is_left_without_a_group(override: Path) -> None:
    text = (SHIPPED / "segments.yml").read_text(encoding="utf-8")
    (override / "segments.yml").write_text(text.replace('where: "true"', "where: orders > 0", 1), "utf-8")
    with pytest.raises(ConfigError, match="nobody is left out"):
        load_segments()
