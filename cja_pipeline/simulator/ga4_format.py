"""Measured events in the schema of Google Analytics' BigQuery export, as Arrow tables.

Schema source: Google's documentation of the export (events_YYYYMMDD). Nested columns are built from offsets
and flat children, never row by row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from .arrow import choose, same, struct, struct_or_null
from .catalogue import catalogue, pages
from .columns import Table, length
from .email import campaigns
from .ga4_items import ecommerce, items
from .ga4_params import event_params
from .ga4_strings import Vocabulary
from .life import Life
from .names import CITIES
from .people import BROWSERS, CATEGORIES, SYSTEMS
from .steps import NAMES, E
from .tracking import DAMAGE
from .web import drift_start, traffic_list

LANGUAGES = ["en-us", "de-de", "de-at", "de-ch", "en-gb", "nl-nl"]
COUNTRIES = {
    "DE": "Germany",
    "AT": "Austria",
    "CH": "Switzerland",
    "GB": "United Kingdom",
    "NL": "Netherlands",
}
RENAMED = "scroll_depth"  # the name of some scroll events after the schema drift


class Formatter:
    """Turns measured rows of one world into export rows; lookups are built once.

    Per visit: subtotal and paid (money), line_count and line_start (cart lines in `line_order`), currency,
    active (engaged), first_event (row of its first event).
    """

    def __init__(self, life: Life, words: Vocabulary) -> None:
        self.life, self.words = life, words
        self.goods, self.pages = catalogue(life.seed), pages(life.seed)
        visits, carts, orders = life.visits, life.carts, life.orders
        n = length(visits)
        cents = np.round(self.goods.price[carts["product"]] * carts["quantity"] * 100)
        self.subtotal = np.bincount(carts["visit"], weights=cents, minlength=n) / 100
        self.line_count = np.bincount(carts["visit"], minlength=n)
        self.line_start = np.cumsum(self.line_count) - self.line_count
        self.line_order = np.argsort(carts["visit"], kind="stable")
        self.paid = self.subtotal.copy()
        web = np.flatnonzero(orders["visit"] >= 0)
        self.paid[orders["visit"][web]] = (orders["gross"] - orders["discount"])[web] / 100
        codes = list(life.config.exchange_rates)
        home = [codes.index(country.currency) for country in life.config.countries.values()]
        known = visits["country"] >= 0
        self.currency = np.zeros(n, np.int64)
        self.currency[known] = np.array(home)[visits["country"][known]]
        self.traffic = traffic_list(life.config)
        self.campaigns = [row[0] for row in campaigns(life.config, life.calendar)]
        self.drift_at = drift_start(life.config, life.calendar)
        self.active = _engaged_visits(life)
        visit = life.events["visit"]
        self.first_event = np.full(n, len(visit), np.int64)
        self.first_event[visit[::-1]] = np.arange(len(visit))[::-1]

    def table(self, rows: Table) -> pa.Table:
        """Export rows for measured rows (see `tracking.measure`), in the given order."""
        events, visits, words = self.life.events, self.life.visits, self.words
        event = rows["event"]
        visit = events["visit"][event]
        name = events["name"][event].astype(np.int64)
        ts = rows["ts"].copy()
        ts[rows["damage"] == DAMAGE.index("zero_timestamp")] = 0
        ts[rows["damage"] == DAMAGE.index("far_future")] += 400 * 86_400_000_000
        consent = visits["consent"][visit]
        since_first = event - self.first_event[visit]
        columns: dict[str, Any] = {
            "event_date": choose(self.life.calendar.labels.tolist(), rows["day"]),
            "event_timestamp": pa.array(ts),
            "event_name": self._names(rows, event, name),
            "event_params": event_params(self, rows, event, visit, name, consent),
            "event_bundle_sequence_id": pa.array(
                (visits["ts"][visit] // 1000 + visits["number"][visit]) % 2_000_000_011
            ),
            "event_server_timestamp_offset": pa.array(rows["offset"]),
            "user_id": words.logins.take(words.login_index(visit, events["known"][event], consent)),
            "user_pseudo_id": words.cookies.take(words.cookie_index(visit, consent)),
            "privacy_info": struct(
                analytics_storage=choose(["No", "Yes"], consent.astype(np.int8)),
                ads_storage=choose(["No", "Yes"], (consent & visits["optin"][visit]).astype(np.int8)),
                uses_transient_token=same("No", len(event)),
            ),
            "user_first_touch_timestamp": pa.array(visits["touched"][visit], mask=~consent),
            "device": self._device(visit),
            "geo": self._geo(visit),
            "traffic_source": self._first_touch(visit, ~consent),
            "stream_id": same("4400100200", len(event)),
            "platform": same("WEB", len(event)),
            "ecommerce": ecommerce(self, rows, visit, name),
            "items": items(self, event, visit, name),
            "collected_traffic_source": self._collected(event, visit),
            "is_active_user": pa.array(self.active[visit]),
            "batch_event_index": pa.array(since_first % 20 + 1),
            "batch_page_id": pa.array(np.where(consent, ts // 1000, 0), mask=~consent),
            "batch_ordering_id": pa.array(since_first // 20 + 1),
        }
        return pa.table(columns)

    def _names(self, rows: Table, event: np.ndarray, name: np.ndarray) -> pa.Array:
        renamed = (name == E["scroll"]) & (rows["ts"] >= self.drift_at)
        renamed &= event % 1000 < self.life.config.noise["new_event"] * 1000
        codes = np.where(renamed, len(NAMES), name)
        return choose([*NAMES, RENAMED], codes, rows["damage"] == DAMAGE.index("no_event_name"))

    def _device(self, visit: np.ndarray) -> pa.Array:
        visits, n = self.life.visits, len(visit)
        return struct(
            category=choose(CATEGORIES, visits["category"][visit]),
            operating_system=choose(SYSTEMS, visits["system"][visit]),
            language=choose(LANGUAGES, visits["country"][visit].astype(np.int64) + 1),
            is_limited_ad_tracking=same("No", n),
            web_info=struct(
                browser=choose(BROWSERS, visits["browser"][visit]),
                browser_version=same("138.0", n),
                hostname=same(self.life.config.host, n),
            ),
        )

    def _geo(self, visit: np.ndarray) -> pa.Array:
        visits = self.life.visits
        country = visits["country"][visit].astype(np.int64) + 1
        codes = list(self.life.config.countries)
        starts = np.cumsum([1, *[len(CITIES[code]) for code in codes]])
        cities = ["Ashburn", *[city for code in codes for city, _ in CITIES[code]]]
        place = np.where(country > 0, np.r_[0, starts[:-1]][country] + visits["city"][visit], 0)
        return struct(
            continent=choose(["Americas", "Europe"], (country > 0).astype(np.int8)),
            country=choose(["United States", *[COUNTRIES.get(code, code) for code in codes]], country),
            city=choose(cities, place),
        )

    def _first_touch(self, visit: np.ndarray, absent: np.ndarray) -> pa.Array:
        traffic = self.life.visits["first_traffic"][visit]
        return struct_or_null(
            absent,
            name=choose([row[3] or "(direct)" for row in self.traffic], traffic),
            medium=choose([row[2] for row in self.traffic], traffic),
            source=choose([row[1] for row in self.traffic], traffic),
        )

    def _collected(self, event: np.ndarray, visit: np.ndarray) -> pa.Array:
        """Traffic source of the events that carry one: the first of a visit, unless it came directly."""
        visits = self.life.visits
        traffic, sent = visits["traffic"][visit], visits["campaign"][visit].astype(np.int64)
        direct = np.array([row[1] == "(direct)" for row in self.traffic])[traffic]
        names = [row[3] or None for row in self.traffic]
        return struct_or_null(
            ~self.life.events["entry"][event] | direct,
            manual_campaign_name=choose(
                [*names, *self.campaigns], np.where(sent >= 0, len(names) + sent, traffic)
            ),
            manual_source=choose([row[1] for row in self.traffic], traffic),
            manual_medium=choose([row[2] for row in self.traffic], traffic),
        )


def _engaged_visits(life: Life) -> np.ndarray:
    """Engaged as web analytics has it: ten seconds, two pages, or a purchase."""
    events, n = life.events, length(life.visits)
    views = np.bincount(events["visit"][events["name"] == E["page_view"]], minlength=n)
    time = np.bincount(events["visit"], weights=events["engaged_ms"], minlength=n)
    return (views >= 2) | (time >= 10_000) | (life.visits["depth"] == 7)
