"""The CRM's orders, tickets and survey answers with all their versions, and the damaged ones among them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .catalogue import catalogue
from .columns import DAY, HOUR, MINUTE, NEVER, length, rng_for
from .crm_contacts import Contacts, iso
from .identity import Identities, chance, draw
from .life import Life
from .orders import SALES, currency_codes
from .service import SURVEYS, TOPICS, VIA
from .texts import subject, text
from .web import incident_window

Version = dict[str, Any]
CATEGORIES = {"delivery": "DELIVERY", "returns": "RETURNS", "quality": "PRODUCT_ISSUE", "payment": "BILLING_ISSUE", "checkout": "CHECKOUT", "account": "ACCOUNT", "size": "PRODUCT_ISSUE", "praise": "GENERAL_INQUIRY"}  # fmt: skip
TEST_EMAIL = "qa@nordlicht-outdoor.example"


def crm_times(life: Life) -> np.ndarray:
    """When each order reaches the CRM: minutes after it was placed, a few more than a day later."""
    rng = rng_for(life.seed, "crm_times")
    spec, n = life.config.orders, length(life.orders)
    delay = rng.exponential(spec["crm_delay_minutes"], n) * MINUTE  # type: ignore[arg-type]
    late = rng.random(n) < spec["crm_late"]
    delay = np.where(late, rng.uniform(1.1, 3.2, n) * DAY, delay) + 20_000_000
    moment = life.orders["at"] + delay.astype(np.int64)
    return moment - moment % 1000


def _money(cents: int) -> str:
    return f"{cents / 100:.2f}"


def contact_at(contacts: Contacts, person: int, moment: int, salt: int) -> str | None:
    """The contact that a record of a person hangs on: the duplicate takes some of those after it came to be."""
    other = contacts.duplicate.get(person)
    if other and moment >= other[1] and draw(person, salt) % 2 == 0:
        return other[0]
    return contacts.of_person.get(person)


def order_versions(
    life: Life, identities: Identities, contacts: Contacts, numbers: np.ndarray, crm_at: np.ndarray
) -> tuple[list[Version], np.ndarray]:
    """Versions of all orders, and the CRM id of each order."""
    orders, codes = life.orders, currency_codes(life.config)
    discounts = list(life.config.orders["discounts"])  # type: ignore[arg-type]
    day = life.calendar.day_of(orders["at"])
    rate = life.rates[orders["currency"], np.clip(day, 0, life.rates.shape[1] - 1)]
    ids = np.empty(length(orders), np.int64)
    ids[np.lexsort((numbers, crm_at))] = 520_214_000_000 + 53 * np.arange(length(orders))
    rows = {name: values.tolist() for name, values in orders.items()}
    versions: list[Version] = []
    for i, person in enumerate(rows["person"]):
        at, crm, sales = rows["at"][i], int(crm_at[i]), SALES[rows["sales"][i]]
        currency, test = codes[rows["currency"][i]], rows["test"][i]
        paid = rows["gross"][i] - rows["discount"][i]
        home = currency == life.currency
        missing = not home and chance(i, 141, life.config.exchange_rate_missing)
        contact = None if test or person < 0 else contact_at(contacts, person, crm, 142)
        email = (
            TEST_EMAIL
            if test
            else identities.email_at(person, 0)
            if person >= 0 and sales != "store"
            else None
        )
        state = {
            "hs_order_name": f"#{numbers[i]}",
            "hs_external_order_id": str(numbers[i]),
            "hs_external_order_status": "open",
            "hs_payment_status": "paid",
            "hs_total_price": _money(paid),
            "hs_order_discount": _money(rows["discount"][i]),
            "hs_subtotal_price": _money(rows["gross"][i]),
            "hs_refund_amount": None,
            "hs_currency_code": currency,
            "hs_exchange_rate": None if missing else "1.0" if home else str(rate[i]),
            "hs_source_store": "Nordlicht " + {"web": "Web", "store": "Store", "phone": "Phone"}[sales],
            "sales_channel": sales,
            "hs_billing_address_email": email,
            "hs_billing_address_phone": identities.phone_at(person, 0)
            if person >= 0 and sales != "store" and not test
            else None,
            "hs_external_created_date": iso(at),
            "hs_createdate": iso(crm),
            "discount_code": discounts[rows["code"][i]] if rows["code"][i] >= 0 else None,
            "is_test": "true" if test else "false",
            "hs_is_canceled": "false",
        }
        changes = [(crm, {})]
        if rows["cancel_at"][i] < NEVER:
            changes.append(
                (
                    rows["cancel_at"][i],
                    {
                        "hs_external_order_status": "cancelled",
                        "hs_payment_status": "voided",
                        "hs_is_canceled": "true",
                    },
                )
            )
        elif sales != "store":
            changes.append((rows["delivered_at"][i], {"hs_external_order_status": "fulfilled"}))
        if rows["refund"][i] > 0:
            status = "refunded" if rows["refund"][i] >= paid else "partially_refunded"
            changes.append(
                (
                    rows["refund_at"][i],
                    {"hs_refund_amount": _money(rows["refund"][i]), "hs_payment_status": status},
                )
            )
        if sales == "store":
            state["hs_external_order_status"] = "fulfilled"
        versions += _course(str(ids[i]), crm, contact, state, changes, life.calendar.finish)
    return versions, ids


def _course(
    id_: str, created: int, contact: str | None, state: dict[str, Any], changes: list, finish: int
) -> list[Version]:
    """Versions from a first state and later changes; simultaneous or earlier changes fold into one another."""
    result: list[Version] = []
    for moment, change in sorted(changes, key=lambda item: item[0]):
        state = state | change
        moment = max(moment - moment % 1000, created)
        if moment >= finish + 5 * DAY:
            break
        if result and result[-1]["visible_from"] == moment:
            result[-1]["properties"] = state
        else:
            result.append(
                {
                    "id": id_,
                    "visible_from": moment,
                    "created_at": created,
                    "archived": False,
                    "gone": False,
                    "contact_id": contact,
                    "properties": state,
                }
            )
    return result


def ticket_versions(life: Life, contacts: Contacts) -> list[Version]:
    """Versions of all tickets: new, closed, for some re-opened and closed again."""
    goods = catalogue(life.seed)
    languages = [c.language for c in life.config.countries.values()]
    drift = [i for i in life.config.incidents if i.kind == "drift"]
    drift_at = incident_window(life.calendar, drift[0])[0] if drift else NEVER
    rows = {name: values.tolist() for name, values in life.tickets.items()}
    order = np.argsort(life.tickets["at"], kind="stable").tolist()
    versions: list[Version] = []
    for number, i in enumerate(order):
        person, at, topic = rows["person"][i], rows["at"][i], TOPICS[rows["topic"][i]]
        created = at - at % 1000
        words = rows["words"][i]
        language = languages[life.people["country"][person]]
        body = text(topic, rows["feeling"][i], language, words, goods.names[words % len(goods.names)])
        category = "CHATBOT_HANDOVER" if created >= drift_at and words % 11 == 0 else CATEGORIES[topic]
        state = {
            "subject": subject(body),
            "content": body,
            "hs_ticket_category": category,
            "hs_ticket_priority": ["LOW", "MEDIUM", "HIGH"][rows["priority"][i]],
            "hs_pipeline_stage": "1",
            "createdate": iso(created),
            "closed_date": None,
            "source_type": VIA[rows["via"][i]],
            "hs_language": language,
        }
        close, reopen, reclose = rows["closed_at"][i], rows["reopened_at"][i], rows["reclosed_at"][i]
        changes = [(created, {}), (close, {"hs_pipeline_stage": "4", "closed_date": iso(close)})]
        if reopen < NEVER:
            changes.append((reopen, {"hs_pipeline_stage": "3", "closed_date": None}))
            changes.append((reclose, {"hs_pipeline_stage": "4", "closed_date": iso(reclose)}))
        contact = contact_at(contacts, person, created, 143)
        versions += _course(
            str(18_000_000_000 + 29 * number), created, contact, state, changes, life.calendar.finish
        )
    return versions


def survey_versions(
    life: Life, identities: Identities, contacts: Contacts, numbers: np.ndarray
) -> list[Version]:
    """Survey answers; each has one version."""
    goods = catalogue(life.seed)
    names = ["Nordlicht NPS", "After support", "After checkout"]
    rows = {name: values.tolist() for name, values in life.surveys.items()}
    order = np.argsort(life.surveys["at"], kind="stable").tolist()
    versions: list[Version] = []
    for number, i in enumerate(order):
        person, at, kind = rows["person"][i], rows["at"][i], rows["kind"][i]
        at -= at % 1000
        language = identities.language(person)
        words = rows["words"][i]
        topic = TOPICS[rows["topic"][i]]
        comment = (
            text(topic, rows["feeling"][i], language, words, goods.names[words % len(goods.names)])
            if rows["comments"][i]
            else None
        )
        state = {
            "hs_survey_type": SURVEYS[kind],
            "hs_survey_name": names[kind],
            "hs_value": str(rows["score"][i]),
            "hs_content": comment,
            "hs_submission_timestamp": iso(at),
            "hs_contact_email_rollup": identities.email_at(person, 1),
            "hs_language": language,
            "order_id": str(numbers[rows["order"][i]]) if rows["order"][i] >= 0 else None,
        }
        contact = contact_at(contacts, person, at, 144)
        versions += _course(
            str(31_000_000_000 + 41 * number),
            at + 60_000_000,
            contact,
            state,
            [(at + 60_000_000, {})],
            life.calendar.finish,
        )
    return versions


_DAMAGE: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "orders": [
        ("total_not_a_number", {"hs_total_price": "abc", "hs_subtotal_price": "abc"}),
        ("negative_total", {"hs_total_price": "-25.00", "hs_subtotal_price": "-25.00"}),
        ("impossible_date", {"hs_external_created_date": "2026-02-31T25:61:00Z"}),
        ("unknown_currency", {"hs_currency_code": "XXX"}),
    ],
    "contacts": [
        ("email_without_domain", {"email": "not-an-email", "phone": None}),
        ("future_creation", {"createdate": "2199-01-01T00:00:00.000Z"}),
        ("impossible_birth", {"date_of_birth": "1890-02-30"}),
    ],
    "tickets": [
        ("closed_before_created", {"closed_date": "2001-01-01T00:00:00.000Z"}),
        ("no_creation", {"createdate": None}),
    ],
    "feedback_submissions": [
        ("score_out_of_range", {"hs_value": "11"}),
        ("score_not_a_number", {"hs_value": "ten"}),
    ],
}


def damaged(life: Life, stream: str, versions: list[Version]) -> list[tuple[str, Version]]:
    """Extra objects of a stream that no good pipeline should take as they are: (kind of damage, version)."""
    rng = rng_for(life.seed, "damaged_" + stream)
    firsts = [
        v
        for v in versions
        if not v["archived"] and not v["gone"] and v["visible_from"] >= life.calendar.begin + DAY
    ]
    if not firsts:
        return []
    count = max(len(_DAMAGE[stream]), round(len(firsts) * 0.0015))
    result = []
    for k in range(count):
        kind, change = _DAMAGE[stream][k % len(_DAMAGE[stream])]
        like = firsts[int(rng.integers(len(firsts)))]
        at = like["visible_from"] + HOUR
        state = dict(like["properties"]) | change
        for key in (
            "hs_external_order_id",
            "hs_order_name",
            "order_id",
            "shop_login_id",
            "loyalty_id",
            "hs_merged_object_ids",
        ):
            if state.get(key):
                state[key] = f"X{k:05d}" if key.startswith("hs_external") else None
        if stream == "contacts" and kind != "email_without_domain":
            state["email"] = f"broken{k}@example.org"
        result.append(
            (
                kind,
                dict(like)
                | {
                    "id": str(99_000_000_000 + k),
                    "visible_from": at,
                    "created_at": at,
                    "contact_id": None,
                    "properties": state,
                },
            )
        )
    return result
