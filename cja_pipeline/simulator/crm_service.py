"""The CRM's tickets and survey answers with all their versions."""

from __future__ import annotations

import numpy as np

from .catalogue import catalogue
from .columns import NEVER
from .crm_contacts import Contacts, contact_at
from .crm_versions import Version, course, iso
from .identity import Identities
from .life import Life
from .service import SURVEYS, TOPICS, VIA
from .texts import subject, text
from .web import drift_start

CATEGORIES = {
    "delivery": "DELIVERY",
    "returns": "RETURNS",
    "quality": "PRODUCT_ISSUE",
    "payment": "BILLING_ISSUE",
    "checkout": "CHECKOUT",
    "account": "ACCOUNT",
    "size": "PRODUCT_ISSUE",
    "praise": "GENERAL_INQUIRY",
}


def ticket_versions(life: Life, contacts: Contacts) -> list[Version]:
    """Versions of all tickets: new, closed, for some re-opened and closed again."""
    goods = catalogue(life.seed)
    languages = [c.language for c in life.config.countries.values()]
    drift_at = drift_start(life.config, life.calendar)
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
        changes: list[tuple[int, dict[str, str | None]]] = [
            (created, {}),
            (close, {"hs_pipeline_stage": "4", "closed_date": iso(close)}),
        ]
        if reopen < NEVER:
            changes.append((reopen, {"hs_pipeline_stage": "3", "closed_date": None}))
            changes.append((reclose, {"hs_pipeline_stage": "4", "closed_date": iso(reclose)}))
        contact = contact_at(contacts, person, created, 143)
        versions += course(
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
        versions += course(
            str(31_000_000_000 + 41 * number),
            at + 60_000_000,
            contact,
            state,
            [(at + 60_000_000, {})],
            life.calendar.finish,
        )
    return versions
