"""Visits of the shop: when they happen, through which channel and on which device; detours and returns."""

from __future__ import annotations

import numpy as np

from .calendar import Calendar
from .columns import MINUTE, NEVER, Table, concat, expand, expit, length, pick, take
from .config import Incident, WorldConfig
from .names import mix
from .people import Block

DEPTH = {
    "left": 0,
    "engaged": 1,
    "product": 2,
    "cart": 3,
    "checkout": 4,
    "shipping": 5,
    "payment": 6,
    "bought": 7,
}
ORIGIN = {"own": 0, "email": 1, "return": 2, "reorder": 3, "voucher": 4, "test": 5}


def traffic_list(config: WorldConfig) -> list[tuple[str, str, str, str]]:
    """(channel, source, medium, campaign) of every kind of traffic; visits refer to it by position."""
    return [
        (channel, source, medium, campaign)
        for channel, rows in config.traffic.items()
        for source, medium, campaign, _ in rows
    ]


def incident_window(calendar: Calendar, incident: Incident) -> tuple[int, int]:
    """First moment and first moment after, UTC microseconds; days are whole business days, hours start at
    10:00.
    """
    first = min(int(incident.at * calendar.days), calendar.days - 1)
    if incident.hours:
        since = int(calendar.edges[first]) + 10 * 60 * MINUTE
        return since, since + int(incident.hours * 60 * MINUTE)
    last = min(first + max(int(incident.days), 0), calendar.total)
    return int(calendar.edges[first]), int(calendar.edges[last])


def drift_start(config: WorldConfig, calendar: Calendar) -> int:
    """When the vendors' schemas change (UTC microseconds; far away if they never do)."""
    drifts = [incident for incident in config.incidents if incident.kind == "drift"]
    return incident_window(calendar, drifts[0])[0] if drifts else int(NEVER)


def own_visits(config: WorldConfig, calendar: Calendar, block: Block, rng: np.random.Generator) -> Table:
    """Visits that people make of their own accord or through media."""
    people = block.people
    since = np.maximum(people["arrival"], 0.0)
    until = np.minimum(people["departure"], calendar.total)
    counts = rng.poisson(people["visits"] * np.maximum(until - since, 0.0))
    new = people["arrival"] >= 0
    rows, rank = expand(counts + new)
    share = rng.random(len(rows))
    position = calendar.rhythm(share, since[rows], until[rows])
    # the visit that makes a newcomer known to the shop follows the daily rhythm of the arrival day too
    hour = calendar.rhythm(share, np.zeros(len(rows)), np.full(len(rows), 7.0)) % 1.0
    position = np.where(new[rows] & (rank == 0), np.floor(since[rows]) + hour, position)
    ts = calendar.moment(position)
    channel = _channels(config, people["inclination"][rows], rng)
    return visits(config, block, people["person"][rows], ts, channel, "own", rng)


def _channels(config: WorldConfig, inclination: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    weights = np.array([max(c.weight, 1e-12) for c in config.channels.values()])
    tilts = np.array([c.tilt for c in config.channels.values()])
    scores = (
        np.log(weights)[None, :]
        + tilts[None, :] * inclination[:, None]
        + rng.gumbel(size=(len(inclination), len(weights)))
    )
    return np.argmax(scores, axis=1)


def visits(
    config: WorldConfig,
    block: Block,
    person: np.ndarray,
    ts: np.ndarray,
    channel: np.ndarray,
    origin: str,
    rng: np.random.Generator,
    campaign: np.ndarray | None = None,
) -> Table:
    """A table of visits with device and traffic drawn; depth is decided later."""
    n = len(person)
    local = person - block.base
    shared = block.people["shared"][local]
    second = rng.random(n) < config.devices["second_use"]
    has_second = mix(person, 11) % np.uint64(1000) < np.uint64(int(config.devices["second_device"] * 1000))
    device = person * 4 + (second & has_second)
    device = np.where((shared >= 0) & (rng.random(n) < config.devices["shared_use"]), shared, device)
    traffic = np.zeros(n, np.int16)
    offset = 0
    for index, name in enumerate(config.channels):
        kinds = config.traffic[name]
        rows = np.flatnonzero(channel == index)
        traffic[rows] = offset + pick(rng, [kind[3] for kind in kinds], len(rows))
        offset += len(kinds)
    return {
        "person": person.astype(np.int64),
        "ts": ts.astype(np.int64),
        "device": device.astype(np.int64),
        "channel": channel.astype(np.int8),
        "traffic": traffic,
        "campaign": np.full(n, -1, np.int16) if campaign is None else campaign.astype(np.int16),
        "origin": np.full(n, ORIGIN[origin], np.int8),
        "draws": rng.random((n, 7)).astype(np.float32),
    }


def voucher_detours(config: WorldConfig, block: Block, table: Table, rng: np.random.Generator) -> Table:
    """Buyers who leave the cart, fetch a voucher and come back through an affiliate: credit without effect.

    The decision to buy is made before the channel appears; the first visit keeps its channel and ends with
    a cart.
    """
    bought = np.flatnonzero((table["depth"] == 7) & (table["origin"] != ORIGIN["test"]))
    chosen = bought[rng.random(len(bought)) < config.affiliate_capture]
    second = take(table, chosen)
    n = len(chosen)
    channel = list(config.channels).index("Affiliates")
    traffic = [row[0] for row in traffic_list(config)].index("Affiliates")
    second["ts"] = second["ts"] + (rng.uniform(45, 200, n) * MINUTE).astype(np.int64)
    second["channel"][:] = channel
    second["traffic"][:] = traffic
    second["campaign"][:] = -1
    second["origin"][:] = ORIGIN["voucher"]
    table["depth"][chosen] = DEPTH["cart"]
    table["cause"][chosen] = -1
    table["nudged"][chosen] = False
    return concat([table, second])


def after_purchase(
    config: WorldConfig, calendar: Calendar, block: Block, table: Table, rng: np.random.Generator
) -> Table:
    """Visits that follow an order: looking after the parcel, and coming back for more when satisfied."""
    bought = take(table, table["depth"] == 7)
    n = length(bought)
    local = bought["person"] - block.base
    content = expit(block.people["satisfaction"][local] * 1.1)
    direct = list(config.channels).index("Direct")
    looks, _ = expand(rng.poisson(0.9, n))
    look_at = bought["ts"][looks] + (rng.uniform(0.4, 7.0, len(looks)) * 1440 * MINUTE).astype(np.int64)
    again = np.flatnonzero(rng.random(n) < config.reorder["base"] + config.reorder["satisfied"] * content)
    gap = rng.gamma(2.0, config.reorder["days"] / 2.0, len(again)) + 2.0
    again_at = bought["ts"][again] + (gap * 1440 * MINUTE).astype(np.int64)
    again_at = calendar.moment(
        calendar.rhythm(
            rng.random(len(again)),
            np.floor(calendar.position(again_at)),
            np.floor(calendar.position(again_at)) + 1,
        )
    )
    parts = [
        visits(config, block, bought["person"][looks], look_at, np.full(len(looks), direct), "return", rng),
        visits(
            config,
            block,
            bought["person"][again],
            again_at,
            _channels(config, block.people["inclination"][local[again]], rng),
            "reorder",
            rng,
        ),
    ]
    more = concat(parts)
    return take(more, more["ts"] < calendar.finish - MINUTE)
