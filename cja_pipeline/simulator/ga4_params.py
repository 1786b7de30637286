"""The `event_params` column of the export: a list of key and typed value per event.

Each event has a fixed set of slots; a mask says which are present, and the present ones are flattened in
order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from .arrow import choose, lists, struct
from .catalogue import SEARCHES
from .columns import SECOND, Table
from .ga4_items import SHOPPING, value_of
from .steps import ERRORS, E
from .tracking import DAMAGE

if TYPE_CHECKING:
    from .ga4_format import Formatter

TEXTS = [
    "page_location",
    "page_title",
    "page_referrer",
    "session_engaged",
    "search_term",
    "method",
    "error_message",
    "transaction_id",
    "currency",
    "experiment_id",
    "variant_id",
    "content_type",
    "item_id",
    "shipping_tier",
    "payment_type",
    "page_type",
]
# the last one is session_engaged too: after the schema drift it is a number
NUMBERS = [
    "ga_session_id",
    "ga_session_number",
    "engagement_time_msec",
    "percent_scrolled",
    "session_engaged",
]


def event_params(
    of: Formatter, rows: Table, event: np.ndarray, visit: np.ndarray, name: np.ndarray, consent: np.ndarray
) -> pa.ListArray:
    """Parameters of the given events; without consent neither session id nor session number."""
    visits, t = of.life.visits, len(TEXTS)
    engaged = _engaged_by_now(of, rows, event, visit, name)
    drifted = rows["ts"] >= of.drift_at
    codes = _texts(of, rows, event, visit, name, engaged, drifted)
    product = of.life.events["product"][event].astype(np.int64)
    numbers = np.stack(
        [
            visits["ts"][visit] // SECOND,
            visits["number"][visit].astype(np.int64),
            of.life.events["engaged_ms"][event].astype(np.int64),
            np.full(len(event), 90),
            engaged.astype(np.int64),
        ],
        axis=1,
    )
    value = value_of(of, rows, visit, name, product)
    has_number = np.stack([consent, consent, numbers[:, 2] > 0, name == E["scroll"], drifted], axis=1)
    present = np.concatenate([codes >= 0, has_number, ~np.isnan(value)[:, None]], axis=1)
    row, slot = np.divmod(np.flatnonzero(present.ravel()), present.shape[1])
    text, last = slot < t, slot == present.shape[1] - 1
    number = ~text & ~last
    strings = np.where(text, codes[row, np.minimum(slot, t - 1)], 0)
    integers = np.where(number, numbers[row, np.clip(slot - t, 0, len(NUMBERS) - 1)], 0)
    values = struct(
        string_value=of.words.pool.take(pa.array(strings, mask=~text)),
        int_value=pa.array(integers, mask=~number),
        float_value=pa.nulls(len(row), pa.float64()),
        double_value=pa.array(np.where(last, value[row], 0.0), mask=~last),
    )
    return lists(present.sum(axis=1), struct(key=choose([*TEXTS, *NUMBERS, "value"], slot), value=values))


def _engaged_by_now(
    of: Formatter, rows: Table, event: np.ndarray, visit: np.ndarray, name: np.ndarray
) -> np.ndarray:
    """Whether the visit counts as engaged when the event is sent."""
    inner_view = (name == E["page_view"]) & ~of.life.events["entry"][event]
    elapsed = of.life.events["ts"][event] - of.life.visits["ts"][visit]
    return of.active[visit] & (inner_view | (elapsed >= 10 * SECOND) | (name == E["purchase"]))


def _texts(
    of: Formatter,
    rows: Table,
    event: np.ndarray,
    visit: np.ndarray,
    name: np.ndarray,
    engaged: np.ndarray,
    drifted: np.ndarray,
) -> np.ndarray:
    """Positions in the string pool per event and text slot, -1 where absent."""
    events, visits, words = of.life.events, of.life.visits, of.words
    n = len(event)
    codes = np.full((n, len(TEXTS)), -1, np.int32)
    page = events["page"][event].astype(np.int64)
    page = np.where(page < 0, of.pages.start["login"], page)
    product = events["product"][event].astype(np.int64)
    extra = events["extra"][event].astype(np.int64)
    entry = events["entry"][event]

    def put(key: str, mask: np.ndarray, values: np.ndarray | int) -> None:
        codes[mask, TEXTS.index(key)] = values[mask] if isinstance(values, np.ndarray) else values

    everywhere = np.ones(n, bool)
    hostile = rows["damage"] == DAMAGE.index("hostile_text")
    put("page_location", everywhere, words.page_url + page)
    put("page_title", everywhere, np.where(hostile, words.hostile, words.page_title + page))
    put("page_referrer", entry, words.referrer[visits["traffic"][visit]])
    put("page_referrer", ~entry & (name == E["page_view"]), words.page_url)
    put("session_engaged", ~drifted, np.where(engaged, words.yes, words.no))
    term = words.search + np.clip(page - of.pages.start["search"], 0, len(SEARCHES) - 1)
    put("search_term", name == E["view_search_results"], term)
    put("method", (name == E["login"]) | (name == E["sign_up"]), words.method)
    put("method", name == E["share"], words.share + extra % 3)
    failed = (name == E["form_error"]) | (name == E["exception"])
    put("error_message", failed, words.error + np.where(name == E["exception"], 2, extra % len(ERRORS)))
    put("transaction_id", name == E["purchase"], words.order_code[visit])
    priced = np.isin(name, SHOPPING) | (name == E["view_item"])
    put("currency", priced, words.currency + of.currency[visit])
    tested = (name == E["view_item"]) & visits["reported"][visit]
    put("experiment_id", tested, words.experiment + visits["test"][visit].astype(np.int64))
    put("variant_id", tested, words.variant + visits["variant"][visit].astype(np.int64))
    put("content_type", name == E["share"], words.product_word)
    put("item_id", (name == E["share"]) & (product >= 0), words.item + product)
    put("shipping_tier", name == E["add_shipping_info"], words.tier + extra % 2)
    put("payment_type", name == E["add_payment_info"], words.payment + visits["ts"][visit] % 4)
    put("page_type", drifted & (name == E["page_view"]), words.page_kind[page])
    return codes
