"""KPIs of costs, windows, stages and invitations against rows counted by hand."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from cja_pipeline.config import SHIPPED
from cja_pipeline.kpis.catalogue import load_catalogue
from cja_pipeline.kpis.estimates import derive, estimate
from cja_pipeline.kpis.journey_params import ensure_journeys
from cja_pipeline.kpis.kpi_sources import load_sources
from cja_pipeline.kpis.kpi_values import build_kpi_values
from cja_pipeline.settings import get_settings
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.kpis.shop_data import DAYS, FIRST, LAST, fill, write

Shop = tuple[Warehouse, pd.DataFrame]
ROLLING = LAST - dt.timedelta(days=27)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A random shop that also pays an agency, with invited customers and impatient visits."""
    folder = tmp_path_factory.mktemp("config")
    text = (SHIPPED / "journeys.yml").read_text(encoding="utf-8")
    costs = (
        "acquisition_costs:\n"
        "  - {name: agency, per_month: 310, first_day: 2026-01-01, channel: Paid Social}\n"
        "  - {name: tools, per_month: 280, first_day: 2026-02-10, last_day: 2026-02-12}\n"
    )
    (folder / "journeys.yml").write_text(text.replace("acquisition_costs: []\n", costs), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch, Warehouse(":memory:") as wh:
        patch.setenv("CJA_CONFIG", str(folder))
        get_settings.cache_clear()
        tables = fill(wh, seed=5, customers=300, days=DAYS, visits=5)
        people, sessions = tables["customers.customers"], tables["customers.sessions"]
        people["is_referred"] = np.arange(len(people)) % 7 == 0
        sessions["reloads"] = np.arange(len(sessions)) % 23 == 0
        write(wh, "customers.customers", people)
        write(wh, "customers.sessions", sessions)
        ensure_journeys(wh)
        build_kpi_values(wh)
        yield wh, wh.read("kpi_values")
    get_settings.cache_clear()


def value(values: pd.DataFrame, kpi: str, dimension: str = "all", name: str = "all") -> pd.Series:
    """The row of the last 28 days."""
    rows = values[(values["kpi_id"] == kpi) & (values["grain"] == "rolling_28d")]
    rows = rows[(rows["dimension"] == dimension) & (rows["dimension_value"] == name)]
    return rows.set_index(rows["period_start"].dt.date).loc[ROLLING]


def recent(rows: pd.DataFrame, column: str = "business_date") -> pd.DataFrame:
    return rows[rows[column].dt.date >= ROLLING]


def test_costs_are_media_discounts_and_what_was_stated(shop: Shop) -> None:
    wh, values = shop
    orders, media = wh.read("customers.orders"), wh.read("customers.media")
    new = recent(orders[orders["is_first_order"]])
    spend = float(recent(media, "day")["spend"].sum())
    discounts = float(new["discount"].sum())
    last_days = [ROLLING + dt.timedelta(days=i) for i in range(28)]
    agency = sum(310 / (31 if day.month == 1 else 28 if day.month == 2 else 31) for day in last_days)
    tools = 280 / 28 * sum(dt.date(2026, 2, 10) <= day <= dt.date(2026, 2, 12) for day in last_days)
    assert discounts > 0 < tools
    total = value(values, "acquisition_costs")
    assert total["value"] == pytest.approx(spend + discounts + agency + tools, abs=0.01)
    assert value(values, "acquisition_costs", "channel", "(all)")["value"] == pytest.approx(tools, abs=0.01)
    cost = value(values, "customer_acquisition_cost")
    assert cost["value"] == pytest.approx(total["value"] / len(new))
    assert cost["denominator"] == new["customer_id"].nunique()
    paid = new.merge(wh.read("customers.sessions")[["session_id", "channel"]], on="session_id")
    won = (paid["channel"] == "Paid Social").sum()
    assert value(values, "new_customers_paid")["value"] == won
    only = value(values, "customer_acquisition_cost_paid")
    if won >= 20:
        assert only["value"] == pytest.approx(spend / won)
    else:
        assert only["null_reason"] == "suppressed_small_n"


def test_carts_of_a_week_by_brute_force(shop: Shop) -> None:
    wh, values = shop
    sessions = wh.read("customers.sessions")
    carts = sessions[(sessions["carts"] > 0) & ~sessions["is_bot"]]
    orders = wh.read("customers.orders")
    web = orders[orders["sales_channel"] == "web"].groupby("customer_id")["ordered_at"].apply(list)
    bought = [
        isinstance(row.order_id, str)
        or any(
            row.started_at <= at < row.started_at + pd.Timedelta(days=7)
            for at in web.get(row.customer_id, [])
        )
        for row in carts.itertuples()
    ]
    carts = recent(carts.assign(bought=bought))
    carts = carts[carts["business_date"].dt.date <= LAST - dt.timedelta(days=7)]
    row = value(values, "cart_abandonment_rate_7d")
    assert (row["denominator"], row["numerator"]) == (len(carts), (~carts["bought"]).sum())
    assert not row["is_mature"]


def test_windows_after_the_first_order(shop: Shop) -> None:
    wh, values = shop
    orders = wh.read("customers.orders")
    first = orders.groupby("customer_id")["business_date"].transform("min")
    early = orders[(orders["business_date"] - first).dt.days <= 30]
    spent = early.groupby("customer_id")["net_revenue"].sum().astype(float)
    closes = orders.groupby("customer_id")["business_date"].min() + pd.Timedelta(days=30)
    closed = closes[(closes.dt.date >= ROLLING) & (closes.dt.date <= LAST)].index
    row = value(values, "customer_value_30d")
    assert row["value"] == pytest.approx(spent.loc[closed].mean())
    assert row["n"] == len(closed)
    assert value(values, "customer_value_90d")["null_reason"] == "immature"


def test_who_lapsed_may_come_back(warehouse: Warehouse) -> None:
    """45 days without an order, then one within 30 more: by hand, for five customers a hundred times."""
    fill(warehouse, customers=20, days=120)
    plans = {"back": [0, 60], "late": [0, 90], "soon": [0, 45], "never": [0], "edge": [0, 75]}
    rows = [
        (f"{name}{i}", FIRST + dt.timedelta(days=day))
        for name, days in plans.items()
        for i in range(20)
        for day in days
    ]
    orders = pd.DataFrame(rows, columns=["customer_id", "business_date"])
    orders["order_id"] = [f"o{i}" for i in range(len(orders))]
    orders["ordered_at"] = pd.to_datetime(orders["business_date"]) + pd.Timedelta(hours=12)
    orders["is_first_order"] = ~orders["customer_id"].duplicated()
    write(warehouse, "customers.orders", orders.assign(net_revenue=10.0, sales_channel="store"))
    build_kpi_values(warehouse)
    found = warehouse.df(
        "SELECT numerator, denominator, value FROM kpis.kpi_values WHERE kpi_id = 'reactivation_rate' "
        "AND grain = 'day' AND dimension = 'all' AND period_start = ?",
        [FIRST + dt.timedelta(days=75)],
    ).iloc[0]
    # lapsed: everybody but those of "soon"; back within 75 days: "back" and "edge"
    assert (found["denominator"], found["numerator"]) == (80, 40)


def test_where_nothing_happened_the_upper_limit_is_unknown() -> None:
    """A hundred visits that all lasted no time, and a hundred of which one did."""
    sums = {
        "n": [0, 900],
        "nn": [0, 900**2],
        "nd": [0, 900],
        **{name: [100, 100] for name in ("d", "units", "dd")},
    }
    found = estimate(load_catalogue()["session_duration"], {k: np.array(v, float) for k, v in sums.items()})
    assert found["value"].tolist() == [0, 9]
    assert (found["ci_low"][0], found["ci_low"][1] > 0) == (0, True)
    assert np.isnan(found["ci_high"][0])
    assert found["ci_high"][1] > 9
    assert found["ci_method"].tolist() == ["gamma", "gamma"]


@pytest.mark.parametrize(
    ("exact", "method", "limits", "expected"),
    [
        # a counted nothing is nothing whatever it is divided by
        ((True, False), None, (np.nan, np.nan), (0, 0)),
        # of a sampled one nobody knows how much it might have been, unless it knows itself
        ((False, True), None, (np.nan, np.nan), (0, np.nan)),
        ((False, False), "poisson", (0, 3.7), (0, 3.7 / 4)),
        ((True, True), None, (np.nan, np.nan), (np.nan, np.nan)),
    ],
)
def test_a_ratio_of_nothing(
    exact: tuple[bool, bool], method: str | None, limits: tuple[float, float], expected: tuple[float, float]
) -> None:
    def part(value: float, low: float, high: float, method: str | None) -> dict:
        keys = {"grain": "day", "period_start": np.datetime64("2026-01-01"), "dimension": "all"}
        keys |= {"dimension_value": "all", "period_end": np.datetime64("2026-01-01")}
        numbers = {"value": value, "ci_low": low, "ci_high": high, "n": 90.0, "missing": 0.0}
        found = {name: np.array([one]) for name, one in (keys | numbers).items()}
        return found | {
            name: np.array([one], object) for name, one in (("ci_method", method), ("null_reason", None))
        }

    bottom = (4.0, np.nan, np.nan, None) if exact[1] else (5.0, 4.0, 6.0, "poisson")
    kpi = load_catalogue()["customer_acquisition_cost"]
    found = derive(kpi, ["day"], [], part(0.0, *limits, method), part(*bottom), exact)
    assert found["value"].tolist() == [0]
    assert [found["ci_low"][0], found["ci_high"][0]] == pytest.approx(list(expected), nan_ok=True)


def test_an_order_before_which_nothing_was_seen_has_no_journey(warehouse: Warehouse) -> None:
    """Two orders of one customer, the second at the till a month later, without a contact in between."""
    first = pd.Timestamp(FIRST)
    log = [("v1", "visit", 0), ("v2", "product_view", 1), ("o1", "purchase", 48), ("o2", "store_order", 800)]
    rows = pd.DataFrame(
        {
            "touchpoint_id": [name for name, _, _ in log],
            "customer_id": "c1",
            "touchpoint_type": [kind for _, kind, _ in log],
            "occurred_at": [first + pd.Timedelta(hours=hours) for _, _, hours in log],
        }
    ).assign(business_date=lambda found: found["occurred_at"].dt.date)
    write(warehouse, "customers.touchpoints", rows)
    params = pd.DataFrame([{"as_of": first + pd.Timedelta(days=60), "lookback_days": 30}])
    write(warehouse, "config.params", params)
    found = warehouse.df(f"SELECT * FROM {load_sources()['journeys'].text}")
    assert found[["touches", "days_to_order"]].to_numpy().tolist() == [[2, 2.0]]


def test_visits_orders_and_invitations(shop: Shop) -> None:
    wh, values = shop
    sessions, orders = wh.read("customers.sessions"), wh.read("customers.orders")
    people = wh.read("customers.customers").set_index("customer_id")
    visits = recent(sessions[~sessions["is_bot"]])
    rubbed = (visits["errors"] > 0) | (visits["reloads"] > 0)
    assert value(values, "friction_rate")["value"] == pytest.approx(rubbed.mean())
    on_phones = visits["device"] == "mobile"
    mobile = value(values, "friction_rate", "device", "mobile")
    assert mobile["value"] == pytest.approx(rubbed[on_phones].mean())
    timed = recent(orders).merge(sessions[["session_id", "started_at"]], on="session_id")
    seconds = (timed["ordered_at"] - timed["started_at"]).dt.total_seconds()
    assert value(values, "visit_to_order_time")["value"] == pytest.approx(seconds.median())
    new = recent(orders[orders["is_first_order"]])
    invited = people.loc[new["customer_id"], "is_referred"]
    assert value(values, "referred_customer_share")["value"] == pytest.approx(invited.mean())


def test_entries_and_progress_of_stages(shop: Shop) -> None:
    wh, values = shop
    spells = wh.read("customers.stage_spells").sort_values(["customer_id", "spell"])
    day = spells["entered_at"].dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin").dt.date
    people = wh.read("customers.customers").set_index("customer_id")
    spells = spells.assign(day=day, next=spells.groupby("customer_id")["stage"].shift(-1))
    spells = spells[~spells["customer_id"].map(people["is_bot"]).astype(bool)]
    for stage, part in spells[spells["day"] >= ROLLING].groupby("stage"):
        assert value(values, "stage_entries", "stage", stage)["value"] == len(part)
    touches = wh.read("customers.touchpoints").set_index("touchpoint_id")
    closes = spells["day"] + dt.timedelta(days=14)
    entered = spells[(spells["stage"] == "consideration") & (closes >= ROLLING) & (closes <= LAST)]
    days = (entered["exited_at"] - entered["entered_at"]).dt.total_seconds() / 86400
    moved = (entered["next"] == "purchase") & (days <= 14)
    row = value(values, "consideration_progress_rate")
    assert (row["denominator"], row["numerator"]) == (len(entered), moved.sum())
    channel = entered["entry_touchpoint_id"].map(touches["channel"])
    for name in ("Email", "Paid Social"):
        part = value(values, "consideration_progress_rate", "channel", name)
        assert (part["denominator"], part["numerator"]) == (
            (channel == name).sum(),
            (moved & (channel == name)).sum(),
        )


def test_answers_split_by_the_channel_that_won_the_customer(shop: Shop) -> None:
    wh, values = shop
    people = wh.read("customers.customers").set_index("customer_id")
    answers = recent(wh.read("customers.feedback"))
    answers = answers[answers["kind"] == "csat"]
    won_by = answers["customer_id"].map(people["acquisition_channel"])
    for name in sorted(set(won_by)):
        row = value(values, "customer_satisfaction_score", "channel", name)
        part = answers[won_by == name]
        assert (row["denominator"], row["numerator"]) == (len(part), (part["score"] >= 4).sum())


def test_both_sides_of_value_per_cost_are_the_same_customers(shop: Shop) -> None:
    """Value and cost by channel count customers by the visit of their first order."""
    wh, _ = shop
    from cja_pipeline.kpis.kpi_sources import load_sources

    sources = load_sources()
    sides = [
        wh.df(
            "SELECT channel, campaign, device, country, count(DISTINCT customer_id) AS n "
            f"FROM {source.text} s {where} GROUP BY ALL ORDER BY ALL"
        )
        for source, where in ((sources["buyers"], ""), (sources["orders"], "WHERE is_first_order"))
    ]
    pd.testing.assert_frame_equal(*sides)


def test_totals_have_targets_that_scale(shop: Shop) -> None:
    _, values = shop
    rows = values[(values["kpi_id"] == "net_revenue") & (values["dimension"] == "all")]
    of_grain = rows.set_index("grain")["target"].groupby("grain").first()
    assert [4 * of_grain["week"], 28 * of_grain["day"]] == pytest.approx([of_grain["rolling_28d"]] * 2)
    assert rows["status"].isin(["ahead", "on", "behind", "insufficient_data"]).all()
    worth = values[(values["kpi_id"] == "customer_lifetime_value") & (values["dimension"] == "all")]
    assert worth["target"].notna().all()
    assert set(worth["status"]) == {"insufficient_data"}


def test_an_answer_is_to_the_last_mail_of_its_campaign(warehouse: Warehouse) -> None:
    """Many mails of few campaigns, often at the same moment, some answered before they were received."""
    random = np.random.Generator(np.random.Philox(3))
    types = ["email_received", "email_opened", "email_clicked", "email_unsubscribed", "visit"]
    log = pd.DataFrame(
        {
            "touchpoint_id": [f"t{i:03}" for i in range(400)],
            "customer_id": random.choice([f"c{i}" for i in range(9)], 400),
            "campaign": random.choice(np.array([None, "news", "sale"], dtype=object), 400),
            "touchpoint_type": random.choice(types, 400, p=[0.4, 0.2, 0.2, 0.1, 0.1]),
            "occurred_at": pd.Timestamp(FIRST) + pd.to_timedelta(random.integers(0, 90, 400), unit="h"),
        }
    ).assign(business_date=lambda rows: rows["occurred_at"].dt.date)
    write(warehouse, "customers.touchpoints", log)
    write(warehouse, "customers.customers", pd.DataFrame({"customer_id": log["customer_id"].unique()}))
    # one refuses to be observed from the second day on, another did so only for mails of other purposes
    refused_from = pd.Timestamp(FIRST) + pd.Timedelta(days=1)
    spells = [("c0", "analytics", False), ("c1", "marketing", False), ("c2", "analytics", True)]
    known = {"from_at": refused_from, "until_at": pd.Timestamp("2100-01-01")}
    write(
        warehouse,
        "customers.consent_spells",
        pd.DataFrame(
            [{"customer_id": who, "purpose": what, "granted": yes} | known for who, what, yes in spells]
        ),
    )
    expected: dict[str, list[int]] = {}
    for _, group in log.groupby(["customer_id", log["campaign"].fillna("")]):
        mails = group[group["touchpoint_type"] == "email_received"].sort_values(
            ["occurred_at", "touchpoint_id"]
        )
        expected |= {name: [0, 0, 0] for name in mails["touchpoint_id"]}
        for row in group[group["touchpoint_type"].isin(types[1:4])].itertuples():
            before = mails.loc[mails["occurred_at"] <= row.occurred_at, "touchpoint_id"]
            if len(before):
                said = expected[before.iloc[-1]]
                said[0] |= row.touchpoint_type != "email_unsubscribed"
                said[1] |= row.touchpoint_type == "email_clicked"
                said[2] |= row.touchpoint_type == "email_unsubscribed"
    found = warehouse.df(f"SELECT * FROM {load_sources()['mails'].text}").set_index("touchpoint_id")
    unseen = log[(log["customer_id"] == "c0") & (log["occurred_at"] >= refused_from)]
    for name in set(unseen["touchpoint_id"]) & set(expected):
        expected[name] = [0, 0, expected[name][2]]
    columns = found[["opened", "clicked", "unsubscribed"]].astype(int)
    assert {name: row.tolist() for name, row in zip(found.index, columns.to_numpy(), strict=True)} == expected
    assert set(found.index[found["observed"] == 0]) == set(unseen["touchpoint_id"]) & set(expected)
    assert 0 < (found["observed"] == 0).sum() < len(found) / 4
    sent = log.set_index("touchpoint_id").loc[found.index]
    assert (found["business_date"].dt.date == sent["business_date"]).all()
    assert (found["campaign"].fillna("") == sent["campaign"].fillna("")).all()
