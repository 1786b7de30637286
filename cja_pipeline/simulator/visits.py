"""What a visit leaves behind on a device: cookies, visit numbers, sign-ups and logins."""

from __future__ import annotations

import numpy as np

from .calendar import Calendar
from .columns import DAY, NEVER, Table, length, ranks_within, take
from .config import WorldConfig
from .names import mix
from .people import Block
from .web import ORIGIN

COOKIES_PER_DEVICE = 256


def with_cookies(
    config: WorldConfig, calendar: Calendar, block: Block, table: Table, rng: np.random.Generator
) -> Table:
    """Visits sorted by device and time, with cookie, number of the visit on it, and whether it is the
    first.

    cookie: device id * 256 + how many cookies the device had before; `touched`: time of the cookie's first
    visit.
    """
    order = np.lexsort((table["ts"], table["device"]))
    table = take(table, order)
    device, ts = table["device"], table["ts"]
    n = len(ts)
    fresh = np.r_[True, device[1:] != device[:-1]] if n else np.zeros(0, bool)
    gap = np.diff(ts, prepend=ts[:1]).astype(float) / DAY
    safari = block.browser[block.local(device)] == 0
    cleared = rng.random(n) < 1 - np.exp(-np.maximum(gap, 0) / config.devices["cookie_life_days"])
    cleared |= safari & (gap > config.devices["itp_days"])
    new = fresh | (cleared & ~fresh)
    ordinal = np.cumsum(new) - np.cumsum(new)[np.flatnonzero(fresh)][np.cumsum(fresh) - 1] if n else ts
    table["cookie"] = device * COOKIES_PER_DEVICE + np.minimum(ordinal, COOKIES_PER_DEVICE - 1)
    rank = ranks_within(table["cookie"])
    existing = block.people["arrival"][table["person"] - block.base] < 0
    kept = existing & (ordinal == 0) & (mix(device, 23) % np.uint64(100) < np.uint64(60))
    before = np.where(kept, 1 + (mix(device, 29) % np.uint64(6)).astype(np.int64), 0)
    table["number"] = (rank + 1 + before).astype(np.int32)
    table["first"] = (rank == 0) & ~kept
    heads = np.flatnonzero(rank == 0)
    group = np.cumsum(rank == 0) - 1
    earlier = (mix(device, 31) % np.uint64(80)).astype(np.int64) * DAY
    table["touched"] = (ts[heads][group] if n else ts) - np.where(kept, earlier + 3_600_000_000, 0)
    table["first_traffic"] = table["traffic"][heads][group] if n else table["traffic"]
    return table


def with_accounts(
    block: Block, table: Table, rng: np.random.Generator, login_early: float
) -> tuple[Table, np.ndarray]:
    """Add sign-up, login and remembered logins; also return when each person of the block got an account.

    signs_up: the account is made in this visit; login: 0 none, 1 early in the visit, 2 at the checkout, 3
    remembered. Needs cookies; returns the visits sorted by person and time.
    """
    order = np.lexsort((table["ts"], table["person"]))
    table = take(table, order)
    people, n = block.people, length(table)
    local = table["person"] - block.base
    draws = rng.random((n, 4))
    eligible = ~people["account"][local] & ~people["guest"][local]
    makes = eligible & (
        ((table["depth"] >= 4) & (draws[:, 0] < 0.8)) | ((table["depth"] >= 1) & (draws[:, 0] < 0.012))
    )
    makes &= table["origin"] != ORIGIN["test"]
    account_at = np.where(people["account"], -NEVER, NEVER)
    rows = np.flatnonzero(makes)[::-1]
    account_at[local[rows]] = table["ts"][rows]  # written in reverse order: the earliest visit wins
    signs_up = makes & (table["ts"] == account_at[local])
    has = table["ts"] > account_at[local]
    login = np.zeros(n, np.int8)
    login[has & (table["depth"] >= 1) & (draws[:, 1] < login_early)] = 1
    login[has & (login == 0) & (table["depth"] >= 4) & (draws[:, 2] < 0.88)] = 2
    login[has & (table["origin"] == ORIGIN["return"]) & (table["depth"] >= 1)] = 1
    # a cookie on which this person has logged in before often remembers them
    key = np.lexsort((table["ts"], table["person"], table["cookie"]))
    pair = table["cookie"][key] * 4 + (table["person"][key] % 4)
    known = (login[key] > 0) | signs_up[key]
    start = np.r_[True, pair[1:] != pair[:-1]] if n else np.zeros(0, bool)
    total = np.cumsum(known)
    seen_before = total - known - (total - known)[np.flatnonzero(start)][np.cumsum(start) - 1] if n else total
    remembered = np.zeros(n, bool)
    remembered[key] = seen_before > 0
    login[remembered & has & (draws[:, 3] < 0.4)] = 3
    table["signs_up"], table["login"] = signs_up, login
    return table, account_at
