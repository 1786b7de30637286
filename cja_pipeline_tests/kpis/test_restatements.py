"""Why numbers of the past changed, against shops in which only one thing after the other happened.

For every reason there is a shop that differs from the one before by this reason alone, with its KPIs computed
from nothing. What the reason is said to have changed must be the difference between the two.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from cja_pipeline.kpis import restatements
from cja_pipeline.kpis.change import explain_change
from cja_pipeline.kpis.explain import NoSuchNumberError
from cja_pipeline.kpis.kpi_values import build_kpi_values
from cja_pipeline.settings import get_settings
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.kpis.shop_data import FIRST, fill, write

pytestmark = pytest.mark.slow
Tables = dict[str, pd.DataFrame]
SIZE = {"seed": 5, "customers": 200, "days": 42, "visits": 8.0}
LAST = FIRST + dt.timedelta(days=SIZE["days"] - 1)
DAY = LAST - dt.timedelta(days=12)
ORDER = ["late", "refund", "corrected", "identity"]


def view(tables: Tables) -> Tables:
    """The columns that follow from others: positions of orders, first orders."""
    orders = tables["customers.orders"].sort_values(["ordered_at", "order_id"], ignore_index=True)
    orders["order_number"] = orders.groupby("customer_id").cumcount() + 1
    orders["is_first_order"] = orders["order_number"] == 1
    orders["net_revenue"] = (orders["gross_revenue"] - orders["discount"] - orders["refund"]).round(2)
    people = tables["customers.customers"].copy()
    each = orders.groupby("customer_id")
    people["first_order_at"] = people["customer_id"].map(each["ordered_at"].min())
    people["net_revenue"] = people["customer_id"].map(each["net_revenue"].sum()).fillna(0)
    return {**tables, "customers.orders": orders, "customers.customers": people}


def of_day(tables: Tables, name: str, column: str = "business_date") -> pd.DataFrame:
    return tables[name][tables[name][column] == DAY]


class Happenings:
    """What happened to the shop overnight, one thing after the other; people do not overlap."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        visits = of_day(tables, "customers.sessions")
        visits = visits[~visits["is_bot"]]
        orders = of_day(tables, "customers.orders")
        self.sold = [*orders["customer_id"].drop_duplicates()]
        others = [one for one in visits["customer_id"].drop_duplicates() if one not in self.sold]
        self.late, self.stays, self.goes = others[:2], others[2], others[3]

    def with_late(self, tables: Tables) -> Tables:
        """Two visits with an order each that came too late for last night."""
        found = tables
        for place, customer in enumerate(self.late):
            name, at = f"late{place}", pd.Timestamp(DAY) + pd.Timedelta(hours=13)
            visit = of_day(tables, "customers.sessions").iloc[:1]
            visit = visit.assign(session_id=name, customer_id=customer, started_at=at, order_id=name)
            visit = visit.assign(orders=1, carts=1, is_bot=False)
            order = of_day(tables, "customers.orders").iloc[:1]
            order = order.assign(order_id=name, customer_id=customer, ordered_at=at, session_id=name)
            order = order.assign(gross_revenue=80.0, discount=0.0, refund=0.0, sales_channel="web")
            touch = of_day(tables, "customers.touchpoints").iloc[:1]
            touch = touch.assign(touchpoint_id=name, customer_id=customer, occurred_at=at)
            touch = touch.assign(touchpoint_type="purchase")
            found = self.added(found, {"sessions": visit, "orders": order, "touchpoints": touch})
        return found

    def with_refund(self, tables: Tables) -> Tables:
        """One order is given back in part, another is canceled."""
        orders = tables["customers.orders"].copy()
        first = orders[(orders["business_date"] == DAY) & (orders["customer_id"] == self.sold[0])].index[0]
        orders.loc[first, "refund"] += 7.5
        gone = (orders["business_date"] == DAY) & (orders["customer_id"] == self.sold[1])
        note = pd.DataFrame({"order_id": orders.loc[gone, "order_id"], "reason": "canceled"})
        excluded = pd.concat([tables["customers.orders_excluded"], note])
        return {**tables, "customers.orders": orders[~gone], "customers.orders_excluded": excluded}

    def with_corrected(self, tables: Tables) -> Tables:
        """An ad platform restates a day, and an answer is withdrawn."""
        media, said = tables["customers.media"].copy(), tables["customers.feedback"]
        media.loc[media["day"] == DAY, ["impressions", "spend"]] *= 2
        first = said[(said["business_date"] == DAY)].index[:1]
        return {**tables, "customers.media": media, "customers.feedback": said.drop(first)}

    def with_identity(self, tables: Tables) -> Tables:
        """Two visitors of the day turn out to be one."""
        found = {}
        for name, rows in tables.items():
            if name == "customers.customers":
                rows = rows[rows["customer_id"] != self.goes]
            elif "customer_id" in rows:
                rows = rows.assign(customer_id=rows["customer_id"].replace(self.goes, self.stays))
            found[name] = rows
        spells = found["customers.stage_spells"].sort_values(["customer_id", "entered_at"], ignore_index=True)
        spells["spell"] = spells.groupby("customer_id").cumcount() + 1
        return {**found, "customers.stage_spells": spells}

    @staticmethod
    def added(tables: Tables, rows: Tables) -> Tables:
        more = {f"customers.{name}": one for name, one in rows.items()}
        return {**tables, **{n: pd.concat([tables[n], one], ignore_index=True) for n, one in more.items()}}


def night(wh: Warehouse, tables: Tables, last: dt.date) -> None:
    """Put tables in the place of the customer view and compute the KPIs of the night after `last`."""
    for name, rows in tables.items():
        write(wh, name, rows)
    params = wh.df("select * from config.params").assign(
        last_day=last, as_of=pd.Timestamp(last) + pd.Timedelta(days=1, hours=3)
    )
    write(wh, "config.params", params)
    build_kpi_values(wh)


def whole(wh: Warehouse) -> pd.Series:
    values = wh.df("select * from kpis.kpi_values where dimension = 'all' and grain <> 'rolling_28d'")
    values["period_start"] = values["period_start"].dt.date
    return values.set_index(["kpi_id", "grain", "period_start"])["value"]


@pytest.fixture(scope="module")
def shops() -> Iterator[tuple[Warehouse, dict[str, pd.Series], Happenings]]:
    """A shop after two nights, and the numbers of the shops on the way between them."""
    with Warehouse(":memory:") as wh, Warehouse(":memory:") as other:
        tables = view(fill(wh, **SIZE))
        fill(other, **SIZE)
        night(wh, tables, LAST - dt.timedelta(days=1))
        happened = Happenings(tables)
        truth = {}
        for reason in ("before", *ORDER):
            if reason != "before":
                tables = view(getattr(happened, f"with_{reason}")(tables))
            night(other, tables, LAST)
            truth[reason] = whole(other)
        night(wh, tables, LAST)
        yield wh, truth, happened


def test_each_reason_changed_what_it_changes_alone(shops) -> None:  # type: ignore[no-untyped-def]
    wh, truth, _ = shops
    told = wh.df("select * from kpis.restatements")
    told["period_start"] = told["period_start"].dt.date
    parts = told.set_index(["kpi_id", "grain", "period_start", "reason"])["part"]
    assert {*told["reason"]} <= {*ORDER, "later"}
    compared = 0
    for where, change in told.groupby(["kpi_id", "grain", "period_start"]):
        ways = [truth[reason][where] for reason in ("before", *ORDER)]
        assert change["value_before"].iloc[0] == pytest.approx(ways[0], rel=1e-8)
        assert change["value_now"].iloc[0] == pytest.approx(ways[-1], rel=1e-8)
        if any(way != way for way in ways) or where[0].startswith(("historic", "customer_value")):
            continue
        for place, reason in enumerate(ORDER):
            expected = ways[place + 1] - ways[place]
            assert parts.get((*where, reason), 0.0) == pytest.approx(expected, abs=1e-8), (where, reason)
            compared += 1
    assert compared > 200
    assert {"orders", "net_revenue", "visitors", "buyers", "return_on_ad_spend", "median_order_value"} <= {
        *told["kpi_id"]
    }


def test_every_number_that_changed_is_told_and_the_parts_add_up(shops) -> None:  # type: ignore[no-untyped-def]
    wh, truth, _ = shops
    told = wh.df("select * from kpis.restatements")
    told["period_start"] = told["period_start"].dt.date
    each = told.groupby(["kpi_id", "grain", "period_start"])
    difference = each["part"].sum() - (each["value_now"].first() - each["value_before"].first())
    assert difference.abs().max() < 1e-6
    days = [DAY - dt.timedelta(days=back) for back in range(-3, 10)]
    change = (truth["before"] - truth["identity"]).abs()
    moved = change.index[change > 1e-9]
    expected = {where for where in moved if where[1] == "day" and where[2] in days}
    settled = wh.df("select * from kpis.kpi_values where is_mature and dimension = 'all' and grain = 'day'")
    mature = {*zip(settled["kpi_id"], settled["period_start"].dt.date, strict=True)}
    assert {w for w in expected if (w[0], w[2]) in mature} <= {*each.groups}
    assert len(expected) > 30


def test_the_same_night_again_tells_the_same(shops) -> None:  # type: ignore[no-untyped-def]
    wh, _, _ = shops
    tables = ("restatements", "restated_rows", "counted_rows", "counted_values", "counted_by")
    before = {name: wh.df(f"select * from kpis.{name} order by all") for name in tables}
    build_kpi_values(wh)
    for name, rows in before.items():
        pd.testing.assert_frame_equal(rows, wh.df(f"select * from kpis.{name} order by all"), obj=name)


def test_the_answer_names_rows_and_what_is_not_recorded(shops) -> None:  # type: ignore[no-untyped-def]
    wh, truth, happened = shops
    found = explain_change(wh, "net_revenue", DAY)
    (change,) = found["changes"]
    where = ("net_revenue", "day", DAY)
    assert change["change"] == pytest.approx(truth["identity"][where] - truth["before"][where])
    assert [part["reason"] for part in change["parts"]] == ["late", "refund"]
    late, refund = change["parts"]
    assert (late["part"], late["rows"], late["customers"]) == (160.0, 2, 2)
    row = late["examples"][0]
    assert (row["source"], row["row_key"], row["what"]) == ("orders", "late0", "added")
    assert {row["what"] for row in refund["examples"]} == {"changed", "removed"}
    (merged,) = (
        part
        for part in explain_change(wh, "visitors", DAY)["changes"][0]["parts"]
        if part["reason"] == "identity"
    )
    assert merged["part"] == -1
    assert {(row["customer_id"], row["other_customer_id"]) for row in merged["examples"]} == {
        (happened.stays, happened.goes)
    }
    assert "first published" in explain_change(wh, "net_revenue", DAY - dt.timedelta(days=1))["note"]
    assert "not recorded" in explain_change(wh, "net_revenue", FIRST)["note"]
    assert "not over yet" in explain_change(wh, "net_revenue", LAST, "month")["note"]
    with pytest.raises(KeyError, match="no KPI 'nope'"):
        explain_change(wh, "nope", DAY)
    with pytest.raises(NoSuchNumberError, match="up to"):
        explain_change(wh, "net_revenue", LAST + dt.timedelta(days=3))


MINE = """
stage: purchase
owner: team:test
kpis:
  - {id: big, label: Big, description: Big orders., kind: count, source: orders,
     numerator: net_revenue > LIMIT, format: count, better: up}
  - {id: big_share, label: Share, description: Of all., kind: derived, numerator: big, denominator: orders,
     format: percent, better: up}
"""


def test_another_definition_is_a_reason_beside_the_others(tmp_path: Path) -> None:
    for limit in (60, 90):
        folder = tmp_path / str(limit) / "kpis"
        folder.mkdir(parents=True)
        (folder / "mine.yml").write_text(MINE.replace("LIMIT", str(limit)))
    with Warehouse(":memory:") as wh:
        tables = view(fill(wh, **SIZE))
        after = view(Happenings(tables).with_late(tables))
        try:
            for limit, shop, last in ((60, tables, LAST - dt.timedelta(days=1)), (90, after, LAST)):
                os.environ["CJA_CONFIG"] = str(tmp_path / str(limit))
                get_settings.cache_clear()
                night(wh, shop, last)
            changes = explain_change(wh, "big", DAY)["changes"]
            share = explain_change(wh, "big_share", DAY)["changes"]
            untouched = explain_change(wh, "orders", DAY)["changes"]
        finally:
            del os.environ["CJA_CONFIG"]
            get_settings.cache_clear()
    worth = after["customers.orders"].query("business_date == @DAY")["net_revenue"]
    between = int(((worth > 60) & (worth <= 90)).sum())
    assert [(part["reason"], part["part"]) for part in changes[0]["parts"]] == [
        ("late", 2),
        ("rule", -between),
    ]
    assert [part["reason"] for part in share[0]["parts"]] == ["late", "rule"]
    assert sum(part["part"] for part in share[0]["parts"]) == pytest.approx(share[0]["change"])
    assert [(part["reason"], part["part"]) for part in untouched[0]["parts"]] == [("late", 2)]


def test_who_is_erased_is_a_reason_and_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    with Warehouse(":memory:") as wh:
        tables = view(fill(wh, **SIZE))
        night(wh, tables, LAST - dt.timedelta(days=1))
        night(wh, tables, LAST)
        assert wh.df("select * from kpis.restatements where reason <> 'later'").empty  # a quiet night
        gone = Happenings(tables).sold[0]
        left = {
            name: rows[rows["customer_id"] != gone] if "customer_id" in rows else rows
            for name, rows in tables.items()
        }
        monkeypatch.setattr(restatements, "_erased", lambda: [gone])
        told = []
        for _ in range(2):  # the second time, nothing names them any more
            night(wh, view(left), LAST)
            (change,) = explain_change(wh, "orders", DAY)["changes"]
            told.append(change)
            for table in ("counted_rows", "restated_rows", "restatements", "counted_by"):
                assert gone not in wh.df(f"select * from kpis.{table}").to_string()
        assert told[0] == told[1]
        orders = tables["customers.orders"]
        lost = len(orders[(orders["customer_id"] == gone) & (orders["business_date"] == DAY)])
        assert [(p["reason"], p["part"], p["examples"]) for p in told[0]["parts"]] == [("erased", -lost, [])]


def test_two_erasures_in_one_night_are_two_people(monkeypatch: pytest.MonkeyPatch) -> None:
    with Warehouse(":memory:") as wh:
        tables = view(fill(wh, **SIZE))
        night(wh, tables, LAST - dt.timedelta(days=1))
        night(wh, tables, LAST)
        for gone in Happenings(tables).sold[:2]:  # the same night again after the first
            tables = {
                name: rows[rows["customer_id"] != gone] if "customer_id" in rows else rows
                for name, rows in tables.items()
            }
            monkeypatch.setattr(restatements, "_erased", lambda gone=gone: [gone])
            night(wh, view(tables), LAST)
        monkeypatch.setattr(restatements, "_erased", list)
        night(wh, view(tables), LAST)
        told = wh.df(
            "select sum(part) as told, any_value(value_now - value_before) as change from kpis.restatements "
            "where reason <> 'later' and kpi_id in "
            "(select kpi_id from kpis.restatements where reason = 'erased') "
            "group by kpi_id, grain, period_start, restated_at"
        ).dropna()
        assert len(told) > 20
        assert told["told"].to_list() == pytest.approx(told["change"].to_list(), abs=1e-8)
