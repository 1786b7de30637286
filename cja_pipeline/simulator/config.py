"""The simulated world's settings, read from ``world.yml`` beside this file and validated.

A ``world.yml`` in the folder that `CJA_CONFIG` names replaces the shipped one as a whole.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from cja_pipeline.config import StrictModel, load_file
from cja_pipeline.settings import get_settings

SHIPPED = Path(__file__).parent / "world.yml"


class Country(StrictModel):
    """Share of the people, currency, language, consent to analytics, phone prefix."""

    weight: float
    currency: str
    language: str
    consent: float
    prefix: str


class Segment(StrictModel):
    """A kind of person: share, visits in 30 days, log-odds of a cart, opt-in, account and loyalty card."""

    weight: float
    visits: float
    cart: float
    optin: float
    account: float
    loyalty: float


class Channel(StrictModel):
    """Share of visits, tilt to people inclined to buy, and the true effect (log-odds of a cart)."""

    weight: float
    tilt: float
    effect: float


class Incident(StrictModel):
    """Something that went wrong from the position `at` (0..1 of the history) for `days` or `hours`."""

    name: str
    kind: str
    at: float
    days: float = 0
    hours: float = 0
    effect: float = 1.0
    provider: str | None = None


class Experiment(StrictModel):
    """A randomised test on half of the devices, between two positions of the history.

    `effect` is the log-odds that variant B adds to going to the checkout; `lost` the share of variant B's
    devices that never report having seen it, which makes the groups unequal.
    """

    id: str
    start: float
    to: float
    effect: float
    lost: float


class Funnel(StrictModel):
    """Probabilities of going on in a visit, and log-odds of filling a cart; by device where it matters."""

    engaged: float
    product: float
    cart: float
    propensity: float
    known_visitor: float
    checkout: dict[str, float]
    shipping: dict[str, float]
    payment: dict[str, float]
    purchase: dict[str, float]
    search: float
    login_early: float
    share: float


class Orders(StrictModel):
    """Shares of orders that are discounted, refunded, cancelled; store orders a person and month."""

    discount_share: float
    discounts: dict[str, float]
    tag_failure: float
    refund: float
    partial_refund: float
    refund_days: float
    cancel: float
    test: float
    guest: float
    crm_delay_minutes: float
    crm_late: float
    store: dict[str, float]
    store_unknown: float
    phone: float
    slow_delivery: float


class Email(StrictModel):
    """Newsletters and automatic messages, and what becomes of them."""

    campaign_weekdays: list[int]
    campaign_share: float
    holdout: float
    machine_open: float
    open: float
    click: float
    unsubscribe: float
    spam: float
    hard_bounce: float
    soft_bounce: float
    flows: dict[str, float]
    flow_open: float
    flow_click: float
    hash_only: float
    providers: dict[str, float]


class WorldConfig(StrictModel):
    """All of ``world.yml``; see the comments there for meanings."""

    host: str
    anonymous_per_customer: float
    countries: dict[str, Country]
    exchange_rates: dict[str, float]
    exchange_rate_missing: float
    segments: dict[str, Segment]
    existing_share: float
    churn_days: float
    households: dict[str, float]
    devices: dict[str, float]
    adblock: float
    weekday: list[float]
    hours: list[float]
    trend: float
    channels: dict[str, Channel]
    affiliate_capture: float
    traffic: dict[str, list[tuple[str, str, str, float]]]
    funnel: Funnel
    experiments: list[Experiment]
    orders: Orders
    reorder: dict[str, float]
    email: Email
    social: dict[str, float]
    service: dict[str, float]
    noise: dict[str, float]
    incidents: list[Incident]

    @property
    def fingerprint(self) -> str:
        """Hash of all settings: a world built from other settings is another world."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]


@lru_cache(maxsize=4)
def _load(path: Path) -> WorldConfig:
    return load_file(path, WorldConfig)


def world_config() -> WorldConfig:
    """The settings in use: the override in `CJA_CONFIG` if there is one, else the shipped file."""
    override = get_settings().config
    if override is not None and (override / "world.yml").exists():
        return _load(override / "world.yml")
    return _load(SHIPPED)


def quiet_config(config: WorldConfig) -> WorldConfig:
    """The same world in which nothing is wrong and nothing works: no incidents, no effects of channels,
    experiments or devices. Whatever a method finds there is a false alarm."""
    found = config.model_dump()
    found |= {"incidents": [], "affiliate_capture": 0.0}
    found["experiments"] = [test | {"effect": 0.0, "lost": 0.0} for test in found["experiments"]]
    found["channels"] = {
        name: channel | {"effect": 0.0, "tilt": 0.0} for name, channel in found["channels"].items()
    }
    for step in ("checkout", "shipping", "payment", "purchase"):
        rates = found["funnel"][step]
        found["funnel"][step] = dict.fromkeys(rates, sum(rates.values()) / len(rates))
    return WorldConfig.model_validate(found)
