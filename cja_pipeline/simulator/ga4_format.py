"""Measured events in the schema of Google Analytics' BigQuery export, as Arrow tables.

Schema source: Google's documentation of the export (events_YYYYMMDD). Nested columns are built from offsets and flat
children, never row by row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from .catalogue import CATEGORIES, SEARCHES, catalogue, pages
from .columns import Table, length
from .email import campaigns
from .events import ERRORS, NAMES, E
from .ga4_strings import Vocabulary
from .life import Life
from .names import CITIES
from .people import BROWSERS, SYSTEMS
from .people import CATEGORIES as DEVICES
from .tracking import DAMAGE
from .web import incident_window, traffic_list

STRING_PARAMS = ["page_location", "page_title", "page_referrer", "session_engaged", "search_term", "method", "error_message", "transaction_id", "currency", "experiment_id", "variant_id", "content_type", "item_id", "shipping_tier", "payment_type", "page_type"]  # fmt: skip
INT_PARAMS = [
    "ga_session_id",
    "ga_session_number",
    "engagement_time_msec",
    "percent_scrolled",
    "session_engaged_int",
]
SHOPPING = [
    E["add_to_cart"],
    E["begin_checkout"],
    E["add_shipping_info"],
    E["add_payment_info"],
    E["purchase"],
]


class Formatter:
    """Turns measured rows of one world into export rows; lookups are built once."""

    def __init__(self, life: Life, words: Vocabulary) -> None:
        self.life, self.words = life, words
        self.goods, self.pages = catalogue(life.seed), pages(life.seed)
        visits = life.visits
        cents = np.round(self.goods.price[life.carts["product"]] * life.carts["quantity"] * 100)
        self.subtotal = np.bincount(life.carts["visit"], weights=cents, minlength=length(visits)) / 100
        self.line_count = np.bincount(life.carts["visit"], minlength=length(visits))
        self.line_start = np.cumsum(self.line_count) - self.line_count
        self.line_order = np.argsort(life.carts["visit"], kind="stable")
        self.paid = self.subtotal.copy()
        web = np.flatnonzero(life.orders["visit"] >= 0)
        self.paid[life.orders["visit"][web]] = (life.orders["gross"] - life.orders["discount"])[web] / 100
        self.currency = np.zeros(length(visits), np.int64)
        known = visits["country"] >= 0
        by_country = [
            list(life.config.exchange_rates).index(c.currency) for c in life.config.countries.values()
        ]
        self.currency[known] = np.array(by_country)[visits["country"][known]]
        self.traffic = traffic_list(life.config)
        self.campaigns = [row[0] for row in campaigns(life.config, life.calendar)]
        drift = [i for i in life.config.incidents if i.kind == "drift"]
        self.drift_at = incident_window(life.calendar, drift[0])[0] if drift else life.calendar.finish + 1
        self.active = _engaged_visits(life)

    def table(self, rows: Table) -> pa.Table:
        """Export rows for measured rows (see `tracking.measure`), in the given order."""
        life, events, visits = self.life, self.life.events, self.life.visits
        event = rows["event"]
        visit = events["visit"][event]
        name = events["name"][event].astype(np.int64)
        damage = rows["damage"]
        ts = rows["ts"].copy()
        ts[damage == DAMAGE.index("zero_timestamp")] = 0
        ts[damage == DAMAGE.index("far_future")] += 400 * 86_400_000_000
        names = pa.array(NAMES).take(
            pa.array(np.where(name < 0, 0, name), mask=damage == DAMAGE.index("no_event_name"))
        )
        consent = visits["consent"][visit]
        words = self.words
        columns: dict[str, Any] = {
            "event_date": pa.array(life.calendar.labels).take(pa.array(rows["day"])),
            "event_timestamp": pa.array(ts),
            "event_name": names,
            "event_params": self._params(rows, event, visit, name, consent),
            "event_bundle_sequence_id": pa.array(
                (visits["ts"][visit] // 1000 + visits["number"][visit]) % 2_000_000_011
            ),
            "event_server_timestamp_offset": pa.array(rows["offset"]),
            "user_id": words.logins.take(words.login_index(visit, events["known"][event], consent)),
            "user_pseudo_id": words.cookies.take(words.cookie_index(visit, consent)),
            "privacy_info": _struct(
                analytics_storage=pa.array(["No", "Yes"]).take(pa.array(consent.astype(np.int8))),
                ads_storage=pa.array(["No", "Yes"]).take(
                    pa.array((consent & visits["optin"][visit]).astype(np.int8))
                ),
                uses_transient_token=_same("No", len(event)),
            ),
            "user_first_touch_timestamp": pa.array(visits["touched"][visit], mask=~consent),
            "device": self._device(visit),
            "geo": self._geo(visit),
            "traffic_source": self._traffic(visits["first_traffic"][visit], visit, first=True, mask=~consent),
            "stream_id": _same("4400100200", len(event)),
            "platform": _same("WEB", len(event)),
            "ecommerce": self._ecommerce(rows, visit, name),
            "items": self._items(rows, event, visit, name),
            "collected_traffic_source": self._collected(event, visit),
            "is_active_user": pa.array(self.active[visit]),
            "batch_event_index": pa.array((event - self._first_event[visit]) % 20 + 1),
            "batch_page_id": pa.array(np.where(consent, ts // 1000, 0), mask=~consent),
            "batch_ordering_id": pa.array((event - self._first_event[visit]) // 20 + 1),
        }
        return pa.table(columns)

    @property
    def _first_event(self) -> np.ndarray:
        if not hasattr(self, "_first"):
            visit = self.life.events["visit"]
            first = np.full(length(self.life.visits), len(visit), np.int64)
            first[visit[::-1]] = np.arange(len(visit))[::-1]
            self._first = first
        return self._first

    def _params(self, rows, event, visit, name, consent) -> pa.Array:  # type: ignore[no-untyped-def]
        life, events, visits, words = self.life, self.life.events, self.life.visits, self.words
        n, s, pool = len(event), len(STRING_PARAMS), words.pool
        codes = np.full((n, s), -1, np.int32)
        page = events["page"][event].astype(np.int64)
        page = np.where(page < 0, self.pages.start["login"], page)
        hostile = rows["damage"] == DAMAGE.index("hostile_text")
        engaged = self.active[visit]
        drifted = rows["ts"] >= self.drift_at

        def put(key: str, mask: np.ndarray, values: np.ndarray) -> None:
            codes[mask, STRING_PARAMS.index(key)] = values[mask] if values.ndim else values

        everywhere = np.ones(n, bool)
        put("page_location", everywhere, words.page_url + page)
        put("page_title", everywhere, np.where(hostile, words.hostile, words.page_title + page))
        entry = events["entry"][event]
        put("page_referrer", entry, words.referrer[visits["traffic"][visit]])
        inner = ~entry & (name == E["page_view"])
        put("page_referrer", inner, np.full(n, words.page_url))
        put("session_engaged", ~drifted, np.where(engaged, words.yes, words.no))
        extra = events["extra"][event].astype(np.int64)
        search = name == E["view_search_results"]
        put(
            "search_term",
            search,
            words.search + np.clip(page - self.pages.start["search"], 0, len(SEARCHES) - 1),
        )
        put("method", (name == E["login"]) | (name == E["sign_up"]), np.full(n, words.method))
        put("method", name == E["share"], words.share + extra % 3)
        failed = (name == E["form_error"]) | (name == E["exception"])
        put("error_message", failed, words.error + np.where(name == E["exception"], 2, extra % len(ERRORS)))
        bought = name == E["purchase"]
        put("transaction_id", bought, words.order_code[visit])
        product = events["product"][event].astype(np.int64)
        shopping = np.isin(name, SHOPPING)
        put("currency", shopping | (name == E["view_item"]), words.currency + self.currency[visit])
        tested = (name == E["view_item"]) & (visits["variant"][visit] >= 0)
        put("experiment_id", tested, np.full(n, words.experiment))
        put("variant_id", tested, words.variant + visits["variant"][visit].astype(np.int64))
        put("content_type", name == E["share"], np.full(n, words.product_word))
        put("item_id", (name == E["share"]) & (product >= 0), words.item + product)
        put("shipping_tier", name == E["add_shipping_info"], words.tier + extra % 2)
        put("payment_type", name == E["add_payment_info"], words.payment + visits["ts"][visit] % 4)
        put("page_type", drifted & (name == E["page_view"]), words.page_kind[page])
        ints = np.zeros((n, len(INT_PARAMS)), np.int64)
        ints[:, 0] = visits["ts"][visit] // 1_000_000
        ints[:, 1] = visits["number"][visit]
        ints[:, 2] = events["engaged_ms"][event]
        ints[:, 3] = 90
        ints[:, 4] = engaged
        present = np.zeros((n, s + len(INT_PARAMS) + 1), bool)
        present[:, :s] = codes >= 0
        present[:, s] = present[:, s + 1] = consent
        present[:, s + 2] = ints[:, 2] > 0
        present[:, s + 3] = name == E["scroll"]
        present[:, s + 4] = drifted
        value = self._value(rows, visit, name, product)
        present[:, -1] = ~np.isnan(value)
        flat = np.flatnonzero(present.ravel())
        row, slot = np.divmod(flat, present.shape[1])
        text = slot < s
        number = (slot >= s) & (slot < s + len(INT_PARAMS))
        string_codes = np.where(text, codes[row, np.minimum(slot, s - 1)], 0)
        integers = np.where(number, ints[row, np.clip(slot - s, 0, len(INT_PARAMS) - 1)], 0)
        keys = np.array([*STRING_PARAMS, *INT_PARAMS[:-1], "session_engaged", "value"])
        values = _struct(
            string_value=pool.take(pa.array(string_codes, mask=~text)),
            int_value=pa.array(integers, mask=~number),
            float_value=pa.nulls(len(flat), pa.float64()),
            double_value=pa.array(
                np.where(slot == present.shape[1] - 1, value[row], 0.0), mask=text | number
            ),
        )
        entries = _struct(key=pa.array(keys).take(pa.array(slot)), value=values)
        return pa.ListArray.from_arrays(_offsets(present.sum(axis=1)), entries)

    def _value(self, rows, visit, name, product) -> np.ndarray:  # type: ignore[no-untyped-def]
        price = self.goods.price[np.maximum(product, 0)]
        value = np.full(len(visit), np.nan)
        single = (name == E["view_item"]) | (name == E["add_to_cart"])
        value[single] = price[single]
        later = np.isin(name, SHOPPING[1:4])
        value[later] = self.subtotal[visit[later]]
        bought = name == E["purchase"]
        value[bought] = self.paid[visit[bought]]
        negative = rows["damage"] == DAMAGE.index("negative_value")
        value[negative] = -np.abs(np.nan_to_num(value[negative], nan=1.0))
        return value

    def _ecommerce(self, rows, visit, name) -> pa.Array:  # type: ignore[no-untyped-def]
        bought = name == E["purchase"]
        revenue = self._value(rows, visit, name, np.zeros(len(visit), np.int64))
        lines = self.line_count[visit]
        fields = {
            "total_item_quantity": pa.array(lines, mask=~bought),
            "purchase_revenue": pa.array(np.where(bought, revenue, 0.0), mask=~bought),
            "refund_value": pa.nulls(len(visit), pa.float64()),
            "shipping_value": pa.nulls(len(visit), pa.float64()),
            "tax_value": pa.nulls(len(visit), pa.float64()),
            "unique_items": pa.array(lines, mask=~bought),
            "transaction_id": self.words.pool.take(pa.array(self.words.order_code[visit], mask=~bought)),
        }
        names = list(fields)
        return pa.StructArray.from_arrays(
            list(fields.values()), names, mask=pa.array(~np.isin(name, SHOPPING))
        )

    def _items(self, rows, event, visit, name) -> pa.Array:  # type: ignore[no-untyped-def]
        product = self.life.events["product"][event].astype(np.int64)
        single = ((name == E["view_item"]) | (name == E["add_to_cart"])) & (product >= 0)
        cart = np.isin(name, SHOPPING[1:])
        counts = np.where(single, 1, np.where(cart, self.line_count[visit], 0))
        row = np.repeat(np.arange(len(visit)), counts)
        starts = np.cumsum(counts) - counts
        rank = np.arange(len(row)) - starts[row]
        line = np.minimum(self.line_start[visit[row]] + rank, max(len(self.line_order) - 1, 0))
        carts = self.life.carts
        line = self.line_order[line] if len(self.line_order) else line
        alone = single[row]
        goods = np.where(alone, product[row], carts["product"][line] if len(carts["product"]) else 0)
        quantity = np.where(alone, 1, carts["quantity"][line] if len(carts["product"]) else 1)
        price = self.goods.price[goods]
        bought = (name == E["purchase"])[row]
        entries = _struct(
            item_id=pa.array(self.goods.ids).take(pa.array(goods)),
            item_name=pa.array(self.goods.names).take(pa.array(goods)),
            item_brand=_same("Nordlicht", len(row)),
            item_category=pa.array(CATEGORIES).take(pa.array(self.goods.category[goods])),
            price=pa.array(price),
            quantity=pa.array(quantity.astype(np.int64)),
            item_revenue=pa.array(np.round(price * quantity, 2), mask=~bought),
        )
        return pa.ListArray.from_arrays(_offsets(counts), entries)

    def _device(self, visit: np.ndarray) -> pa.Array:
        visits = self.life.visits
        language = pa.array(["en-us", "de-de", "de-at", "de-ch", "en-gb", "nl-nl"])
        browser = pa.array(BROWSERS).take(pa.array(visits["browser"][visit]))
        return _struct(
            category=pa.array(DEVICES).take(pa.array(visits["category"][visit])),
            operating_system=pa.array(SYSTEMS).take(pa.array(visits["system"][visit])),
            language=language.take(pa.array(visits["country"][visit].astype(np.int64) + 1)),
            is_limited_ad_tracking=_same("No", len(visit)),
            web_info=_struct(
                browser=browser,
                browser_version=_same("138.0", len(visit)),
                hostname=_same(self.life.config.host, len(visit)),
            ),
        )

    def _geo(self, visit: np.ndarray) -> pa.Array:
        visits = self.life.visits
        country = visits["country"][visit].astype(np.int64) + 1
        labels = {
            "DE": "Germany",
            "AT": "Austria",
            "CH": "Switzerland",
            "GB": "United Kingdom",
            "NL": "Netherlands",
        }
        codes = list(self.life.config.countries)
        starts = np.cumsum([1, *[len(CITIES[code]) for code in codes]])
        cities = ["Ashburn", *[city for code in codes for city, _ in CITIES[code]]]
        place = np.where(country > 0, np.r_[0, starts[:-1]][country] + visits["city"][visit], 0)
        return _struct(
            continent=pa.array(["Americas", "Europe"]).take(pa.array((country > 0).astype(np.int8))),
            country=pa.array(["United States", *[labels.get(code, code) for code in codes]]).take(
                pa.array(country)
            ),
            city=pa.array(cities).take(pa.array(place)),
        )

    def _campaign(self, traffic: np.ndarray, visit: np.ndarray) -> pa.Array:
        """Campaign names: the traffic's own, or the message's for visits from e-mail."""
        names = [row[3] or None for row in self.traffic]
        sent = self.life.visits["campaign"][visit].astype(np.int64)
        index = np.where(sent >= 0, len(names) + sent, traffic)
        return pa.array([*names, *self.campaigns], pa.string()).take(pa.array(index))

    def _traffic(self, traffic, visit, first, mask) -> pa.Array:  # type: ignore[no-untyped-def]
        index = pa.array(traffic)
        names = pa.array([row[3] or "(direct)" for row in self.traffic])
        return pa.StructArray.from_arrays(
            [
                names.take(index),
                pa.array([r[2] for r in self.traffic]).take(index),
                pa.array([r[1] for r in self.traffic]).take(index),
            ],
            ["name", "medium", "source"],
            mask=pa.array(mask),
        )

    def _collected(self, event: np.ndarray, visit: np.ndarray) -> pa.Array:
        traffic = self.life.visits["traffic"][visit]
        direct = np.array([row[1] == "(direct)" for row in self.traffic])[traffic]
        absent = ~self.life.events["entry"][event] | direct
        index = pa.array(traffic)
        return pa.StructArray.from_arrays(
            [
                self._campaign(traffic, visit),
                pa.array([row[1] for row in self.traffic]).take(index),
                pa.array([row[2] for row in self.traffic]).take(index),
            ],
            ["manual_campaign_name", "manual_source", "manual_medium"],
            mask=pa.array(absent),
        )


def _engaged_visits(life: Life) -> np.ndarray:
    """Engaged as web analytics has it: ten seconds, two pages, or a purchase."""
    events, n = life.events, length(life.visits)
    views = np.bincount(events["visit"][events["name"] == E["page_view"]], minlength=n)
    time = np.bincount(events["visit"], weights=events["engaged_ms"], minlength=n)
    return (views >= 2) | (time >= 10_000) | (life.visits["depth"] == 7)


def _offsets(counts: np.ndarray) -> pa.Array:
    return pa.array(np.r_[0, np.cumsum(counts)].astype(np.int32))


def _same(value: str, n: int) -> pa.Array:
    return pa.array([value]).take(pa.array(np.zeros(n, np.int8)))


def _struct(**fields: Any) -> pa.StructArray:
    return pa.StructArray.from_arrays(list(fields.values()), list(fields))
