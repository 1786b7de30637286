"""Money and goods of the export: event values, the `ecommerce` struct and the `items` list."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from .arrow import choose, lists, same, struct, struct_or_null
from .catalogue import CATEGORIES
from .columns import Table
from .steps import E
from .tracking import DAMAGE

if TYPE_CHECKING:
    from .ga4_format import Formatter

SHOPPING = [
    E["add_to_cart"],
    E["begin_checkout"],
    E["add_shipping_info"],
    E["add_payment_info"],
    E["purchase"],
]


def value_of(
    of: Formatter, rows: Table, visit: np.ndarray, name: np.ndarray, product: np.ndarray
) -> np.ndarray:
    """Value of each event in its currency, NaN without one: a product's price, the cart, what was paid."""
    value = np.full(len(visit), np.nan)
    single = (name == E["view_item"]) | (name == E["add_to_cart"])
    value[single] = of.goods.price[np.maximum(product, 0)][single]
    later = np.isin(name, SHOPPING[1:4])
    value[later] = of.subtotal[visit[later]]
    bought = name == E["purchase"]
    value[bought] = of.paid[visit[bought]]
    negative = rows["damage"] == DAMAGE.index("negative_value")
    value[negative] = -np.abs(np.nan_to_num(value[negative], nan=1.0))
    return value


def ecommerce(of: Formatter, rows: Table, visit: np.ndarray, name: np.ndarray) -> pa.StructArray:
    """The ecommerce struct; null on events that are not about shopping."""
    other = name != E["purchase"]
    revenue = value_of(of, rows, visit, name, np.zeros(len(visit), np.int64))
    code = of.words.order_code[visit]
    nothing = pa.nulls(len(visit), pa.float64())
    return struct_or_null(
        ~np.isin(name, SHOPPING),
        total_item_quantity=pa.array(of.line_count[visit], mask=other),
        purchase_revenue=pa.array(np.where(other, 0.0, revenue), mask=other),
        refund_value=nothing,
        shipping_value=nothing,
        tax_value=nothing,
        unique_items=pa.array(of.line_count[visit], mask=other),
        transaction_id=of.words.pool.take(pa.array(code, mask=other | (code < 0))),
    )


def items(of: Formatter, event: np.ndarray, visit: np.ndarray, name: np.ndarray) -> pa.ListArray:
    """Goods of each event: the product looked at or added, or all lines of the cart."""
    carts, n = of.life.carts, len(visit)
    product = of.life.events["product"][event].astype(np.int64)
    single = ((name == E["view_item"]) | (name == E["add_to_cart"])) & (product >= 0)
    counts = np.where(single, 1, np.where(np.isin(name, SHOPPING[1:]), of.line_count[visit], 0))
    row = np.repeat(np.arange(n), counts)
    rank = np.arange(len(row)) - (np.cumsum(counts) - counts)[row]
    alone = single[row]
    goods, quantity = product[row], np.ones(len(row), np.int64)
    lines = of.line_order[(of.line_start[visit[row]] + rank)[~alone]]
    goods[~alone], quantity[~alone] = carts["product"][lines], carts["quantity"][lines]
    price = of.goods.price[goods]
    bought = (name == E["purchase"])[row]
    entries = struct(
        item_id=choose(of.goods.ids, goods),
        item_name=choose(of.goods.names, goods),
        item_brand=same("Nordlicht", len(row)),
        item_category=choose(CATEGORIES, of.goods.category[goods]),
        price=pa.array(price),
        quantity=pa.array(quantity),
        item_revenue=pa.array(np.round(price * quantity, 2), mask=~bought),
    )
    return lists(counts, entries)
