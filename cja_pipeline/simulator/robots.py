"""Traffic that is not one person on one device: crawlers, credential stuffing, tablets in the stores.

`robot` of a visit: 0 person, 1 crawler, 2 credential bot, 3 store tablet (people, but many on one cookie).
"""

from __future__ import annotations

import numpy as np

from .calendar import Calendar
from .columns import HOUR, SECOND, Table, concat, expand, length, rng_for
from .config import WorldConfig
from .steps import E
from .web import traffic_list

ROBOT_DEVICE = 1 << 40  # device ids of robots start here, far above people's


def make_robots(
    config: WorldConfig, calendar: Calendar, seed: int, customers: int, joined: dict[str, Table]
) -> dict[str, Table]:
    """Visits and events of all robots of the world, in the shape of a block's tables."""
    rng = rng_for(seed, "robots")
    crawlers = max(1, round(length(joined["visits"]) * config.noise["bot_cookies"]))
    scale = customers / 20_000
    attackers = max(1, round(config.noise["credential_bots"] * scale))
    tablets = max(1, round(config.noise["kiosks"] * scale))
    members = np.flatnonzero(joined["account"]["at"] < 0)
    if len(members) < 10:
        attackers = tablets = 0
    parts = [_crawlers(calendar, rng, joined["visits"], crawlers)]
    parts += [_attack(calendar, rng, joined, members, 20_000 + k) for k in range(attackers)]
    parts += [_tablet(calendar, rng, joined, members, 30_000 + k) for k in range(tablets)]
    for part in parts:
        _dress(config, part["visits"])
    base = 0
    for part in parts:
        part["events"]["visit"] = part["events"]["visit"] + base
        base += length(part["visits"])
    return {name: concat([part[name] for part in parts]) for name in ("visits", "events")}


def _visits(like: Table, ts: np.ndarray, device: np.ndarray, person: np.ndarray, robot: int) -> Table:
    n = len(ts)
    table = {name: np.zeros(n, values.dtype) for name, values in like.items()}
    table["ts"], table["device"], table["person"] = ts, ROBOT_DEVICE + device, person
    table["cookie"] = table["device"] * 256
    table["number"] += 1
    table["touched"] = ts.copy()
    table["consent"][:] = True
    table["campaign"][:] = -1
    table["test"][:] = -1
    table["variant"][:] = -1
    table["cause"][:] = -1
    table["robot"][:] = robot
    return table


def _dress(config: WorldConfig, table: Table) -> None:
    kinds = [row[0] for row in traffic_list(config)]
    table["channel"][:] = list(config.channels).index("Direct")
    table["traffic"][:] = kinds.index("Direct")
    table["first_traffic"][:] = kinds.index("Direct")


def _events(
    visit: np.ndarray, ts: np.ndarray, name: np.ndarray, page: np.ndarray, known: np.ndarray
) -> Table:
    n = len(visit)
    return {
        "visit": visit.astype(np.int64),
        "ts": ts.astype(np.int64),
        "name": name.astype(np.int8),
        "page": page.astype(np.int16),
        "product": np.full(n, -1, np.int16),
        "engaged_ms": np.zeros(n, np.int32),
        "extra": np.zeros(n, np.int8),
        "entry": name == E["session_start"],
        "known": known,
    }


def _crawlers(calendar: Calendar, rng: np.random.Generator, like: Table, n: int) -> dict[str, Table]:
    ts = calendar.begin + (rng.random(n) * (calendar.finish - calendar.begin - 2 * HOUR)).astype(np.int64)
    table = _visits(like, ts, np.arange(n), np.full(n, -1), 1)
    table["category"][:], table["system"][:], table["browser"][:] = 1, 4, 1
    table["country"][:] = -1
    table["first"][:] = True
    counts = rng.integers(60, 260, n)
    visit, rank = expand(counts)
    pause = (rng.uniform(0.6, 2.2, len(visit)) * SECOND).astype(np.int64)
    total = np.cumsum(pause)
    starts = np.cumsum(counts) - counts
    at = ts[visit] + total - total[starts][visit]
    name = np.where(rank == 0, E["session_start"], E["page_view"])
    page = rng.integers(1, 240, len(visit))
    return {"visits": table, "events": _events(visit, at, name, page, np.zeros(len(visit), bool))}


def _attack(
    calendar: Calendar, rng: np.random.Generator, joined: dict[str, Table], members: np.ndarray, device: int
) -> dict[str, Table]:
    n = min(len(members) // 2, int(rng.integers(150, 400)))
    start = calendar.begin + int(rng.uniform(0.2, 0.8) * (calendar.history_end - calendar.begin))
    ts = start + np.cumsum((rng.uniform(1, 4, n) * SECOND).astype(np.int64))
    table = _visits(joined["visits"], ts, np.full(n, device), rng.choice(members, n, replace=False), 2)
    table["category"][:], table["system"][:], table["browser"][:] = 1, 4, 3
    table["country"][:] = -1
    table["number"] = np.ones(n, np.int32)
    table["touched"][:] = ts[0]
    visit, rank = expand(np.full(n, 2))
    name = np.where(rank == 0, E["page_view"], E["login"])
    page = np.full(len(visit), -1)
    return {"visits": table, "events": _events(visit, ts[visit] + rank * 300_000, name, page, rank == 1)}


def _tablet(
    calendar: Calendar, rng: np.random.Generator, joined: dict[str, Table], members: np.ndarray, device: int
) -> dict[str, Table]:
    n = min(len(members) // 2, int(rng.integers(15, 60)))
    day = rng.integers(0, calendar.total, n)
    ts = np.sort(calendar.edges[day] + (rng.uniform(10, 19, n) * HOUR).astype(np.int64))
    table = _visits(joined["visits"], ts, np.full(n, device), rng.choice(members, n, replace=False), 3)
    table["category"][:], table["system"][:], table["browser"][:] = 2, 0, 0
    table["number"] = np.arange(1, n + 1, dtype=np.int32)
    table["touched"][:] = ts[0]
    table["depth"][:] = 1
    visit, rank = expand(np.full(n, 5))
    names = np.array([E["session_start"], E["page_view"], E["login"], E["page_view"], E["user_engagement"]])
    name = names[rank]
    pause = np.array([0, 2_000, 14 * SECOND, 15 * SECOND, 40 * SECOND])
    page = np.where(rank < 3, -1, rng.integers(1, 200, len(visit)))
    events = _events(visit, ts[visit] + pause[rank], name, page, rank >= 2)
    events["engaged_ms"][name == E["user_engagement"]] = 22_000
    return {"visits": table, "events": events}
