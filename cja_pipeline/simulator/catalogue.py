"""What the shop sells and which pages it has: products with prices and popularity, paths and titles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .columns import rng_for

CATEGORIES = [
    "jackets",
    "footwear",
    "backpacks",
    "tents",
    "sleeping",
    "climbing",
    "base-layers",
    "accessories",
]
_MIDDLE = [92.0, 78.0, 56.0, 118.0, 68.0, 36.0, 29.0, 15.0]
_NAMES = [
    "Fjell",
    "Skog",
    "Kuling",
    "Nordlys",
    "Vinden",
    "Tind",
    "Bre",
    "Isbjørn",
    "Elv",
    "Dal",
    "Hytte",
    "Sti",
    "Varg",
    "Rein",
    "Havn",
]
_KINDS = ["Shell", "Trail", "Pack", "Dome", "Down", "Rope", "Merino", "Kit"]
CONTENT = [
    "layering-guide",
    "hut-to-hut",
    "boot-care",
    "packing-list",
    "winter-camping",
    "repair-not-replace",
]
HELP = ["delivery", "returns", "size-guide", "contact"]
SEARCHES = ["rain jacket", "regenjacke", "wanderschuhe", "hiking boots", "rucksack 30l", "zelt 2 personen"]
SEARCHES += [
    "merino",
    "schlafsack",
    "gift card",
    "kletterseil",
    "size guide",
    "gore-tex",
    "gaiters",
    "stirnlampe",
]


@dataclass(frozen=True)
class Catalogue:
    """Products as parallel arrays; `weights` are their popularity."""

    ids: list[str]
    names: list[str]
    category: np.ndarray
    price: np.ndarray
    weights: np.ndarray


@lru_cache(maxsize=4)
def catalogue(seed: int, size: int = 240) -> Catalogue:
    """The assortment of the world of this seed."""
    rng = rng_for(seed, "catalogue")
    category = np.repeat(np.arange(len(CATEGORIES)), size // len(CATEGORIES))
    price = np.array(_MIDDLE)[category] * np.exp(0.42 * rng.standard_normal(len(category)))
    price = np.maximum(np.round(price), 5.0) - 0.05
    # cheap things are looked at and bought more often than tents
    rank = rng.permutation(len(category)) + 1
    weights = rank**-0.7 * price**-0.62
    names = [f"{_NAMES[i % len(_NAMES)]} {_KINDS[c]} {i // len(_NAMES) + 1}" for i, c in enumerate(category)]
    ids = [f"NO-{c + 1}{i:04d}" for i, c in enumerate(category)]
    return Catalogue(ids, names, category, price, weights / weights.sum())


@dataclass(frozen=True)
class Pages:
    """All pages: path with query, title; and where each group of pages begins in the list."""

    paths: list[str]
    titles: list[str]
    start: dict[str, int]


@lru_cache(maxsize=4)
def pages(seed: int) -> Pages:
    """Every page of the shop of this seed, by position."""
    goods = catalogue(seed)
    rows: list[tuple[str, str]] = []
    start: dict[str, int] = {}

    def group(name: str, members: list[tuple[str, str]]) -> None:
        start[name] = len(rows)
        rows.extend(members)

    group("home", [("/", "Nordlicht Outdoor")])
    group("list", [(f"/c/{name}", f"{name.title()} | Nordlicht Outdoor") for name in CATEGORIES])
    slugs = [name.lower().replace(" ", "-").replace("ø", "o") for name in goods.names]
    products = zip(slugs, goods.ids, goods.names, strict=True)
    group(
        "product",
        [(f"/p/{slug}-{id_.lower()}", f"{name} | Nordlicht Outdoor") for slug, id_, name in products],
    )
    group(
        "search", [(f"/search?q={term.replace(' ', '+')}", "Search | Nordlicht Outdoor") for term in SEARCHES]
    )
    group("cart", [("/cart", "Your cart")])
    group("checkout", [("/checkout", "Checkout")])
    group("shipping", [("/checkout/shipping", "Delivery")])
    group("payment", [("/checkout/payment", "Payment")])
    group("confirmation", [("/checkout/confirmation", "Thank you for your order")])
    group("login", [("/account/login", "Sign in")])
    group("account", [("/account/orders", "Your orders")])
    group("help", [(f"/help/{name}", f"Help: {name}") for name in HELP])
    group("content", [(f"/magazine/{name}", f"Magazine: {name}") for name in CONTENT])
    return Pages([row[0] for row in rows], [row[1] for row in rows], start)
