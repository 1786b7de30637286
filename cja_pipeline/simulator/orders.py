"""Orders on the web, in the stores and by phone, with discounts, refunds, cancellations and deliveries.

Money is int64 cents in the order's own currency; `rate` turns one unit of it into the shop's currency.
Columns: person (-1 unknown), visit (row or -1), at, sales (0 web, 1 store, 2 phone), gross, discount, code
(-1 none), currency, refund, refund_at, cancel_at, delivered_at (NEVER where not), slow, test, tag_fails,
cause, nudged, quantity.
"""

from __future__ import annotations

import numpy as np

from .calendar import Calendar
from .catalogue import Catalogue, catalogue
from .columns import DAY, HOUR, MINUTE, NEVER, Table, concat, length, pick, take
from .config import WorldConfig
from .people import Block

SALES = ["web", "store", "phone"]


def currency_codes(config: WorldConfig) -> list[str]:
    """Currencies by position."""
    return list(config.exchange_rates)


def daily_rates(config: WorldConfig, calendar: Calendar, home: str, rng: np.random.Generator) -> np.ndarray:
    """Exchange rates (currency x day): value of one unit in the shop's currency, a slow random walk."""
    start = np.array(list(config.exchange_rates.values()))[:, None]
    steps = 0.0018 * rng.standard_normal((len(start), calendar.total + 8))
    steps[start[:, 0] == 1.0] = 0.0
    rates = start * np.exp(np.cumsum(steps, axis=1))
    return np.round(rates / rates[list(config.exchange_rates).index(home)], 6)


def make_orders(
    config: WorldConfig,
    calendar: Calendar,
    seed: int,
    block: Block,
    visits: Table,
    purchase_at: np.ndarray,
    carts: Table,
    rng: np.random.Generator,
) -> Table:
    """All orders of the block's people."""
    goods = catalogue(seed)
    value = np.round(goods.price[carts["product"]] * carts["quantity"] * 100).astype(np.int64)
    gross = np.bincount(carts["visit"], weights=value, minlength=length(visits)).astype(np.int64)
    quantity = np.bincount(carts["visit"], weights=carts["quantity"], minlength=length(visits)).astype(
        np.int64
    )
    rows = np.flatnonzero(visits["depth"] == 7)
    web = _order(visits["person"][rows], rows, purchase_at[rows], 0, gross[rows], quantity[rows])
    web["cause"], web["nudged"] = visits["cause"][rows], visits["nudged"][rows]
    people, spec = block.people, config.orders
    store_rate = np.array([spec.store[name] for name in config.segments])[people["segment"]]
    since = np.maximum(people["arrival"], 0.0)
    until = np.minimum(people["departure"], calendar.total)
    buyers = np.repeat(
        np.arange(len(store_rate)), rng.poisson(store_rate * np.maximum(until - since, 0) / 30)
    )
    day = np.floor(since[buyers] + rng.random(len(buyers)) * (until[buyers] - since[buyers])).astype(int)
    sunday = np.array([date.weekday() == 6 for date in calendar.dates])[day]
    day = np.where(sunday, np.maximum(day - 1, 0), day)
    at = calendar.edges[day] + (rng.uniform(9.5, 19.5, len(buyers)) * HOUR).astype(np.int64)
    cents, pieces = _baskets(goods, rng, len(buyers))
    unknown = (rng.random(len(buyers)) < spec.store_unknown) & ~people["loyalty"][buyers]
    store = _order(
        np.where(unknown, -1 - people["country"][buyers], people["person"][buyers]),
        np.full(len(buyers), -1),
        at,
        1,
        cents,
        pieces,
    )
    callers = rows[rng.random(len(rows)) < spec.phone]
    later = visits["ts"][callers] + (rng.uniform(1, 20, len(callers)) * DAY).astype(np.int64)
    later = calendar.edges[calendar.day_of(later).clip(0, calendar.total - 1)] + (
        rng.uniform(9, 18, len(callers)) * HOUR
    ).astype(np.int64)
    cents, pieces = _baskets(goods, rng, len(callers))
    phone = _order(visits["person"][callers], np.full(len(callers), -1), later, 2, cents, pieces)
    table = concat([web, store, phone])
    return _fates(config, calendar, block, visits, table, rng)


def _baskets(goods: Catalogue, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    pieces = 1 + np.minimum(rng.poisson(0.7, n), 4)
    cents = np.zeros(n, np.int64)
    for k in range(5):
        rows = np.flatnonzero(pieces > k)
        cents[rows] += np.round(goods.price[pick(rng, goods.weights, len(rows))] * 100).astype(np.int64)
    return cents, pieces


def _order(
    person: np.ndarray, visit: np.ndarray, at: np.ndarray, sales: int, gross: np.ndarray, quantity: np.ndarray
) -> Table:
    n = len(person)
    return {
        "person": np.asarray(person, np.int64),
        "visit": np.asarray(visit, np.int64),
        "at": np.asarray(at, np.int64),
        "sales": np.full(n, sales, np.int8),
        "gross": np.asarray(gross, np.int64),
        "quantity": np.asarray(quantity, np.int64),
        "cause": np.full(n, -1, np.int8),
        "nudged": np.zeros(n, bool),
    }


def _fates(
    config: WorldConfig,
    calendar: Calendar,
    block: Block,
    visits: Table,
    table: Table,
    rng: np.random.Generator,
) -> Table:
    spec, n = config.orders, length(table)
    web, known = table["sales"] == 0, table["person"] >= 0
    local = np.where(known, table["person"] - block.base, 0)
    segment = block.people["segment"][local]
    bargain = segment == list(config.segments).index("bargain")
    voucher = np.zeros(n, bool)
    rows = np.flatnonzero(web)
    voucher[rows] = visits["origin"][table["visit"][rows]] == 4
    discounted = voucher | (rng.random(n) < spec.discount_share * np.where(bargain, 2.5, 1.0))
    code = np.where(voucher, 1, pick(rng, [0.4, 0.45, 0.15], n))
    share = np.array(list(spec.discounts.values()))[code]
    table["code"] = np.where(discounted, code, -1).astype(np.int8)
    table["discount"] = np.where(discounted, np.round(table["gross"] * share).astype(np.int64), 0)
    country = np.where(known, block.people["country"][local], -1 - table["person"])
    by_country = [list(config.exchange_rates).index(c.currency) for c in config.countries.values()]
    table["currency"] = np.array(by_country)[country].astype(np.int8)
    table["country"] = country.astype(np.int8)
    table["test"] = web & (rng.random(n) < spec.test)
    if block.number == 0:  # every world has one
        table["test"][np.flatnonzero(web)[2:3]] = True
    table["tag_fails"] = web & (rng.random(n) < spec.tag_failure)
    slow = (table["sales"] != 1) & (rng.random(n) < spec.slow_delivery)
    travel = np.where(
        table["sales"] == 1, 0.0, np.where(slow, rng.uniform(6, 13, n), rng.uniform(1.6, 4.5, n))
    )
    table["slow"] = slow
    cancelled = (table["sales"] != 1) & (rng.random(n) < spec.cancel)
    table["cancel_at"] = np.where(
        cancelled, table["at"] + (rng.uniform(0.5, 20, n) * HOUR).astype(np.int64), NEVER
    )
    table["delivered_at"] = np.where(cancelled, NEVER, table["at"] + (travel * DAY).astype(np.int64))
    unhappy = np.where(known, -block.people["satisfaction"][local], 0.0)
    odds = spec.refund * np.exp(0.35 * unhappy) * np.where(slow, 1.6, 1.0)
    refunded = ~cancelled & (rng.random(n) < odds)
    paid = table["gross"] - table["discount"]
    partial = rng.random(n) < spec.partial_refund
    part = np.round(paid * rng.uniform(0.25, 0.7, n)).astype(np.int64)
    after = (
        np.minimum(table["delivered_at"], NEVER // 2)
        + (rng.gamma(2.0, spec.refund_days / 2.0, n) * DAY).astype(np.int64)
        + MINUTE
    )
    table["refund"] = np.where(refunded, np.where(partial, part, paid), 0)
    table["refund_at"] = np.where(refunded, after, NEVER)
    cut = table["refund_at"] >= calendar.finish
    table["refund"] = np.where(cut, 0, table["refund"])
    return take(table, table["at"] < calendar.finish)
