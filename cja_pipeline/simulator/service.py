"""Customer care: tickets with their course, and answers to NPS, CSAT and CES surveys.

Tickets: person, at, topic, feeling (-1, 0, 1), order (row or -1), closed_at, reopened_at, reclosed_at
(NEVER where not), priority (0..2), via (position in `VIA`), chat_drift. Surveys: person, at, kind (0 NPS, 1
CSAT, 2 CES), score, order (row or -1), topic, feeling.
"""

from __future__ import annotations

import numpy as np

from .calendar import Calendar
from .columns import DAY, HOUR, MINUTE, NEVER, Table, concat, length, take
from .config import WorldConfig
from .people import Block

TOPICS = ["delivery", "returns", "quality", "payment", "checkout", "account", "size", "praise"]
VIA = ["EMAIL", "CHAT", "FORM", "PHONE"]
SURVEYS = ["NPS", "CSAT", "CES"]


def make_tickets(
    config: WorldConfig,
    calendar: Calendar,
    block: Block,
    visits: Table,
    orders: Table,
    rng: np.random.Generator,
) -> Table:
    """Tickets of the block's people about orders, about visits that failed, and plain questions."""
    care = config.service
    real = (orders["person"] >= 0) & ~orders["test"]
    u = rng.random(length(orders))
    late = np.flatnonzero(real & orders["slow"] & (u < care["ticket_late_delivery"]))
    other = np.flatnonzero(real & ~orders["slow"] & (u < care["ticket_per_order"]))
    stuck = np.flatnonzero(visits["stopped"] & (rng.random(length(visits)) < care["ticket_checkout_bug"]))
    asks = np.flatnonzero((visits["depth"] >= 1) & (rng.random(length(visits)) < care["ticket_per_visit"]))
    topic = np.array([1, 1, 2, 2, 3, 6, 0])[rng.integers(0, 7, len(other))]
    parts = [
        _ticket(
            orders["person"][late],
            orders["at"][late] + (rng.uniform(5, 9, len(late)) * DAY).astype(np.int64),
            0,
            -1,
            late,
        ),
        _ticket(
            orders["person"][other],
            orders["at"][other] + (rng.uniform(1, 12, len(other)) * DAY).astype(np.int64),
            topic,
            np.where(rng.random(len(other)) < 0.7, -1, 0),
            other,
        ),
        _ticket(
            visits["person"][stuck],
            visits["ts"][stuck] + (rng.uniform(0.3, 6, len(stuck)) * HOUR).astype(np.int64),
            4,
            -1,
            np.full(len(stuck), -1),
        ),
        _ticket(
            visits["person"][asks],
            visits["ts"][asks] + (rng.uniform(0.1, 3, len(asks)) * HOUR).astype(np.int64),
            np.array([5, 6, 3, 0, 7])[rng.integers(0, 5, len(asks))],
            0,
            np.full(len(asks), -1),
        ),
    ]
    table = concat(parts)
    table = take(table, table["at"] < calendar.finish - HOUR)
    n = length(table)
    table["feeling"] = np.where(table["topic"] == 7, 1, table["feeling"]).astype(np.int8)
    hours = rng.gamma(1.3, care["resolution_hours"] / 1.3, n) * np.where(table["topic"] == 4, 1.6, 1.0)
    table["hours"] = hours
    table["closed_at"] = table["at"] + (np.maximum(hours, 0.2) * HOUR).astype(np.int64)
    again = rng.random(n) < care["reopen"]
    table["reopened_at"] = np.where(
        again, table["closed_at"] + (rng.uniform(0.3, 4, n) * DAY).astype(np.int64), NEVER
    )
    table["reclosed_at"] = np.where(
        again, table["reopened_at"] + (rng.gamma(1.3, 15, n) * HOUR).astype(np.int64) + HOUR, NEVER
    )
    table["priority"] = np.where(
        np.isin(table["topic"], [3, 4]), 2, np.where(table["feeling"] < 0, 1, 0)
    ).astype(np.int8)
    table["via"] = rng.choice(4, n, p=[0.45, 0.25, 0.2, 0.1]).astype(np.int8)
    table["words"] = rng.integers(0, 1 << 30, n)
    return table


def _ticket(
    person: np.ndarray, at: np.ndarray, topic: np.ndarray | int, feeling: np.ndarray | int, order: np.ndarray
) -> Table:
    n = len(person)
    return {
        "person": np.asarray(person, np.int64),
        "at": np.asarray(at, np.int64),
        "topic": np.broadcast_to(np.asarray(topic, np.int8), n).copy(),
        "feeling": np.broadcast_to(np.asarray(feeling, np.int8), n).copy(),
        "order": np.asarray(order, np.int64),
    }


def make_surveys(
    config: WorldConfig,
    calendar: Calendar,
    block: Block,
    orders: Table,
    tickets: Table,
    rng: np.random.Generator,
) -> Table:
    """Answers of the block's people; NPS falls with slow parcels and refunds, CSAT with the hours a ticket
    took.
    """
    care, people = config.service, block.people
    asked = np.flatnonzero(
        (orders["person"] >= 0)
        & ~orders["test"]
        & (orders["delivered_at"] < NEVER)
        & (rng.random(length(orders)) < care["nps_invited"])
    )
    local = orders["person"][asked] - block.base
    joy = people["satisfaction"][local] - 1.1 * orders["slow"][asked] - 0.5 * (orders["refund"][asked] > 0)
    answers = rng.random(len(asked)) < care["nps_response"] * (0.75 + 0.35 * np.abs(joy)).clip(0, 1.8)
    asked, joy = asked[answers], joy[answers]
    latent = joy + 0.55 * rng.standard_normal(len(joy))
    edges = np.array([-2.9, -2.6, -2.3, -2.0, -1.75, -1.5, -1.15, -0.78, -0.16, 0.58])
    nps = _survey(
        orders["person"][asked],
        orders["delivered_at"][asked] + (rng.uniform(2, 9, len(asked)) * DAY).astype(np.int64),
        0,
        np.searchsorted(edges, latent),
        asked,
        latent,
    )
    ease = np.flatnonzero(
        (orders["sales"] == 0)
        & (orders["person"] >= 0)
        & ~orders["test"]
        & (rng.random(length(orders)) < care["ces_response"])
    )
    feel = 0.6 * people["satisfaction"][orders["person"][ease] - block.base] + 0.8 * rng.standard_normal(
        len(ease)
    )
    ces = _survey(
        orders["person"][ease],
        orders["at"][ease] + (rng.uniform(1, 40, len(ease)) * MINUTE).astype(np.int64),
        2,
        np.searchsorted([-2.2, -1.8, -1.3, -0.8, -0.2, 0.6], feel) + 1,
        ease,
        feel,
    )
    done = np.flatnonzero((tickets["person"] >= 0) & (rng.random(length(tickets)) < care["csat_response"]))
    mood = (
        0.5 * people["satisfaction"][tickets["person"][done] - block.base]
        - 0.028 * (tickets["hours"][done] - 20)
        + 0.7 * rng.standard_normal(len(done))
    )
    csat = _survey(
        tickets["person"][done],
        tickets["closed_at"][done] + (rng.uniform(0.2, 30, len(done)) * HOUR).astype(np.int64),
        1,
        np.searchsorted([-1.7, -1.1, -0.5, 0.35], mood) + 1,
        tickets["order"][done],
        mood,
    )
    csat["topic"] = tickets["topic"][done]
    table = concat([nps, csat, ces])
    table["words"] = rng.integers(0, 1 << 30, length(table))
    table["comments"] = rng.random(length(table)) < 0.45 + 0.25 * (table["feeling"] != 0)
    return take(table, table["at"] < calendar.finish - HOUR)


def _survey(
    person: np.ndarray, at: np.ndarray, kind: int, score: np.ndarray, order: np.ndarray, mood: np.ndarray
) -> Table:
    n = len(person)
    return {
        "person": np.asarray(person, np.int64),
        "at": np.asarray(at, np.int64),
        "kind": np.full(n, kind, np.int8),
        "score": np.asarray(score, np.int8),
        "order": np.asarray(order, np.int64),
        "topic": np.where(mood < -1.0, 0, np.where(mood > 0.4, 7, 2)).astype(np.int8),
        "feeling": np.where(mood < -0.9, -1, np.where(mood > 0.3, 1, 0)).astype(np.int8),
    }
