"""The CRM's orders with all their versions: placed, delivered, cancelled, refunded."""

from __future__ import annotations

from typing import Any

import numpy as np

from .columns import DAY, MINUTE, NEVER, length, rng_for
from .crm_contacts import Contacts, contact_at
from .crm_versions import Version, course, iso
from .identity import Identities, chance
from .life import Life, identifiable
from .orders import SALES, currency_codes

TEST_EMAIL = "qa@nordlicht-outdoor.example"


def crm_times(life: Life) -> np.ndarray:
    """When each order reaches the CRM: minutes after it was placed, a few more than a day later."""
    rng = rng_for(life.seed, "crm_times")
    spec, n = life.config.orders, length(life.orders)
    delay = rng.exponential(spec.crm_delay_minutes, n) * MINUTE
    late = rng.random(n) < spec.crm_late
    delay = np.where(late, rng.uniform(1.1, 3.2, n) * DAY, delay) + 20_000_000
    moment = life.orders["at"] + delay.astype(np.int64)
    return moment - moment % 1000


def _money(cents: int) -> str:
    return f"{cents / 100:.2f}"


def order_versions(
    life: Life, identities: Identities, contacts: Contacts, numbers: np.ndarray, crm_at: np.ndarray
) -> tuple[list[Version], np.ndarray]:
    """Versions of all orders, and the CRM id of each order."""
    orders = life.orders
    rates = order_rates(life)
    ids = np.empty(length(orders), np.int64)
    ids[np.lexsort((numbers, crm_at))] = 520_214_000_000 + 53 * np.arange(length(orders))
    columns = list(orders)
    # at the till only a loyalty card says who is buying
    named = identifiable(life) & ~orders["test"]
    versions: list[Version] = []
    for i, values in enumerate(zip(*(orders[name].tolist() for name in columns), strict=True)):
        order = dict(zip(columns, values, strict=True))
        crm, person = int(crm_at[i]), order["person"]
        contact = contact_at(contacts, person, crm, 142) if named[i] else None
        state = _state(life, identities, order, str(numbers[i]), rates[i], crm)
        changes = _changes(order)
        versions += course(str(ids[i]), crm, contact, state, changes, life.calendar.finish)
    return versions, ids


def order_rates(life: Life) -> np.ndarray:
    """Exchange rate of each order as the CRM has it; NaN where it is missing."""
    orders = life.orders
    day = np.clip(life.calendar.day_of(orders["at"]), 0, life.rates.shape[1] - 1)
    rates = life.rates[orders["currency"], day]
    home = list(life.config.exchange_rates).index(life.currency)
    foreign = np.flatnonzero(orders["currency"] != home)
    rates[[row for row in foreign.tolist() if chance(row, 141, life.config.exchange_rate_missing)]] = np.nan
    return rates


def _state(
    life: Life, identities: Identities, order: dict[str, Any], number: str, rate: float, crm: int
) -> dict[str, str | None]:
    """The order as the CRM first sees it."""
    sales, test, person = SALES[order["sales"]], order["test"], order["person"]
    currency = currency_codes(life.config)[order["currency"]]
    discounts = list(life.config.orders.discounts)
    asked = person >= 0 and sales != "store" and not test
    email = TEST_EMAIL if test else identities.email_at(person, 0) if asked else None
    return {
        "hs_order_name": f"#{number}",
        "hs_external_order_id": number,
        "hs_external_order_status": "fulfilled" if sales == "store" else "open",
        "hs_payment_status": "paid",
        "hs_total_price": _money(order["gross"] - order["discount"]),
        "hs_order_discount": _money(order["discount"]),
        "hs_subtotal_price": _money(order["gross"]),
        "hs_refund_amount": None,
        "hs_currency_code": currency,
        "hs_exchange_rate": None if np.isnan(rate) else str(float(rate)),
        "hs_source_store": f"Nordlicht {sales.title()}",
        "sales_channel": sales,
        "hs_billing_address_email": email,
        "hs_billing_address_phone": identities.phone_at(person, 0) if asked else None,
        "hs_external_created_date": iso(order["at"]),
        "hs_createdate": iso(crm),
        "discount_code": discounts[order["code"]] if order["code"] >= 0 else None,
        "is_test": "true" if test else "false",
        "hs_is_canceled": "false",
    }


def _changes(order: dict[str, Any]) -> list[tuple[int, dict[str, str | None]]]:
    """What happens to the order afterwards."""
    changes: list[tuple[int, dict[str, str | None]]] = [(0, {})]
    if order["cancel_at"] < NEVER:
        state = {"hs_external_order_status": "cancelled", "hs_payment_status": "voided"}
        changes.append((order["cancel_at"], {**state, "hs_is_canceled": "true"}))
    elif SALES[order["sales"]] != "store":
        changes.append((order["delivered_at"], {"hs_external_order_status": "fulfilled"}))
    if order["refund"] > 0:
        whole = order["refund"] >= order["gross"] - order["discount"]
        status = "refunded" if whole else "partially_refunded"
        refund = {"hs_refund_amount": _money(order["refund"]), "hs_payment_status": status}
        changes.append((order["refund_at"], {**refund}))
    return changes
