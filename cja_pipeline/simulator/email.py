"""E-mails of the shop: newsletters and automatic messages, what people and machines do with them.

Event kinds: 0 received, 1 opened, 2 clicked, 3 bounced, 4 unsubscribed, 5 marked as spam. Columns: person,
ts, kind, campaign (position in `campaigns`), message (person and send, one id), machine, hard.
"""

from __future__ import annotations

import numpy as np

from .calendar import Calendar
from .columns import DAY, HOUR, MINUTE, NEVER, SECOND, Table, concat, length, take
from .config import WorldConfig
from .names import mix
from .people import Block
from .web import incident_window

FLOWS = ["welcome", "cart", "review"]
TOPICS = [
    ("New arrivals", "Neu eingetroffen"),
    ("Weekend trail ideas", "Touren fürs Wochenende"),
    ("Layers for cold days", "Schichten für kalte Tage"),
    ("Members save 15 %", "Mitglieder sparen 15 %"),
    ("Repair week", "Reparaturwoche"),
    ("Last sizes", "Letzte Größen"),
]
FLOW_SUBJECTS = {
    "welcome": ("Welcome to Nordlicht", "Willkommen bei Nordlicht"),
    "cart": ("You left something behind", "Da wartet noch etwas"),
    "review": ("How was it?", "Wie war's?"),
}


def campaigns(config: WorldConfig, calendar: Calendar) -> list[tuple[str, str, str, int]]:
    """(name, subject, German subject, send time or 0 for automatic messages) of every message."""
    rows = [(f"flow_{name}", *FLOW_SUBJECTS[name], 0) for name in FLOWS]
    weekdays = config.email.campaign_weekdays
    for day in range(calendar.total):
        if calendar.dates[day].weekday() in weekdays:
            k = len(rows)
            label = f"newsletter_{calendar.dates[day]:%Y_%m_%d}"
            rows.append((label, *TOPICS[k % 6], int(calendar.edges[day]) + 9 * HOUR))
    return rows


def provider_of(config: WorldConfig, person: np.ndarray) -> np.ndarray:
    """Position of each person's mail provider in the settings."""
    shares = np.cumsum(list(config.email.providers.values()))
    draw = (mix(person, 41) >> np.uint64(11)).astype(float) / float(1 << 53)
    return np.searchsorted(shares / shares[-1], draw, side="right").clip(0, len(shares) - 1)


def dead_address(config: WorldConfig, person: np.ndarray) -> np.ndarray:
    """People whose address no longer exists."""
    return mix(person, 43) % np.uint64(10_000) < np.uint64(int(config.email.hard_bounce * 10_000))


def _sends(
    config: WorldConfig, calendar: Calendar, block: Block, table: Table, rng: np.random.Generator
) -> Table:
    people = block.people
    subscriber = people["optin"] & ~people["holdout"]
    person, campaign, ts = [], [], []
    for number, (_, _, _, at) in enumerate(campaigns(config, calendar)):
        if not at:
            continue
        day = calendar.position(np.array([at]))[0]
        rows = np.flatnonzero(
            subscriber
            & (people["arrival"] < day)
            & (rng.random(len(subscriber)) < config.email.campaign_share)
        )
        person.append(people["person"][rows])
        campaign.append(np.full(len(rows), number))
        ts.append(at + (rng.random(len(rows)) * 40 * MINUTE).astype(np.int64))
    shares = config.email.flows
    local = table["person"] - block.base
    draw = rng.random(length(table))
    first = np.zeros(length(table), bool)
    first[np.unique(local, return_index=True)[1]] = True
    hello = first & subscriber[local] & (people["arrival"][local] >= 0) & (draw < shares["welcome"])
    cart = (
        (table["depth"] >= 3)
        & (table["depth"] < 7)
        & subscriber[local]
        & people["account"][local]
        & (draw < shares["cart"])
    )
    review = (table["depth"] == 7) & (draw < shares["review"])
    for number, (chosen, delay) in enumerate(((hello, 10 * MINUTE), (cart, 3 * HOUR), (review, 9 * DAY))):
        rows = np.flatnonzero(chosen)
        person.append(table["person"][rows])
        campaign.append(np.full(len(rows), number))
        ts.append(table["ts"][rows] + delay + (rng.random(len(rows)) * 20 * MINUTE).astype(np.int64))
    sends: Table = {
        "person": np.concatenate(person).astype(np.int64),
        "campaign": np.concatenate(campaign).astype(np.int16),
        "ts": np.concatenate(ts),
    }
    sends = take(sends, sends["ts"] < calendar.finish - HOUR)
    return take(sends, np.lexsort((sends["campaign"], sends["ts"], sends["person"])))


def make_email(
    config: WorldConfig, calendar: Calendar, block: Block, table: Table, rng: np.random.Generator
) -> Table:
    """All e-mail events of the block's people, given their visits sorted by person and time."""
    people, mail = block.people, config.email
    sends = _sends(config, calendar, block, table, rng)
    n = length(sends)
    person, ts, flow = sends["person"], sends["ts"], sends["campaign"] < len(FLOWS)
    local = person - block.base
    dead = dead_address(config, person)
    soft = rng.random(n) < mail.soft_bounce
    providers = list(mail.providers)
    at = provider_of(config, person)
    muffled = np.zeros(n, bool)
    for incident in config.incidents:
        if incident.kind == "email":
            since, until = incident_window(calendar, incident)
            hit = (ts >= since) & (ts < until) & (at == providers.index(incident.provider or ""))
            soft |= hit & (rng.random(n) < incident.effect)
            muffled |= hit
    keen = np.exp(0.5 * ((mix(person, 47) % np.uint64(1000)).astype(float) / 500 - 1))
    keen = np.where(people["segment"][local] == 0, keen * 0.8, keen)
    opens = rng.random(n) < np.clip(np.where(flow, mail.flow_open, mail.open) * keen, 0, 0.9)
    opens &= ~muffled | (rng.random(n) < 0.3)  # what arrives goes to the junk folder
    clicks = opens & (rng.random(n) < np.where(flow, mail.flow_click, mail.click))
    leaves = opens & (rng.random(n) < mail.unsubscribe / 0.3)
    spam = ~opens & (rng.random(n) < mail.spam)
    open_at = (
        ts + MINUTE + (np.exp(rng.normal(4.6, 1.5, n)) * MINUTE).clip(0, 9 * 1440 * MINUTE).astype(np.int64)
    )
    click_at = open_at + (rng.uniform(5, 150, n) * SECOND).astype(np.int64)
    gone = np.full(len(people["person"]), NEVER)
    rows = np.flatnonzero(leaves | spam)[::-1]
    gone[local[rows]] = open_at[rows]
    first_dead = dead & np.r_[True, person[1:] != person[:-1]] if n else dead
    sent = (ts <= gone[local]) & (~dead | first_dead)
    bounced = sent & (first_dead | soft)
    arrived = sent & ~bounced
    robot = arrived & people["machine_open"][local]
    message = mix(person * 1024 + sends["campaign"], 53) ^ mix(ts, 59)

    def events(mask: np.ndarray, when: np.ndarray, kind: int, machine: bool = False) -> Table:
        rows = np.flatnonzero(mask)
        return {
            "person": person[rows],
            "ts": when[rows],
            "kind": np.full(len(rows), kind, np.int8),
            "campaign": sends["campaign"][rows],
            "message": message[rows],
            "machine": np.full(len(rows), machine),
            "hard": dead[rows],
        }

    result = concat(
        [
            events(arrived, ts + (rng.random(n) * 50 * SECOND).astype(np.int64), 0),
            events(robot, ts + MINUTE + (rng.random(n) * 15 * MINUTE).astype(np.int64), 1, True),
            events(arrived & opens, open_at, 1),
            events(arrived & clicks, click_at, 2),
            events(bounced, ts + (rng.random(n) * 5 * MINUTE).astype(np.int64), 3),
            events(arrived & leaves, open_at + 2 * MINUTE, 4),
            events(arrived & spam, open_at, 5),
        ]
    )
    return take(result, result["ts"] < calendar.finish)
