"""A small shop as tables in memory: 600 customers, from which every figure can be recounted."""

from __future__ import annotations

import datetime as dt
import json
import random
from typing import Any

import pandas as pd

from cja_pipeline.journey_maps.rows import STAGES
from cja_pipeline.tables import TABLES
from cja_pipeline.warehouse import Warehouse

LAST = dt.date(2026, 11, 20)
NOW = dt.datetime(2026, 11, 21, 3, 0)  # noqa: DTZ001 - warehouse times are naive UTC
CHANNELS = ("Paid Search", "Organic Search", "Email", "Direct", "Referral")
KINDS = ("product_view", "add_to_cart", "ticket", "email_opened")


class SmallShop:
    """Rows of the tables that the map reads, and the lists they were made from."""

    def __init__(self, customers: int = 600, seed: int = 11) -> None:
        self.random = random.Random(seed)
        self.touchpoints: list[dict[str, Any]] = []
        self.spells: list[dict[str, Any]] = []
        self.keys: list[dict[str, Any]] = []
        self.feedback: list[dict[str, Any]] = []
        for number in range(customers):
            self._customer(f"c{number:04d}")

    def _customer(self, customer: str) -> None:
        pick = self.random
        device = pick.choice(["mobile", "desktop", None])
        furthest = pick.choices(range(1, 6), [50, 30, 12, 6, 2])[0]
        start = NOW - dt.timedelta(days=pick.uniform(0.1, 130))
        bought: dt.datetime | None = None
        at = start
        for place in range(1, furthest + 1):
            stage = STAGES[place - 1]
            self.spells.append(
                {
                    "customer_id": customer,
                    "stage": stage,
                    "entered_at": at,
                    "entry_touchpoint_id": f"{customer}-{place}",
                    "rule_id": "r",
                    "spell": place,
                    "touchpoints": 1,
                }
            )
            if place == 3:
                bought = at
            kind = "visit" if pick.random() < 0.5 else pick.choice(KINDS)
            self.touchpoints.append(
                {
                    "touchpoint_id": f"{customer}-{place}",
                    "customer_id": customer,
                    "occurred_at": at,
                    "business_date": at.date(),
                    "source": "web_analytics",
                    "department": "E-commerce",
                    "channel": pick.choice(CHANNELS),
                    "touchpoint_type": kind,
                    "stage": stage,
                    "sequence": place,
                }
            )
            at = min(NOW - dt.timedelta(minutes=1), at + dt.timedelta(days=pick.uniform(0, 9)))
        if device or bought:
            self.keys.append({"customer_id": customer, "main_device": device, "first_order_at": bought})
        if pick.random() < 0.4:
            self._say(customer, at)

    def _say(self, customer: str, at: dt.datetime) -> None:
        topic = self.random.choice(["delivery", "size", "other"])
        sentiment = self.random.uniform(-1.0, 0.4) if topic == "delivery" else self.random.uniform(-0.5, 1.0)
        self.feedback.append(
            {
                "feedback_id": f"f-{customer}",
                "customer_id": customer,
                "occurred_at": at,
                "business_date": at.date(),
                "source": "crm",
                "kind": "comment" if topic == "other" else "ticket",
                "score": None,
                "text": f"Petrova never answered about the parcel of {customer}@example.com",
                "language": "en",
                "sentiment": sentiment,
                "sentiment_status": "scored",
                "topic": topic,
                "stage": {"delivery": "retention", "size": "consideration", "other": "consideration"}[topic],
            }
        )

    def write(self, wh: Warehouse) -> None:
        """Fill the warehouse; tables of other rooms that the map reads only if they exist stay away."""
        insert(wh, "customers.touchpoints", self.touchpoints)
        insert(wh, "customers.stage_spells", self.spells)
        insert(wh, "customers.feedback", self.feedback)
        insert(wh, "kpis.journey_keys", self.keys)
        insert(
            wh,
            "config.segments",
            [
                {"segment": "all", "bought_before": None, "device": None},
                {"segment": "new", "bought_before": False, "device": None},
                {"segment": "mobile", "bought_before": None, "device": "mobile"},
            ],
        )
        insert(
            wh,
            "config.journey_params",
            [
                {
                    "observed_until": NOW,
                    "last_day": LAST,
                    "time_zone": "Europe/Berlin",
                    "currency": "EUR",
                    "idle_days": 30,
                    "lookback_days": 30,
                    "path_steps": 9,
                    "credit_from": NOW - dt.timedelta(days=365),
                }
            ],
        )


def insert(wh: Warehouse, table: str, rows: list[dict[str, Any]]) -> None:
    """Create a declared table and add rows; what is not given stays null, unknown columns are left out."""
    wh.ensure(table)
    if not rows:
        return
    frame = pd.DataFrame(rows)
    frame = frame[[column for column in frame if column in TABLES[table].columns]]
    wh.connection.register("given_rows", frame)
    try:
        wh.execute(f"INSERT INTO {table} BY NAME SELECT * FROM given_rows")
    finally:
        wh.connection.unregister("given_rows")


def loss(**changes: Any) -> dict[str, Any]:
    """A row of ``kpis.friction``: a proven standing loss of checkouts on phones."""
    row: dict[str, Any] = {
        "rank": 1,
        "kind": "standing",
        "stage": "purchase",
        "step": "begin_checkout",
        "dimension": "device",
        "dimension_value": "mobile",
        "period_start": LAST - dt.timedelta(days=27),
        "period_end": LAST,
        "sessions": 1_000,
        "customers": 800,
        "observed_rate": 0.40,
        "expected_rate": 0.55,
        "lost_revenue": 12_000.0,
        "lost_low": 8_000.0,
        "lost_high": 16_000.0,
        "lost_per_month": 12_857.0,
        "currency": "EUR",
        "p_value": 1e-6,
        "q_value": 1e-5,
        "status": "proven",
        "finding": "x",
        "evidence": "1,000 visits",
        "owner": "Web team",
    }
    return row | changes


def curve(points: list[list[float]]) -> str:
    """A curve as the durations table stores it."""
    return json.dumps(points)
