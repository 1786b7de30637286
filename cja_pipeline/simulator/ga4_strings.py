"""All strings of the web analytics export of one world, in one pool, with the positions to look them up."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from .catalogue import SEARCHES, catalogue, pages
from .columns import length
from .life import Life, login_text, order_numbers
from .names import mix
from .steps import ERRORS
from .web import traffic_list

REFERRERS = {
    "google": "https://www.google.com/",
    "bing": "https://www.bing.com/",
    "duckduckgo": "https://duckduckgo.com/",
    "facebook": "https://l.facebook.com/",
    "instagram": "https://l.instagram.com/",
    "criteo": "https://ads.criteo.com/",
}
JUNK_LOGINS = ["undefined", "null", "0"]
HOSTILE = '<script>alert("x")</script> =HYPERLINK("https://evil.example")\u202e'
PAYMENTS = ["card", "paypal", "invoice", "sofort"]


class Vocabulary:
    """String pool and index arrays; attributes are positions (or arrays of positions) in `pool`."""

    def __init__(self, life: Life) -> None:
        self.life = life
        strings: list[str] = []

        def add(values: list[str]) -> int:
            start = len(strings)
            strings.extend(values)
            return start

        site, goods = pages(life.seed), catalogue(life.seed)
        origin = f"https://{life.config.host}"
        self.page_url = add([origin + path for path in site.paths])
        self.page_title = add(site.titles)
        kinds = np.zeros(len(site.paths), np.int32)
        for name, start in site.start.items():
            kinds[start:] = add([name])
        self.page_kind = kinds
        self.referrer = np.array(
            [self._referrer(add, source) for _, source, _, _ in traffic_list(life.config)]
        )
        self.no, self.yes = add(["0", "1"]), len(strings) - 1
        self.search = add(SEARCHES)
        self.method = add(["email"])
        self.share = add(["whatsapp", "copy_link", "email"])
        self.error = add(ERRORS)
        self.currency = add(list(life.config.exchange_rates))
        self.experiment = add([each.id for each in life.config.experiments])
        self.variant = add(["A", "B"])
        self.product_word = add(["product"])
        self.item = add(goods.ids)
        self.tier = add(["standard", "express"])
        self.payment = add(PAYMENTS)
        self.hostile = add([HOSTILE])
        web = np.flatnonzero(life.orders["visit"] >= 0)
        start = add(list(order_numbers(life)[web]))
        self.order_code = np.full(length(life.visits), -1, np.int64)
        self.order_code[life.orders["visit"][web]] = start + np.arange(len(web))
        self.pool = pa.array(strings)
        self._cookies()
        self._logins()

    @staticmethod
    def _referrer(add: Callable[[list[str]], int], source: str) -> int:
        url = REFERRERS.get(source, f"https://{source}/" if "." in source else "")
        return add([url]) if url else -1

    def _cookies(self) -> None:
        visits = self.life.visits
        cookies, first, position = np.unique(visits["cookie"], return_index=True, return_inverse=True)
        head = mix(cookies, self.life.seed * 2 + 1) % np.uint64(2_147_483_647)
        born = visits["touched"][first] // 1_000_000
        self.cookie_keys = cookies
        self.cookie_text = np.array([f"{h}.{b}" for h, b in zip(head.tolist(), born.tolist(), strict=True)])
        self.cookies = pa.array(self.cookie_text)
        self.cookie_of_visit = position

    def cookie_index(self, visit: np.ndarray, consent: np.ndarray) -> pa.Array:
        """Positions in `cookies`, null without consent."""
        return pa.array(self.cookie_of_visit[visit], mask=~consent)

    def _logins(self) -> None:
        visits, noise = self.life.visits, self.life.config.noise
        second = second_account(self.life, visits["person"]) & (
            mix(visits["ts"], 67) % np.uint64(10) < np.uint64(4)
        )
        key = visits["person"] * 2 + second
        has = (visits["login"] > 0) | visits["signs_up"] | (visits["robot"] > 1)
        keys, position = np.unique(np.where(has & (visits["person"] >= 0), key, -1), return_inverse=True)
        texts = [login_text(k // 2, bool(k % 2)) if k >= 0 else "" for k in keys.tolist()]
        self.logins = pa.array([*texts, *JUNK_LOGINS])
        junk = mix(visits["ts"], 71) % np.uint64(10_000) < np.uint64(int(noise["junk_login"] * 10_000))
        which = (mix(visits["ts"], 73) % np.uint64(len(JUNK_LOGINS))).astype(np.int64)
        self.login_of_visit = np.where(
            has, np.where(junk & (visits["robot"] == 0), len(texts) + which, position), -1
        )

    def login_index(self, visit: np.ndarray, known: np.ndarray, consent: np.ndarray) -> pa.Array:
        """Positions in `logins`, null where the person was not logged in or did not consent."""
        code = self.login_of_visit[visit]
        absent = (code < 0) | ~known | ~consent
        return pa.array(np.where(absent, 0, code), mask=absent)


def second_account(life: Life, person: np.ndarray) -> np.ndarray:
    """People with two accounts."""
    return mix(person, 61) % np.uint64(1000) < np.uint64(int(life.config.noise["second_account"] * 1000))
