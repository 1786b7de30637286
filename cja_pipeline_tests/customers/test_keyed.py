"""Whatever happens between two nights, the tables made key by key are those of a build from nothing."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cja_pipeline import keyed
from cja_pipeline.customers.build import build_all
from cja_pipeline.customers.identity import unlink
from cja_pipeline.customers.identity.unlink import Decision
from cja_pipeline.customers.inputs import (
    CUSTOMERS,
    EMAIL_PROFILES,
    GOLDEN_VALUES,
    STAGE_SPELLS,
    TOUCHPOINTS,
    VISITS,
    WEB_ACTIVITY,
)
from cja_pipeline.kpis.journey_build import MOVES, build_funnel, build_paths, funnel_chains
from cja_pipeline.kpis.journey_config import journey_config
from cja_pipeline.kpis.journey_params import JOURNEYS, TOUCHES
from cja_pipeline.tables import TABLES
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.customers.tables import AS_OF, SECRET, SOURCES, put, warehouse

KEPT = ("identity_links", "identity_log")  # what a rebuild takes over
CHAINS = "kpis.funnel_chains"
MEASURED = ("funnel", "paths", "transitions", "durations")  # of the tables that are made key by key
FIRST = dt.datetime(2026, 11, 1)  # noqa: DTZ001  warehouse times are naive UTC
Rows = dict[str, list[dict[str, Any]]]


class Shop:
    """The validated tables of a small shop whose history is changed at random."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.rows: Rows = {name: [] for name in SOURCES}
        self.decisions: list[Decision] = []
        self.made = 0

    def number(self, prefix: str) -> str:
        self.made += 1
        return f"{prefix}{self.made:05d}"

    def when(self) -> dt.datetime:
        return FIRST + dt.timedelta(minutes=self.draw.randrange(20 * 24 * 60))

    def maybe(self, values: list[str], share: float = 0.5) -> str | None:
        return self.draw.choice(values) if self.draw.random() < share else None

    def some(self, name: str) -> dict[str, Any] | None:
        return self.draw.choice(self.rows[name]) if self.rows[name] else None

    # --- what can happen between two nights ---
    def visits(self) -> None:
        """New or late: a device looks around, perhaps logs in, perhaps buys."""
        at, visitor = self.when(), self.maybe([f"v{n}" for n in range(5)], 0.95)
        source = self.draw.choice([None, ("google", "cpc"), ("news", "email"), ("bing", "organic")])
        for name in self.draw.choices(
            ["page_view", "view_item", "add_to_cart", "begin_checkout", "purchase"], k=self.draw.randint(1, 5)
        ):
            at += dt.timedelta(minutes=self.draw.choice([1, 5, 29, 31]))
            buys = name == "purchase"
            self.rows["web_events"].append(
                {
                    "event_id": self.number("e"), "visitor_id": visitor, "occurred_at": at,
                    "event_name": name,
                    "login_id": self.maybe(["U1", "U2", "U3"], 0.3) if visitor else None,
                    "order_id": self.draw.choice(["O1", "O2", "O3", "W1", "W2"]) if buys else None,
                    "value": 20 if buys else None, "currency": "EUR" if buys else None,
                    "engagement_ms": self.draw.choice([0, 4000, 12000]), "device": self.maybe(["mobile"]),
                    "country": self.maybe(["DE", "AT"]), "consent_analytics": True,
                    "source": source and source[0], "medium": source and source[1],
                }
            )  # fmt: skip

    def restate(self) -> None:
        """The vendor tells an event differently, or not at all any more."""
        event = self.some("web_events")
        if event is None:
            return
        if self.draw.random() < 0.4:
            self.rows["web_events"].remove(event)
        else:
            event |= {"occurred_at": self.when(), "login_id": self.maybe(["U1", "U2", "U3"], 0.3)}
            event["medium"] = self.maybe(["cpc", "organic"])

    def contact(self) -> None:
        """Somebody registers, or what the CRM knows of them changes: merges, splits, consent, referrals."""
        number = self.draw.randint(1, 5)
        self.rows["contacts"].append(
            {
                "contact_id": str(number), "login_id": self.maybe(["U1", "U2", "U3"]),
                "email": self.maybe([f"p{n}@web.de" for n in range(3)], 0.7),
                "first_name": self.maybe(["Anna", "Tom"]), "created_at": FIRST + dt.timedelta(days=number),
                "updated_at": self.when(), "consent_analytics": self.draw.choice([None, True, True, False]),
                "consent_marketing": self.draw.choice([None, True, False]),
                "country": self.maybe(["DE", "FR"]),
                "referral_code": f"R{number}", "referred_by_code": self.maybe(["R1", "R2", "R3"], 0.3),
            }
        )  # fmt: skip

    def forget(self) -> None:
        """A version of a contact or an order is withdrawn."""
        for name in ("contacts", "crm_orders"):
            row = self.some(name)
            if row is not None and self.draw.random() < 0.5:
                self.rows[name].remove(row)

    def order(self) -> None:
        """An order arrives, is refunded, canceled or turns out to be a test."""
        number = self.draw.randint(1, 4)
        self.rows["crm_orders"].append(
            {
                "crm_order_id": f"c{number}", "order_id": f"O{number}",
                "contact_id": self.maybe(["1", "2", "3"]),
                "ordered_at": FIRST + dt.timedelta(days=number, hours=9), "gross_revenue": 50,
                "refund": self.draw.choice([0, 0, 20]), "is_canceled": self.draw.random() < 0.1,
                "is_test": self.draw.random() < 0.2, "updated_at": self.when(),
                "email": self.maybe([f"p{n}@web.de" for n in range(3)], 0.3),
            }
        )  # fmt: skip

    def mail(self) -> None:
        self.rows["email_events"].append(
            {
                "event_id": self.number("m"), "profile_id": f"f{self.draw.randint(1, 4)}",
                "email": self.maybe([f"p{n}@web.de" for n in range(3)], 0.8), "occurred_at": self.when(),
                "event_type": self.draw.choice(["received", "opened", "clicked", "unsubscribed"]),
                "campaign": "news",
            }
        )  # fmt: skip

    def says(self) -> None:
        at = self.when()
        self.rows["tickets"].append(
            {
                "ticket_id": self.number("t"), "contact_id": self.maybe(["1", "2", "3"]), "created_at": at,
                "subject": "Late", "body": "The delivery is late and I am angry", "updated_at": at,
            }
        )  # fmt: skip
        self.rows["surveys"].append(
            {
                "submission_id": self.number("s"), "contact_id": self.maybe(["1", "4"]), "submitted_at": at,
                "survey_type": "nps", "score": self.draw.randint(0, 10), "updated_at": at,
            }
        )  # fmt: skip

    def decide(self) -> None:
        """A person declares two records two people, or takes it back."""
        pair = sorted(self.draw.sample(["contact:1", "contact:2", "profile:f1", "profile:f2", "login:U1"], 2))
        kept = [one for one in self.decisions if [one.record_key, one.other_key] != pair]
        if len(kept) == len(self.decisions):
            kept.append(Decision(pair[0], pair[1], True, "two people", FIRST))
        self.decisions = kept

    def night(self) -> None:
        """Something or nothing of everything."""
        happenings: list[Callable[[], None]] = [
            self.visits, self.visits, self.visits, self.restate, self.contact, self.forget, self.order,
            self.mail, self.mail, self.says, self.decide,
        ]  # fmt: skip
        for happening in self.draw.choices(happenings, k=self.draw.randint(0, 6)):
            happening()

    def load(self, wh: Warehouse) -> None:
        for name, rows in self.rows.items():
            put(wh, name, rows)


def run(wh: Warehouse, as_of: dt.datetime = AS_OF) -> None:
    """The customer view and the journeys of one night."""
    build_all(wh, SECRET, as_of)
    build_funnel(wh)
    build_paths(wh)


def tables(wh: Warehouse) -> dict[str, pd.DataFrame]:
    """Every table of the customer view and the journeys, sorted; what tells of the runs themselves is left
    out."""
    journeys = {*(one.table for one in keyed_tables()), *(f"kpis.{name}" for name in MEASURED)}
    names = [name for name in TABLES if name.startswith("customers.") or name in journeys]
    names = [name for name in names if wh.exists(name)]
    found = {name: wh.read(name) for name in names if not name.startswith("customers.identity_")}
    if CHAINS in found:  # lists can be neither sorted nor compared
        found[CHAINS] = found[CHAINS].astype({"entry": str, "took": str})
    return {name: frame.sort_values(list(frame.columns), ignore_index=True) for name, frame in found.items()}


def keyed_tables() -> list[keyed.Keyed]:
    """Every table that is made key by key, in the order of a night."""
    view = [EMAIL_PROFILES, WEB_ACTIVITY, VISITS, TOUCHPOINTS, STAGE_SPELLS, GOLDEN_VALUES, CUSTOMERS]
    return [*view, TOUCHES, JOURNEYS, funnel_chains(journey_config()), MOVES]


def assert_same(
    wh: Warehouse,
    shop: Shop,
    as_of: dt.datetime = AS_OF,
    build: Callable[[Warehouse, dt.datetime], object] = lambda wh, as_of: build_all(wh, SECRET, as_of),
) -> None:
    """Compare with a build from nothing, in which customers keep their ids."""
    fresh = warehouse()
    shop.load(fresh)
    for name in KEPT:
        fresh.write(f"customers.{name}", wh.read(f"customers.{name}"))
    build(fresh, as_of)
    expected, found = tables(fresh), tables(wh)
    assert expected.keys() == found.keys()
    for name, frame in expected.items():
        pd.testing.assert_frame_equal(found[name], frame, obj=name)


def assert_as_a_whole(wh: Warehouse) -> None:
    """The tables made key by key are what their models make of everything."""
    made = keyed_tables()
    found = tables(wh)
    wh.execute("DELETE FROM customers.made_by")
    for one in made:
        keyed.build_keyed(wh, one)
    expected = tables(wh)
    for one in made:
        pd.testing.assert_frame_equal(found[one.table], expected[one.table], obj=one.table)


@pytest.fixture(autouse=True)
def _always_by_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many keys are touched: in a small shop these are soon most."""
    monkeypatch.setattr(keyed, "MOST", 1.0)


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 9))])
def test_any_nights_end_in_the_tables_of_a_build_from_nothing(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, wh = Shop(seed), warehouse()
    monkeypatch.setattr(unlink, "standing", lambda _: shop.decisions)
    for _ in range(10):
        shop.night()
    for _ in range(8):
        shop.night()
        shop.load(wh)
        as_of = AS_OF + dt.timedelta(hours=shop.draw.randrange(40 * 24))  # attempts run out, or not yet
        run(wh, as_of)
        assert_as_a_whole(wh)
    assert_same(wh, shop, as_of, run)


EVENTS = [
    {"event_id": f"{visitor}{n}", "visitor_id": visitor, "occurred_at": FIRST + dt.timedelta(hours=n)}
    for visitor in ("v1", "v2", "v3")
    for n in range(3)
]


def rows_of(wh: Warehouse, table: str) -> dict[str, set[int]]:
    """The places of each customer's rows: a row that is written again gets another one."""
    found: dict[str, set[int]] = {}
    for customer, place in wh.sql(f"SELECT customer_id, rowid FROM {table}").fetchall():
        found.setdefault(customer, set()).add(place)
    return found


OTHERS = (VISITS, EMAIL_PROFILES, GOLDEN_VALUES)  # not by customer, or not made of what an event says


@pytest.mark.parametrize(
    "made", [one for one in keyed_tables() if one not in OTHERS], ids=lambda one: one.table
)
def test_a_late_row_changes_the_rows_of_its_customer_only(made: keyed.Keyed) -> None:
    wh, table = warehouse(web_events=EVENTS), made.table
    run(wh)
    before = rows_of(wh, table)
    late = {"event_id": "late", "visitor_id": "v2", "occurred_at": FIRST, "event_name": "add_to_cart"}
    put(wh, "web_events", [*EVENTS, late])
    run(wh)
    customer = wh.scalar("SELECT customer_id FROM customers.visitor_map WHERE visitor_id = 'v2'")
    after = rows_of(wh, table)
    assert {name for name in before if before[name] != after[name]} == {customer}


@pytest.mark.parametrize("table", ["kpis.journeys", "kpis.journey_moves"])
def test_an_attempt_runs_out_without_anything_happening(table: str) -> None:
    earlier = {"event_id": "earlier", "visitor_id": "v4", "occurred_at": FIRST - dt.timedelta(days=5)}
    wh = warehouse(web_events=[*EVENTS, earlier])
    run(wh)
    before = rows_of(wh, table)
    run(wh, FIRST + dt.timedelta(days=27))
    after = rows_of(wh, table)
    customer = wh.scalar("SELECT customer_id FROM customers.visitor_map WHERE visitor_id = 'v4'")
    assert {name for name in before if before[name] != after[name]} == {customer}
    ended = wh.sql("SELECT customer_id FROM kpis.journeys WHERE outcome = 'exit'").fetchall()
    assert ended == [(customer,)]
    run(wh)  # the day before again
    assert wh.scalar("SELECT count(*) FROM kpis.journeys WHERE outcome = 'exit'") == 0


def test_what_a_keyed_table_holds_is_known_while_it_is_as_it_was_left() -> None:
    wh, table = warehouse(web_events=EVENTS), "customers.touchpoints"
    assert keyed.contents(wh, table) is None
    build_all(wh, SECRET, AS_OF)
    first = keyed.contents(wh, table)
    build_all(wh, SECRET, AS_OF)
    assert keyed.contents(wh, table) == first
    put(wh, "web_events", [EVENTS[0] | {"occurred_at": FIRST - dt.timedelta(days=1)}, *EVENTS[1:]])
    build_all(wh, SECRET, AS_OF)
    assert keyed.contents(wh, table) not in (None, first)
    wh.execute(f"DELETE FROM {table} WHERE sequence > 1")
    assert keyed.contents(wh, table) is None


def test_an_input_that_nobody_declared_counts_as_a_whole() -> None:
    wh = warehouse(web_events=EVENTS)
    build_all(wh, SECRET, AS_OF)
    forgotten = keyed.Keyed(
        TOUCHPOINTS.table,
        TOUCHPOINTS.key,
        [one for one in TOUCHPOINTS.inputs if one.table != "customers.sessions"],
    )
    assert "customers.sessions" in forgotten.others
    keyed.build_keyed(wh, forgotten)
    expected = tables(wh)["customers.touchpoints"]["channel"].to_list()
    wh.execute("UPDATE customers.sessions SET channel = 'Paid Search'")
    keyed.build_keyed(wh, forgotten)
    found = tables(wh)["customers.touchpoints"]["channel"].to_list()
    assert found == ["Paid Search"] * len(found) != expected


def test_a_table_that_lost_rows_is_made_anew() -> None:
    wh = warehouse(web_events=EVENTS)
    build_all(wh, SECRET, AS_OF)
    before = tables(wh)
    wh.execute("DELETE FROM customers.touchpoints WHERE sequence > 1")
    build_all(wh, SECRET, AS_OF)
    pd.testing.assert_frame_equal(tables(wh)["customers.touchpoints"], before["customers.touchpoints"])


def test_rows_written_earlier_in_the_same_transaction_are_seen(tmp_path: Path) -> None:
    """DuckDB 2.0 reads them from wrong memory where a join filters the scan by row id."""
    events = [
        {"event_id": f"m{n}", "profile_id": f"p{n if n < 613 else n % 100}", "event_type": "received",
         "occurred_at": FIRST + dt.timedelta(minutes=n), "email": f"reader{'.a' * (n % 40)}{n}@web.de"}
        for n in range(750)
    ]  # fmt: skip
    wh, table = Warehouse(tmp_path / "warehouse.duckdb"), "validated.email_events"
    put(wh, "email_events", events)
    wh.execute(f"CREATE TEMP TABLE later AS FROM {table} OFFSET 613")
    wh.execute(f"DELETE FROM {table} WHERE event_id IN (SELECT event_id FROM later)")
    through = keyed.Input(table, "t.profile_id", "JOIN (SELECT 1 AS one) AS o ON o.one = 1")
    made = keyed.Keyed(EMAIL_PROFILES.table, EMAIL_PROFILES.key, [through])
    keyed.build_keyed(wh, made)
    wh.execute("CHECKPOINT")
    with wh.transaction():
        wh.execute(f"DELETE FROM {table} WHERE minute(occurred_at) % 5 = 0")
        wh.execute(f"INSERT INTO {table} FROM later")
        keyed.build_keyed(wh, made)
    found = tables(wh)[made.table]
    wh.build(made.table)
    pd.testing.assert_frame_equal(found, tables(wh)[made.table])


def test_another_rule_makes_every_row_anew() -> None:
    wh = warehouse(web_events=EVENTS)
    build_all(wh, SECRET, AS_OF)
    config = wh.df("SELECT * FROM config.params").assign(session_timeout_minutes=120)
    wh.write("config.params", config)
    assert keyed.build_keyed(wh, VISITS) == 9  # made of what the events are cut into …
    keyed.build_keyed(wh, WEB_ACTIVITY)
    assert keyed.build_keyed(wh, VISITS) == 3  # … which is cut anew


def test_a_night_that_fails_leaves_table_and_digests_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    wh = warehouse(web_events=EVENTS)
    build_all(wh, SECRET, AS_OF)
    before = tables(wh)
    put(wh, "web_events", EVENTS[:4])

    def fails(*_: object) -> None:
        raise RuntimeError("the machine stops here")

    with monkeypatch.context() as broken:
        broken.setattr(Warehouse, "insert", fails)
        with pytest.raises(RuntimeError, match="stops here"):
            build_all(wh, SECRET, AS_OF)
    for name in ("customers.web_activity", "customers.made_of", "customers.made_by"):
        pd.testing.assert_frame_equal(tables(wh)[name], before[name])
    build_all(wh, SECRET, AS_OF)
    shop = Shop(0)
    shop.rows["web_events"] = EVENTS[:4]
    assert_same(wh, shop)
