"""A small random shop in the shape of the customer view, for tests of KPIs."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from cja_pipeline.tables import TABLES
from cja_pipeline.warehouse import Warehouse

FIRST = dt.date(2026, 1, 1)  # a Thursday
DAYS = 60
LAST = FIRST + dt.timedelta(days=DAYS - 1)
CHANNELS = np.array(["Direct", "Paid Social", "Email", "Organic Search"])
DEVICES = np.array(["mobile", "desktop", "tablet"])
COUNTRIES = np.array(["DE", "AT", None], dtype=object)
PARAMS = {
    "time_zone": "Europe/Berlin",
    "currency": "EUR",
    "language": "en",
    "session_timeout_minutes": 30,
    "session_cap_hours": 24,
    "session_rule": "s1",
    "engaged_seconds": 10.0,
    "engaged_page_views": 2,
    "bot_page_views": 400,
    "bot_events_per_minute": 120,
    "lookback_days": 30,
    "repeat_days": 90,
    "churn_days": 180,
}


def write(wh: Warehouse, name: str, rows: pd.DataFrame) -> None:
    """Write a declared table, filling columns that the test does not care about with nothing."""
    columns = TABLES[name].columns
    frame = rows.reindex(columns=list(columns))
    for column, spec in columns.items():
        if column not in rows.columns and not spec.nullable:
            blank = {"BOOLEAN": False, "VARCHAR": "", "DATE": FIRST, "TIMESTAMP": pd.Timestamp(FIRST)}
            frame[column] = blank.get(spec.type, 0)
    wh.write(name, frame)


def fill(
    wh: Warehouse, *, seed: int = 1, customers: int = 200, days: int = 60, visits: float = 4.0
) -> dict[str, pd.DataFrame]:
    """Fill an empty warehouse with a random shop; returns the tables as written."""
    random = np.random.Generator(np.random.Philox(seed))
    last = FIRST + dt.timedelta(days=days - 1)
    params = {
        **PARAMS,
        "as_of": pd.Timestamp(last) + pd.Timedelta(days=1, hours=3),
        "first_day": FIRST,
        "last_day": last,
    }
    write(wh, "config.params", pd.DataFrame([params]))
    ids = np.array([f"c{i:05d}" for i in range(customers)])

    def moments(count: int) -> pd.Series:
        seconds = np.sort(random.integers(0, days * 86_400, count))
        return pd.Series(pd.Timestamp(FIRST) - pd.Timedelta(hours=1) + pd.to_timedelta(seconds, unit="s"))

    def days_of(at: pd.Series) -> pd.Series:
        return at.dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin").dt.date

    count = int(customers * visits)
    started = moments(count)
    propensity = random.beta(0.5, 3, customers)
    who = random.choice(customers, count, p=(w := propensity + 0.05) / w.sum())
    sessions = pd.DataFrame(
        {
            "session_id": [f"s{i:06d}" for i in range(count)],
            "customer_id": ids[who],
            "started_at": started,
            "ended_at": started + pd.Timedelta(minutes=3),
            "business_date": days_of(started),
            "channel": random.choice(CHANNELS, count),
            "campaign": random.choice(np.array([None, "spring", "news"], dtype=object), count),
            "device": random.choice(DEVICES, count),
            "country": random.choice(COUNTRIES, count),
            "page_views": 1 + random.poisson(3, count),
            "product_views": random.poisson(1, count),
            "searches": random.poisson(0.2, count),
            "carts": random.poisson(0.6, count),
            "checkouts": random.poisson(0.3, count),
            "errors": random.poisson(0.02, count),
            "duration_seconds": random.gamma(1, 120, count).round(1),
            "engaged": random.random(count) < 0.7,
            "is_new_visitor": random.random(count) < 0.4,
            "is_bot": random.random(count) < 0.05,
            "engagement_seconds": 5.0,
        }
    )
    bought = (random.random(count) < propensity[who]) & ~sessions["is_bot"].to_numpy()
    sessions["order_id"] = np.where(bought, [f"o{i:06d}" for i in range(count)], None)
    sessions["orders"] = bought.astype(int)
    web = sessions[bought]
    offline = moments(max(3, customers // 10))
    orders = pd.DataFrame(
        {
            "order_id": [*web["order_id"], *(f"p{i:05d}" for i in range(len(offline)))],
            "customer_id": [*web["customer_id"], *random.choice(ids, len(offline))],
            "ordered_at": [*(web["started_at"] + pd.Timedelta(minutes=2)), *offline],
            "sales_channel": ["web"] * len(web) + ["store"] * len(offline),
            "session_id": [*web["session_id"], *[None] * len(offline)],
        }
    )
    orders["business_date"] = days_of(orders["ordered_at"])
    orders["gross_revenue"] = random.gamma(2, 40, len(orders)).round(2) + 1
    orders["discount"] = (orders["gross_revenue"] * random.choice([0, 0.1], len(orders))).round(2)
    orders["refund"] = np.where(
        random.random(len(orders)) < 0.1, orders["gross_revenue"] - orders["discount"], 0
    )
    orders["net_revenue"] = (orders["gross_revenue"] - orders["discount"] - orders["refund"]).round(2)
    orders["currency"] = "EUR"
    orders = orders.sort_values(["ordered_at", "order_id"], ignore_index=True)
    orders["order_number"] = orders.groupby("customer_id").cumcount() + 1
    orders["is_first_order"] = orders["order_number"] == 1
    first = orders.groupby("customer_id")["ordered_at"].min()
    people = pd.DataFrame({"customer_id": ids, "first_order_at": first.reindex(ids).to_numpy()})
    people["is_known"] = random.random(customers) < 0.6
    people["country"] = random.choice(COUNTRIES, customers)
    people["acquisition_channel"] = random.choice(CHANNELS, customers)
    people["net_revenue"] = (
        orders.groupby("customer_id")["net_revenue"].sum().reindex(ids).fillna(0).to_numpy()
    )
    people["currency"] = "EUR"
    kinds = random.choice(["visit", "search", "email_received", "referral", "product_view"], 3 * count)
    at = moments(3 * count)
    touch = pd.DataFrame(
        {
            "touchpoint_id": [f"t{i:06d}" for i in range(3 * count)],
            "customer_id": random.choice(ids, 3 * count),
            "occurred_at": at,
            "business_date": days_of(at),
            "touchpoint_type": kinds,
            "channel": random.choice(CHANNELS, 3 * count),
            "device": random.choice(DEVICES, 3 * count),
        }
    )
    sold = pd.DataFrame(
        {
            "touchpoint_id": "order/" + orders["order_id"],
            "customer_id": orders["customer_id"],
            "occurred_at": orders["ordered_at"],
            "business_date": orders["business_date"],
            "touchpoint_type": np.where(orders["sales_channel"] == "web", "purchase", "store_order"),
            "order_id": orders["order_id"],
            "channel": "Direct",
        }
    )
    touch = pd.concat([touch, sold], ignore_index=True)
    answers = max(40, customers // 2)
    given = moments(answers)
    feedback = pd.DataFrame(
        {
            "feedback_id": [f"f{i}" for i in range(answers)],
            "customer_id": random.choice(ids, answers),
            "occurred_at": given,
            "business_date": days_of(given),
            "kind": random.choice(["nps", "csat", "ticket"], answers),
            "score": random.integers(0, 11, answers).astype(float),
        }
    )
    feedback.loc[feedback["kind"] == "csat", "score"] = 1 + feedback["score"] % 5
    grid = pd.MultiIndex.from_product(
        [[FIRST + dt.timedelta(days=i) for i in range(days)], ["spring", "summer"]], names=["day", "campaign"]
    ).to_frame(index=False)
    media = grid.assign(
        platform="meta_ads",
        channel="Paid Social",
        impressions=random.poisson(2000, len(grid)),
        clicks=random.poisson(40, len(grid)),
        spend=random.gamma(5, 4, len(grid)).round(2),
        currency="EUR",
    )
    spells = touch.sort_values(["customer_id", "occurred_at", "touchpoint_id"]).groupby("customer_id").head(3)
    spells = pd.DataFrame(
        {
            "customer_id": spells["customer_id"],
            "stage": random.choice(["awareness", "consideration", "purchase"], len(spells)),
            "entered_at": spells["occurred_at"],
            "exited_at": spells.groupby("customer_id")["occurred_at"].shift(-1),
            "entry_touchpoint_id": spells["touchpoint_id"],
            "spell": spells.groupby("customer_id").cumcount() + 1,
        }
    )
    tests = pd.DataFrame({"order_id": sessions.loc[sessions["is_bot"], "session_id"], "reason": "test"})
    found = {
        "customers.orders_excluded": tests,
        "customers.sessions": sessions,
        "customers.orders": orders,
        "customers.customers": people,
        "customers.touchpoints": touch,
        "customers.feedback": feedback,
        "customers.media": media,
        "customers.stage_spells": spells,
    }
    for name, rows in found.items():
        write(wh, name, rows)
    return found
