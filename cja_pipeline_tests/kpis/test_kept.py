"""Whatever happens between two nights, KPI values are those of a build from nothing; the rest stays."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cja_pipeline import keyed
from cja_pipeline.kpis import kept, kpi_values
from cja_pipeline.kpis.kpi_values import build_kpi_values
from cja_pipeline.kpis.objectives import Objective, load_objectives
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.kpis.shop_data import CHANNELS, FIRST, fill, write

SIZE: dict[str, Any] = {"customers": 60, "days": 45, "visits": 5.0}
START = 38  # days that the first night knows of


class Shop:
    """A small shop whose history is changed at random, as the customer view would tell it."""

    def __init__(self, wh: Warehouse, seed: int) -> None:
        self.wh, self.draw = wh, np.random.Generator(np.random.Philox(seed))
        self.tables = fill(wh, seed=seed, **SIZE)
        people = self.tables["customers.customers"]["customer_id"]
        self.tables["kpis.customer_value"] = pd.DataFrame({"customer_id": people, "rfm_segment": "Loyal"})
        self.last, self.made = FIRST + dt.timedelta(days=START), 0

    def _past(self) -> tuple[dt.date, pd.Timestamp]:
        day = FIRST + dt.timedelta(days=int(self.draw.integers(0, (self.last - FIRST).days + 1)))
        return day, pd.Timestamp(day) + pd.Timedelta(hours=13)

    def _add(self, name: str, like: int, **values: Any) -> None:
        rows = self.tables[name]
        self.tables[name] = pd.concat([rows, rows.iloc[[like]].assign(**values)], ignore_index=True)

    def visit(self) -> None:
        """A visit of a past day arrives late, perhaps of an unheard-of campaign, perhaps with an order."""
        day, at = self._past()
        self.made += 1
        name, place = f"late{self.made}", int(self.draw.integers(0, 60))
        campaign = self.draw.choice([None, "news", name])
        buys = self.draw.random() < 0.5
        self._add(
            "customers.sessions", place, session_id=name, started_at=at, business_date=day, campaign=campaign,
            order_id=name if buys else None, orders=int(buys), channel=self.draw.choice(CHANNELS),
        )  # fmt: skip
        touch = {"touchpoint_id": name, "occurred_at": at, "business_date": day}
        self._add("customers.touchpoints", place, **touch)
        if buys:
            who = self.tables["customers.sessions"]["customer_id"].iloc[place]
            order = {"order_id": name, "session_id": name, "customer_id": who, "ordered_at": at}
            self._add("customers.orders", place, **order, business_date=day)

    def loss(self) -> None:
        """A visit or a contact is withdrawn."""
        name = str(self.draw.choice(["customers.sessions", "customers.touchpoints", "customers.feedback"]))
        rows = self.tables[name]
        self.tables[name] = rows.drop(rows.index[self.draw.integers(0, len(rows))]).reset_index(drop=True)

    def refund(self) -> None:
        orders = self.tables["customers.orders"]
        place = self.draw.integers(0, len(orders))
        orders.loc[place, ["refund", "net_revenue"]] = [orders.loc[place, "net_revenue"], 0]

    def spend(self) -> None:
        """An ad platform restates a day."""
        media = self.tables["customers.media"]
        place = self.draw.integers(0, len(media))
        media.loc[place, "spend"] = media.loc[place, "spend"] + 1

    def merge(self) -> None:
        """Two customers turn out to be one."""
        stays, goes = self.draw.choice(self.tables["customers.customers"]["customer_id"], 2, replace=False)
        for name, rows in self.tables.items():
            if name in ("customers.customers", "kpis.customer_value"):
                self.tables[name] = rows[rows["customer_id"] != goes].reset_index(drop=True)
            elif "customer_id" in rows:
                self.tables[name] = rows.assign(customer_id=rows["customer_id"].replace(goes, stays))

    def group(self) -> None:
        """A customer counts as a better one from now on."""
        rows = self.tables["kpis.customer_value"]
        rows.loc[self.draw.integers(0, len(rows)), "rfm_segment"] = "Champions"

    def passes(self) -> None:
        self.last = min(self.last + dt.timedelta(days=1), FIRST + dt.timedelta(days=SIZE["days"] - 1))

    def night(self) -> None:
        """Something or nothing of everything, and the KPIs of it."""
        happenings: list[Callable[[], None]] = [
            self.visit, self.visit, self.loss, self.refund, self.spend, self.merge, self.group, self.passes,
            self.passes,
        ]  # fmt: skip
        for place in self.draw.integers(0, len(happenings), self.draw.integers(0, 4)):
            happenings[place]()
        self.load()

    def load(self) -> None:
        for name, rows in self.tables.items():
            day = next((column for column in ("business_date", "day") if column in rows), None)
            write(self.wh, name, rows if day is None else rows[rows[day] <= self.last])
        night = pd.Timestamp(self.last) + pd.Timedelta(days=1, hours=3)
        params = self.wh.df("SELECT * FROM config.params").assign(last_day=self.last, as_of=night)
        write(self.wh, "config.params", params)
        build_kpi_values(self.wh)


def tables(wh: Warehouse) -> dict[str, pd.DataFrame]:
    found = {name: wh.read(f"kpis.{name}") for name in ("kpi_values", "kpi_periods", "restatements")}
    return {name: rows.sort_values(list(rows.columns), ignore_index=True) for name, rows in found.items()}


def assert_as_from_nothing(wh: Warehouse) -> None:
    found = tables(wh)
    wh.execute(f"DELETE FROM {keyed.STATE}")
    build_kpi_values(wh)
    for name, expected in tables(wh).items():
        pd.testing.assert_frame_equal(found[name], expected, obj=name)


@pytest.fixture(autouse=True)
def _always_by_period(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many periods are touched: in a small shop these are soon most."""
    monkeypatch.setattr(keyed, "MOST", 1.0)


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 7))])
def test_any_nights_end_in_the_values_of_a_build_from_nothing(seed: int) -> None:
    with Warehouse(":memory:") as wh:
        shop = Shop(wh, seed)
        shop.load()
        for _ in range(5):
            shop.night()
            assert_as_from_nothing(wh)


def places(wh: Warehouse) -> dict[tuple[str, str, dt.date], set[int]]:
    """The places of each period's rows: a row that is written again gets another one."""
    found: dict[tuple[str, str, dt.date], set[int]] = {}
    for kpi, grain, start, place in wh.sql(
        "SELECT kpi_id, grain, period_start, rowid FROM kpis.kpi_values WHERE grain <> 'rolling_28d'"
    ).fetchall():
        found.setdefault((kpi, grain, start), set()).add(place)
    return found


def test_a_late_answer_changes_the_rows_of_its_periods_only() -> None:
    with Warehouse(":memory:") as wh:
        shop = Shop(wh, 1)
        shop.load()
        before = places(wh)
        said = shop.tables["customers.feedback"]
        late = {
            "feedback_id": "late",
            "business_date": FIRST + dt.timedelta(days=20),
            "score": 9.0,
            "kind": "nps",
        }
        shop._add("customers.feedback", int(said.index[said["kind"] == "nps"][0]), **late)
        shop.load()
        after = places(wh)
    changed = {place for place in before if before[place] != after[place]}
    assert {start for _, grain, start in changed if grain == "day"} == {dt.date(2026, 1, 21)}
    assert {start for _, grain, start in changed if grain == "week"} == {dt.date(2026, 1, 19)}
    assert ("net_promoter_score", "week", dt.date(2026, 1, 19)) in changed
    assert not [kpi for kpi, *_ in changed if kpi == "conversion_rate"]


def test_another_target_changes_the_rows_of_its_kpi(monkeypatch: pytest.MonkeyPatch) -> None:
    with Warehouse(":memory:") as wh:
        Shop(wh, 1).load()
        before = places(wh)
        of_kpi = {"kpi": "conversion_rate", "target": 0.5, "grain": "week", "effective_from": FIRST}
        target = Objective(objective="More orders", owner="team:shop", **of_kpi)
        targets = [*load_objectives(), target]
        monkeypatch.setattr(kpi_values, "load_objectives", lambda: targets)
        build_kpi_values(wh)
        after = places(wh)
        told = wh.scalar(
            "SELECT count(*) FROM kpis.kpi_values WHERE target = 0.5 AND kpi_id = 'conversion_rate'"
        )
        assert told
        assert_as_from_nothing(wh)
    changed = {kpi for kpi, grain, start in before if before[kpi, grain, start] != after[kpi, grain, start]}
    assert changed == {"conversion_rate"}


def test_rows_that_were_lost_or_made_by_other_code_are_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    with Warehouse(":memory:") as wh:
        Shop(wh, 1).load()
        before = tables(wh)["kpi_values"]
        wh.execute("DELETE FROM kpis.kpi_values WHERE kpi_id = 'visits' AND grain = 'week'")
        build_kpi_values(wh)
        pd.testing.assert_frame_equal(tables(wh)["kpi_values"], before)
        wh.execute("UPDATE kpis.kpi_values SET value = 7")
        monkeypatch.setattr(kept, "_rules", lambda: "other code")
        build_kpi_values(wh)
        pd.testing.assert_frame_equal(tables(wh)["kpi_values"], before)
