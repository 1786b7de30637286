"""From visits to true events: pages, views, carts, checkout steps, errors and purchases.

A visit is a row of counts over the steps of `steps.STEPS`; steps are flattened in order, get a page and a
dwell time, and each sends up to six events. Everything is vectorised over the block.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .catalogue import CATEGORIES, CONTENT, HELP, SEARCHES, catalogue, pages
from .columns import SECOND, Table, expand, pick
from .config import WorldConfig
from .names import mix
from .steps import LANDINGS, STEPS, E, L, S
from .web import ORIGIN


def make_carts(seed: int, visits: Table, rng: np.random.Generator) -> tuple[np.ndarray, Table]:
    """Main product of every visit, and the lines of carts that were filled (visit, product, quantity)."""
    goods = catalogue(seed)
    n = len(visits["ts"])
    main = pick(rng, goods.weights, n)
    sizes = np.where(visits["depth"] >= 3, 1 + np.minimum(rng.poisson(0.62, n), 4), 0)
    rows, rank = expand(sizes)
    product = np.where(rank == 0, main[rows], pick(rng, goods.weights, len(rows)))
    quantity = 1 + (rng.random(len(rows)) < 0.07)
    return main, {"visit": rows, "product": product.astype(np.int16), "quantity": quantity.astype(np.int16)}


@dataclass
class _Steps:
    """Flattened steps of all visits: parallel arrays."""

    visit: np.ndarray
    step: np.ndarray
    rank: np.ndarray
    land: np.ndarray

    def at(self, *names: str) -> np.ndarray:
        return np.isin(self.step, [S[name] for name in names])

    def landing(self, name: str) -> np.ndarray:
        return (self.step == S["land"]) & (self.land == L[name])


def make_events(
    config: WorldConfig, seed: int, visits: Table, main: np.ndarray, carts: Table, rng: np.random.Generator
) -> tuple[Table, np.ndarray]:
    """Events of visits in time order within each visit, and the time of purchase per visit (0 without one).

    Columns: visit (row), ts, name (code), page (position in `pages`, -1 sign-in), product (-1 none),
    engaged_ms, extra (small number that varies texts), entry (the event carries the traffic source), known
    (the login id is known by then).
    """
    land = _landing(visits, rng.random(len(visits["ts"])))
    cell, rank = expand(_counts(config, visits, carts, land, rng).ravel())
    visit, step = np.divmod(cell, len(STEPS))
    steps = _Steps(visit, step, rank, land[visit])
    spread = rng.integers(0, 1 << 20, len(visit))
    product = _products(seed, steps, main, carts, rng)
    page = _pages(seed, visits, steps, main, product, spread)
    events = _emit(seed, visits, steps, page, product, spread, rng)
    bought = events["name"] == E["purchase"]
    purchase_at = np.zeros(len(visits["ts"]), np.int64)
    purchase_at[events["visit"][bought]] = events["ts"][bought]
    # form steps send their event when they are finished: time order within the visit is what devices send
    order = np.lexsort((events["ts"], events["visit"]))
    return {key: value[order] for key, value in events.items()}, purchase_at


def _landing(visits: Table, u: np.ndarray) -> np.ndarray:
    """Kind of the first page, by channel (positions in the settings: 1 organic search, 8 e-mail)."""
    channel, origin = visits["channel"], visits["origin"]
    home, aisle, product, content = (L[name] for name in ("home", "list", "product", "content"))
    land = np.select([u < 0.55, u < 0.8], [home, aisle], product)
    organic = np.select([u < 0.3, u < 0.6, u < 0.86], [home, aisle, product], content)
    media = np.select([u < 0.15, u < 0.62], [home, aisle], product)
    land = np.where(channel == 1, organic, np.where((channel >= 2) & (channel <= 6), media, land))
    land = np.where(channel == 8, np.where(u < 0.55, aisle, product), land)
    land = np.where((visits["depth"] < 2) & (land == product) & (u > 0.9), aisle, land)
    land = np.where(origin == ORIGIN["return"], L["account"], land)
    return np.where(origin == ORIGIN["voucher"], L["cart"], land)


def _counts(
    config: WorldConfig, visits: Table, carts: Table, land: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """How often each visit takes each step (visits x steps)."""
    n, depth, origin = len(visits["ts"]), visits["depth"], visits["origin"]
    u = rng.random((n, 8))
    back = origin == ORIGIN["voucher"]  # comes back to a cart that is already filled
    engaged, seen, filled = (depth >= 1) & ~back, (depth >= 2) & ~back, (depth >= 3) & ~back
    counts = np.zeros((n, len(STEPS)), np.int16)
    counts[:, S["land"]] = 1
    counts[:, S["content"]] = engaged & (u[:, 1] < 0.10)
    counts[:, S["login"]] = visits["login"] == 1
    counts[:, S["list"]] = np.where(engaged, (land != L["list"]) + rng.poisson(0.25, n), 0)
    counts[:, S["search"]] = engaged & (u[:, 2] < config.funnel.search)
    counts[:, S["product"]] = np.where(seen, (land != L["product"]) + rng.poisson(0.6, n), 0)
    counts[:, S["list2"]] = seen & (u[:, 3] < 0.35)
    counts[:, S["product2"]] = np.where(counts[:, S["list2"]] > 0, rng.poisson(1.1, n), 0)
    counts[:, S["share"]] = seen & (u[:, 4] < config.funnel.share * np.where(depth == 7, 3, 1))
    counts[:, S["add"]] = np.where(filled, np.bincount(carts["visit"], minlength=n), 0)
    counts[:, S["cart"]] = filled & ((u[:, 5] < 0.8) | (depth >= 4))
    counts[:, S["checkout"]] = depth >= 4
    counts[:, S["auth"]] = (visits["login"] == 2) | visits["signs_up"]
    counts[:, S["shipping"]] = depth >= 5
    counts[:, S["payment"]] = depth >= 6
    slips = (depth >= 4) & (u[:, 6] < 0.03)
    counts[:, S["error"]] = np.where(visits["errors"], 1 + rng.poisson(1.2, n), slips)
    counts[:, S["purchase"]] = depth == 7
    counts[:, S["service"]] = (origin == ORIGIN["return"]) | (engaged & (u[:, 7] < 0.035))
    return counts


def _products(
    seed: int, steps: _Steps, main: np.ndarray, carts: Table, rng: np.random.Generator
) -> np.ndarray:
    """Product of each step that is about one, else -1."""
    product = np.full(len(steps.visit), -1, np.int32)
    looks = steps.at("product", "product2", "share") | steps.landing("product")
    product[looks] = pick(rng, catalogue(seed).weights, int(looks.sum()))
    first = looks & (steps.rank == 0) & ~steps.at("product2")
    product[first] = main[steps.visit[first]]
    adds = np.flatnonzero(steps.at("add"))
    order = np.argsort(carts["visit"], kind="stable")
    line = np.searchsorted(carts["visit"][order], steps.visit[adds]) + steps.rank[adds]
    product[adds] = carts["product"][order[line]]
    return product


def _pages(
    seed: int, visits: Table, steps: _Steps, main: np.ndarray, product: np.ndarray, spread: np.ndarray
) -> np.ndarray:
    """Position of each step's page in `pages`."""
    start = pages(seed).start
    page = np.array([start[step.page] for step in STEPS.values()], np.int32)[steps.step]
    landing = steps.step == S["land"]
    page[landing] = np.array([start[name] for name in LANDINGS])[steps.land[landing]]
    lists = steps.at("list", "list2") | steps.landing("list")
    category = np.where(
        steps.rank == 0, catalogue(seed).category[main][steps.visit], spread % len(CATEGORIES)
    )
    page[lists] += category[lists].astype(np.int32)
    about = product >= 0
    page[about] = start["product"] + product[about]
    for mask, size in (
        (steps.at("search"), len(SEARCHES)),
        (steps.at("content") | steps.landing("content"), len(CONTENT)),
    ):
        page[mask] += (spread[mask] % size).astype(np.int32)
    helps = steps.at("service") & (visits["origin"][steps.visit] != ORIGIN["return"])
    page[helps] = start["help"] + spread[helps] % len(HELP)
    return page


def _emit(
    seed: int,
    visits: Table,
    steps: _Steps,
    page: np.ndarray,
    product: np.ndarray,
    spread: np.ndarray,
    rng: np.random.Generator,
) -> Table:
    """Events of all steps; those who leave at once leave within seconds."""
    visit, step, m = steps.visit, steps.step, len(steps.visit)
    left = visits["depth"][visit] == 0
    seconds = np.where(left, 4.5, np.array([s.seconds for s in STEPS.values()])[step])
    dwell = np.minimum(seconds * np.exp(0.85 * rng.standard_normal(m)), 1100.0)
    micro = (dwell * SECOND).astype(np.int64) + 400_000
    total = np.cumsum(micro) - micro
    landing = step == S["land"]
    at = visits["ts"][visit] + total - total[np.flatnonzero(landing)][visit]
    own = np.array([-1 if s.event is None else E[s.event] for s in STEPS.values()], np.int8)[step]
    own = np.where(steps.landing("product"), E["view_item"], own)
    own = np.where(steps.landing("list"), E["view_item_list"], own)
    own = np.where(steps.at("auth"), np.where(visits["signs_up"][visit], E["sign_up"], E["login"]), own)
    bug = visits["errors"][visit]
    own = np.where(steps.at("error") & bug & (steps.rank > 0), E["exception"], own)
    paged = np.array([s.paged for s in STEPS.values()])[step]
    scrolls = paged & (dwell > 8) & (rng.random(m) < 0.34)
    leaves = paged & (dwell > 3) & (rng.random(m) < np.where(left, 0.5, 0.42))
    sent = np.stack([landing, landing & visits["first"][visit], paged, own >= 0, scrolls, leaves], axis=1)
    hit = np.flatnonzero(sent.ravel())
    unit, slot = np.divmod(hit, 6)
    names = np.array(
        [E["session_start"], E["first_visit"], E["page_view"], 0, E["scroll"], E["user_engagement"]]
    )
    delay = np.array([0, 1_000, 2_000, 210_000, 0, -60_000])[slot]
    delay = delay + np.select([slot == 4, slot == 5], [micro[unit] * 55 // 100, micro[unit]], 0)
    form = (slot == 3) & steps.at("shipping", "payment")[unit]
    delay = np.where(form, micro[unit] * 9 // 10, delay)
    jitter = (mix(hit, seed + 3) % np.uint64(900)).astype(np.int64)
    engaged = np.select([slot == 4, slot == 5], [dwell[unit] * 550, dwell[unit] * 820], 0)
    events: Table = {
        "visit": visit[unit].astype(np.int32),
        "ts": at[unit] + delay + jitter,
        "name": np.where(slot == 3, own[unit], names[slot]).astype(np.int8),
        "page": page[unit].astype(np.int16),
        "product": product[unit].astype(np.int16),
        "engaged_ms": engaged.astype(np.int32),
        "extra": np.where(steps.at("error")[unit], ~bug[unit], spread[unit] % 7).astype(np.int8),
        "entry": (slot <= 2) & landing[unit],
    }
    events["known"] = _known(visits, events)
    return events


def _known(visits: Table, events: Table) -> np.ndarray:
    """Whether the visitor is logged in when the event is sent: remembered, or after logging in."""
    visit = events["visit"]
    signal = (events["name"] == E["login"]) | (events["name"] == E["sign_up"])
    first = np.full(len(visits["ts"]), np.iinfo(np.int64).max)
    np.minimum.at(first, visit[signal], events["ts"][signal])
    return (visits["login"][visit] == 3) | (events["ts"] >= first[visit])
