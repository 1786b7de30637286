"""From visits to measured events: pages, views, carts, checkout steps, errors and purchases.

A visit is a row of counts over the kinds of step below; steps are flattened in order, get a page and a dwell time,
and each step emits up to six events. Everything is vectorised over the block.
"""

from __future__ import annotations

import numpy as np

from .catalogue import CATEGORIES, CONTENT, HELP, SEARCHES, catalogue, pages
from .columns import SECOND, Table, expand, pick, ranks_within
from .config import WorldConfig
from .names import mix
from .web import ORIGIN

NAMES = [
    "session_start", "first_visit", "page_view", "view_item_list", "view_item", "view_search_results", "add_to_cart",
    "begin_checkout", "add_shipping_info", "add_payment_info", "purchase", "scroll", "user_engagement", "sign_up",
    "login", "share", "form_error", "exception",
]  # fmt: skip
E = {name: code for code, name in enumerate(NAMES)}
STEPS = ["land", "content", "login", "list", "search", "product", "list2", "product2", "share", "add", "cart", "checkout", "auth", "shipping", "payment", "error", "purchase", "service"]  # fmt: skip
S = {name: code for code, name in enumerate(STEPS)}
ERRORS = ["card_declined_by_form", "postcode_invalid", "payment_iframe_timeout"]
_KIND = {"login": "login", "list": "view_item_list", "list2": "view_item_list", "search": "view_search_results", "product": "view_item", "product2": "view_item", "share": "share", "add": "add_to_cart", "checkout": "begin_checkout", "shipping": "add_shipping_info", "payment": "add_payment_info", "error": "form_error", "purchase": "purchase"}  # fmt: skip
_PAGE = {"content": "content", "login": "login", "list": "list", "list2": "list", "search": "search", "product": "product", "product2": "product", "share": "product", "add": "product", "cart": "cart", "checkout": "checkout", "auth": "login", "shipping": "shipping", "payment": "payment", "error": "payment", "purchase": "confirmation", "service": "account"}  # fmt: skip
_MEDIAN_DWELL = {"land": 13, "content": 40, "login": 14, "list": 17, "list2": 17, "search": 12, "product": 25, "product2": 25, "share": 8, "add": 6, "cart": 16, "checkout": 22, "auth": 20, "shipping": 28, "payment": 32, "error": 14, "purchase": 12, "service": 24}  # fmt: skip
_SILENT = ["share", "add", "error"]  # steps without a page of their own


def make_carts(seed: int, visits: Table, rng: np.random.Generator) -> tuple[np.ndarray, Table]:
    """Main product of every visit, and the cart lines of visits that filled one (columns visit, product, quantity)."""
    goods = catalogue(seed)
    n = len(visits["ts"])
    main = pick(rng, goods.weights, n)
    sizes = np.where(visits["depth"] >= 3, 1 + np.minimum(rng.poisson(0.62, n), 4), 0)
    rows, rank = expand(sizes)
    product = np.where(rank == 0, main[rows], pick(rng, goods.weights, len(rows)))
    quantity = 1 + (rng.random(len(rows)) < 0.07)
    return main, {"visit": rows, "product": product.astype(np.int16), "quantity": quantity.astype(np.int16)}


def make_events(
    config: WorldConfig, seed: int, visits: Table, main: np.ndarray, carts: Table, rng: np.random.Generator
) -> tuple[Table, np.ndarray]:
    """Events of visits in time order within each visit, and the time of purchase per visit (0 without one).

    Columns: visit (row), ts, name (code), page (position in `pages`), product (-1 none), engaged_ms, extra
    (search term, error or step rank), entry (event carries the traffic source), known (login id is known by then).
    """
    goods, site = catalogue(seed), pages(seed)
    n, depth, origin = len(visits["ts"]), visits["depth"], visits["origin"]
    voucher = origin == ORIGIN["voucher"]
    u = rng.random((n, 10))
    land = _landing(visits, u[:, 0])
    counts = np.zeros((n, len(STEPS)), np.int16)
    engaged, seen, filled = depth >= 1, (depth >= 2) & ~voucher, depth >= 3
    counts[:, S["land"]] = 1
    counts[:, S["content"]] = engaged & (u[:, 1] < 0.10)
    counts[:, S["login"]] = visits["login"] == 1
    counts[:, S["list"]] = np.where(engaged & ~voucher, (land != 1) + rng.poisson(0.25, n), 0)
    counts[:, S["search"]] = engaged & ~voucher & (u[:, 2] < config.funnel["search"])  # type: ignore[operator]
    counts[:, S["product"]] = np.where(seen, (land != 2) + rng.poisson(0.6, n), 0)
    counts[:, S["list2"]] = seen & (u[:, 3] < 0.35)
    counts[:, S["product2"]] = np.where(counts[:, S["list2"]] > 0, rng.poisson(1.1, n), 0)
    counts[:, S["share"]] = seen & (u[:, 4] < config.funnel["share"] * np.where(depth == 7, 3, 1))  # type: ignore[operator]
    counts[:, S["add"]] = np.where(filled & ~voucher, np.bincount(carts["visit"], minlength=n), 0)
    counts[:, S["cart"]] = filled & ~voucher & ((u[:, 5] < 0.8) | (depth >= 4))
    counts[:, S["checkout"]] = depth >= 4
    counts[:, S["auth"]] = (visits["login"] == 2) | visits["signs_up"]
    counts[:, S["shipping"]] = depth >= 5
    counts[:, S["payment"]] = depth >= 6
    slips = (depth >= 4) & (u[:, 6] < 0.03)
    counts[:, S["error"]] = np.where(visits["errors"], 1 + rng.poisson(1.2, n), slips)
    counts[:, S["purchase"]] = depth == 7
    counts[:, S["service"]] = (origin == ORIGIN["return"]) | (engaged & (u[:, 7] < 0.035))
    flat = counts.ravel()
    cell, rank = expand(flat)
    visit, step = np.divmod(cell, len(STEPS))
    return _flatten(config, seed, goods, site.start, visits, main, carts, land, visit, step, rank, rng)


def _landing(visits: Table, u: np.ndarray) -> np.ndarray:
    """Kind of the first page: 0 home, 1 list, 2 product, 3 content, 4 cart (voucher), 5 account (return)."""
    channel = visits["channel"]
    land = np.where(u < 0.55, 0, np.where(u < 0.8, 1, 2))
    land = np.where(channel == 1, np.where(u < 0.3, 0, np.where(u < 0.6, 1, np.where(u < 0.86, 2, 3))), land)
    land = np.where((channel >= 2) & (channel <= 6), np.where(u < 0.15, 0, np.where(u < 0.62, 1, 2)), land)
    land = np.where(channel == 8, np.where(u < 0.55, 1, 2), land)
    land = np.where(visits["origin"] == ORIGIN["return"], 5, land)
    land = np.where(visits["origin"] == ORIGIN["voucher"], 4, land)
    return np.where((visits["depth"] < 2) & (land == 2) & (u > 0.9), 1, land)


def _flatten(config, seed, goods, start, visits, main, carts, land, visit, step, rank, rng):  # type: ignore[no-untyped-def]
    n, m = len(visits["ts"]), len(visit)
    is_land = step == S["land"]
    here = land[visit]
    product = np.full(m, -1, np.int32)
    looks = np.isin(step, [S["product"], S["product2"], S["share"], S["add"]]) | (is_land & (here == 2))
    product[looks] = pick(rng, goods.weights, int(looks.sum()))
    mains = looks & (rank == 0) & (step != S["product2"])
    product[mains] = main[visit[mains]]
    adds = step == S["add"]
    product[adds] = carts["product"][np.isin(carts["visit"], visit[adds])] if adds.any() else 0
    group = np.array([start.get(_PAGE.get(name, "home"), 0) for name in STEPS])[step]
    spread = rng.integers(0, 1 << 20, m)
    page = group.astype(np.int32)
    category = goods.category[main][visit]
    lists = np.isin(step, [S["list"], S["list2"]]) | (is_land & (here == 1))
    page[lists] = start["list"] + np.where(rank[lists] == 0, category[lists], spread[lists] % len(CATEGORIES))
    page[product >= 0] = start["product"] + product[product >= 0]
    searches = step == S["search"]
    page[searches] = start["search"] + spread[searches] % len(SEARCHES)
    reads = (step == S["content"]) | (is_land & (here == 3))
    page[reads] = start["content"] + spread[reads] % len(CONTENT)
    page[is_land & (here == 4)] = start["cart"]
    page[is_land & (here == 5)] = start["account"]
    helps = (step == S["service"]) & (visits["origin"][visit] != ORIGIN["return"])
    page[helps] = start["help"] + spread[helps] % len(HELP)
    # dwell times: log-normal around the step's median; those who leave at once leave within seconds
    median = np.array([_MEDIAN_DWELL[name] for name in STEPS], float)[step]
    median = np.where(visits["depth"][visit] == 0, 4.5, median)
    dwell = np.minimum(median * np.exp(0.85 * rng.standard_normal(m)), 1100.0)
    micro = (dwell * SECOND).astype(np.int64) + 400_000
    total = np.cumsum(micro) - micro
    at = visits["ts"][visit] + total - total[np.flatnonzero(is_land)][visit]
    kind = np.array([E[_KIND[name]] if name in _KIND else -1 for name in STEPS], np.int8)[step]
    kind = np.where(
        is_land & (here == 2), E["view_item"], np.where(is_land & (here == 1), E["view_item_list"], kind)
    )
    auth = step == S["auth"]
    kind = np.where(auth, np.where(visits["signs_up"][visit], E["sign_up"], E["login"]), kind)
    kind = np.where((step == S["error"]) & visits["errors"][visit] & (rank > 0), E["exception"], kind)
    paged = ~np.isin(step, [S[name] for name in _SILENT])
    emits = np.stack(
        [
            is_land,
            is_land & visits["first"][visit],
            paged,
            kind >= 0,
            paged & (dwell > 8) & (rng.random(m) < 0.34),
            paged & (dwell > 3) & (rng.random(m) < np.where(visits["depth"][visit] == 0, 0.5, 0.42)),
        ],
        axis=1,
    )
    hit = np.flatnonzero(emits.ravel())
    unit, slot = np.divmod(hit, 6)
    fixed = np.array(
        [E["session_start"], E["first_visit"], E["page_view"], 0, E["scroll"], E["user_engagement"]]
    )
    offset = np.stack(
        [
            np.zeros(m, np.int64),
            np.full(m, 1_000),
            np.full(m, 2_000),
            np.full(m, 210_000),
            micro * 55 // 100,
            micro - 60_000,
        ],
        axis=1,
    ).ravel()[hit]
    offset = np.where(
        (slot == 3) & np.isin(step[unit], [S["shipping"], S["payment"]]), micro[unit] * 9 // 10, offset
    )
    jitter = (mix(hit, seed + 3) % np.uint64(900)).astype(np.int64)
    events: Table = {
        "visit": visit[unit].astype(np.int32),
        "ts": at[unit] + offset + jitter,
        "name": np.where(slot == 3, kind[unit], fixed[slot]).astype(np.int8),
        "page": page[unit].astype(np.int16),
        "product": product[unit].astype(np.int16),
        "engaged_ms": np.where(slot >= 4, (dwell[unit] * np.where(slot == 4, 550, 820)).astype(np.int32), 0),
        "extra": np.where(
            step[unit] == S["error"], np.where(visits["errors"][visit[unit]], 0, 1), spread[unit] % 7
        ).astype(np.int8),
        "entry": slot <= 2,
    }
    events["entry"] &= is_land[unit]
    events["known"] = _known(visits, events)
    bought = events["name"] == E["purchase"]
    purchase_at = np.zeros(n, np.int64)
    purchase_at[events["visit"][bought]] = events["ts"][bought]
    # form steps may finish out of order by their jitter; time order within the visit is what devices send
    order = np.lexsort((events["ts"], events["visit"]))
    return {key: value[order] for key, value in events.items()}, purchase_at


def _known(visits: Table, events: Table) -> np.ndarray:
    visit = events["visit"]
    signal = (events["name"] == E["login"]) | (events["name"] == E["sign_up"])
    first = np.full(len(visits["ts"]), np.iinfo(np.int64).max)
    np.minimum.at(first, visit[signal], events["ts"][signal])
    return (visits["login"][visit] == 3) | (events["ts"] >= first[visit])


def counts_by_visit(events: Table, name: str, n: int) -> np.ndarray:
    """How many events of one name each visit has."""
    return np.bincount(events["visit"][events["name"] == E[name]], minlength=n)


def event_rank(events: Table) -> np.ndarray:
    """Position of each event in its visit."""
    return ranks_within(events["visit"])
