"""Associations: mail is judged mailing by mailing among those on the list; the same customers count once."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from cja_pipeline.customers.parameters import touchpoint_rules
from cja_pipeline.kpis.associations import compare, stratified_ratio
from cja_pipeline.kpis.insights import build_insights
from cja_pipeline.tables import TABLES
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.kpis.shop_data import FIRST, PARAMS, write

DAYS, PEOPLE, SUBSCRIBERS = 90, 3000, 1200


def mailed_shop(wh: Warehouse, lift: float) -> None:
    """Subscribers order five times as often as others, mailed or not; a mailing goes to a random third.

    Automatic mails follow the carts of people who are about to order. `lift` is what a mailing adds to the
    chance of an order.
    """
    random = np.random.Generator(np.random.Philox(5))
    last = FIRST + dt.timedelta(days=DAYS - 1)
    touches: list[tuple[int, int, int, str, str | None]] = []  # person, day, hour, type, campaign
    risk = np.where(np.arange(PEOPLE) < SUBSCRIBERS, 0.05, 0.01) / 14
    for day in range(DAYS):
        bought = random.random(PEOPLE) < risk
        decided = np.flatnonzero(bought).tolist()
        if day % 4 == 0:
            sent = np.flatnonzero(random.random(SUBSCRIBERS) < 1 / 3)
            touches += [(i, day, 9, "email_received", f"news_{day}") for i in sent]
            bought[sent] |= random.random(len(sent)) < lift
        touches += [(i, day, 20, "store_order", None) for i in np.flatnonzero(bought).tolist()]
        if day > 2:
            for i in decided:
                touches += [(i, day - 2, 8, "visit", None), (i, day - 2, 12, "add_to_cart", None)]
                touches.append((i, day - 1, 10, "email_received", "flow_cart"))
        touches += [(int(i), day, 15, "visit", None) for i in random.choice(PEOPLE, 60)]
    frame = pd.DataFrame(touches, columns=["person", "day", "hour", "touchpoint_type", "campaign"])
    frame["customer_id"] = "c" + frame["person"].astype(str)
    frame["touchpoint_id"] = [f"t{i}" for i in range(len(frame))]
    frame["business_date"] = [FIRST + dt.timedelta(days=int(d)) for d in frame["day"]]
    frame["occurred_at"] = pd.to_datetime(frame["business_date"]) + pd.to_timedelta(frame["hour"], unit="h")
    params = PARAMS | {
        "as_of": pd.Timestamp(last) + pd.Timedelta(days=1),
        "first_day": FIRST,
        "last_day": last,
    }
    write(wh, "config.params", pd.DataFrame([params]))
    write(wh, "customers.touchpoints", frame.assign(channel="Direct"))
    orders = frame[frame["touchpoint_type"] == "store_order"]
    write(
        wh,
        "customers.orders",
        pd.DataFrame(
            {
                "order_id": orders["touchpoint_id"],
                "customer_id": orders["customer_id"],
                "ordered_at": orders["occurred_at"],
                "business_date": orders["business_date"],
            }
        ),
    )
    first = orders.groupby("customer_id")["occurred_at"].min()
    people = pd.DataFrame({"customer_id": [f"c{i}" for i in range(PEOPLE)]})
    people["first_order_at"] = first.reindex(people["customer_id"]).to_numpy()
    write(wh, "customers.customers", people)
    write(wh, "config.touchpoint_rules", touchpoint_rules())
    for name in ("customers.sessions", "customers.stage_spells", "customers.media", "customers.feedback"):
        write(wh, name, pd.DataFrame(columns=list(TABLES[name].columns)))


@pytest.mark.parametrize(("lift", "low", "high"), [(0.0, 0.9, 1.1), (0.02, 1.2, 1.7)])
def test_mailings_are_compared_among_those_on_the_list(warehouse, lift, low, high):
    mailed_shop(warehouse, lift)
    build_insights(warehouse)
    found = warehouse.df("SELECT * FROM kpis.insights").set_index("feature")
    mail = found.loc["email_received"]
    # anybody who got mail in two weeks, the automatic ones included, against the rest: three times as often
    assert low < mail["risk_ratio"] < high
    assert mail["status"] == ("associated" if lift else "no_difference")
    assert "on the mailing list, mailing by mailing" in mail["evidence"]
    assert mail["exposed"] < mail["customers"] / 2


def test_customers_who_come_repeatedly_are_not_independent():
    """Ten moments of the same people tell no more than one: the interval must not shrink."""
    random = np.random.default_rng(3)
    exposed, ordered = random.random(400) < 0.5, random.random(400) < 0.2
    rows = []
    for stratum in range(10):
        for feature, members in (("", np.ones(400, bool)), ("x", exposed)):
            rows += [(feature, stratum, f"c{i}", 1, 1) for i in np.flatnonzero(members & ordered)]
            rows.append((feature, stratum, None, int((members & ~ordered).sum()), 0))
    columns = ["feature", "stratum", "customer_id", "customers", "ordered"]
    once, *counts = compare(pd.DataFrame([r for r in rows if r[1] == 0], columns=columns))["x"]
    ten, *_ = compare(pd.DataFrame(rows, columns=columns))["x"]
    assert counts == [int(exposed.sum()), 400]
    assert ten.risk_ratio == pytest.approx(once.risk_ratio)
    assert np.log(ten.high / ten.low) > 0.9 * np.log(once.high / once.low)
    free = stratified_ratio(
        [exposed.sum()] * 10,
        [(exposed & ordered).sum()] * 10,
        [(~exposed).sum()] * 10,
        [(~exposed & ordered).sum()] * 10,
    )
    assert np.log(free.high / free.low) < 0.4 * np.log(ten.high / ten.low)
