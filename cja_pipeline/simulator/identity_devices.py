"""Cookies of the identity world: lost and made again, shared at home, in stores, and tried by machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .columns import rng_for

if TYPE_CHECKING:
    from .identity_people import People


def make_links(
    records: pd.DataFrame, person: np.ndarray, people: People, seed: int, rules: dict[str, Any]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Logins and orders on cookies (visitor_id, record_key, weight, seen), and the cookies (visitor_id,
    logins, logins_per_hour, owner: the person who uses it most, -1 where there is none, home: the household
    that shares it, else -1)."""
    rng = rng_for(seed, "devices")
    share = rules["devices"]
    n = len(people)
    own = rng.poisson(share["per_person"] - 1, n) + 1
    user = np.repeat(np.arange(n), rng.poisson(own * share["cookies_per_device"]))
    heads = np.flatnonzero((people.head == np.arange(n)) & (people.size > 1))
    heads = heads[rng.random(len(heads)) < share["shared_households"]]
    common = np.repeat(heads, rng.poisson(share["cookies_per_device"], len(heads)))
    account = _rows_of(records, person, "account", n)
    guest = _rows_of(records, person, "guest", n)
    parts = [_own(user, account, guest, people, rng, share, rules["emails"]["forwarded"], records, person)]
    at_home, main_user = _shared(common, len(user), account, people, rng, share["main_use"])
    parts.append(at_home)
    made = len(user) + len(common)
    holders = account[account >= 0]
    for machine, low_high, per_hour in (
        ("kiosk", share["kiosk_logins"], False),
        ("bot", share["bot_logins"], True),
    ):
        count = max(1, round(share[f"{machine}s_per_100k"] * n / 100_000)) if len(holders) > 50 else 0
        for _ in range(count):
            logins = min(int(rng.integers(low_high[0], low_high[1] + 1)), len(holders))
            rows = rng.choice(holders, logins, replace=False)
            parts.append(
                pd.DataFrame({"cookie": made, "row": rows, "weight": 1, "burst": logins if per_hour else 6})
            )
            made += 1
    links = pd.concat(parts, ignore_index=True)
    owner = np.full(made, -1)
    owner[: len(user)] = user
    owner[len(user) : len(user) + len(common)] = main_user
    home = np.full(made, -1)
    home[len(user) : len(user) + len(common)] = people.household[common]
    names = [f"v{number}" for number in range(made)]
    devices = pd.DataFrame({"visitor_id": names, "owner": owner, "home": home})
    by_cookie = links.groupby("cookie").agg(logins=("row", "nunique"), logins_per_hour=("burst", "max"))
    devices = devices.join(by_cookie).fillna({"logins": 0, "logins_per_hour": 0})
    devices = devices.astype({"logins": "int64", "logins_per_hour": "int64"})
    keys = records["record_key"].to_numpy()
    told = pd.DataFrame(
        {
            "visitor_id": devices["visitor_id"].to_numpy()[links["cookie"].to_numpy()],
            "record_key": keys[links["row"].to_numpy()],
            "weight": links["weight"].to_numpy(),
            "seen": rng.permutation(len(links)) * (len(records) / max(len(links), 1)),
        }
    )
    return told, devices


def _rows_of(records: pd.DataFrame, person: np.ndarray, kind: str, n: int) -> np.ndarray:
    """Row of each person's record of a kind, -1 without."""
    found = np.full(n, -1)
    rows = np.flatnonzero((records["kind"] == kind).to_numpy())
    found[person[rows]] = rows
    return found


def _own(
    user: np.ndarray,
    account: np.ndarray,
    guest: np.ndarray,
    people: People,
    rng: np.random.Generator,
    share: dict[str, float],
    forwarded: float,
    records: pd.DataFrame,
    person: np.ndarray,
) -> pd.DataFrame:
    cookies = np.arange(len(user))
    logs_in = (account[user] >= 0) & (rng.random(len(user)) < share["logs_in"])
    orders = (guest[user] >= 0) & (rng.random(len(user)) < share["guest_order"] / 3)
    # somebody of the household logs in on this device once
    mate = people.head[user] + rng.integers(0, 5, len(user)) % people.size[user]
    mate = np.minimum(mate, len(people) - 1)
    foreign = (mate != user) & (account[mate] >= 0) & (rng.random(len(user)) < share["foreign_login"])
    # a mail that was forwarded: the friend's cookie carries the subscriber's record
    mailed = np.flatnonzero((records["kind"] == "subscriber").to_numpy())
    clicks = np.flatnonzero(rng.random(len(user)) < forwarded * 0.2)
    sender = mailed[rng.integers(0, max(len(mailed), 1), len(clicks))] if len(mailed) else mailed
    clicks = clicks[: len(sender)]
    return pd.DataFrame(
        {
            "cookie": np.r_[cookies[logs_in], cookies[orders], cookies[foreign], clicks],
            "row": np.r_[account[user[logs_in]], guest[user[orders]], account[mate[foreign]], sender],
            "weight": np.r_[
                rng.geometric(0.25, logs_in.sum()),
                np.ones(orders.sum(), dtype=int),
                np.ones(foreign.sum(), dtype=int),
                np.ones(len(clicks), dtype=int),
            ],
            "burst": 1,
        }
    )


def _shared(
    common: np.ndarray,
    first: int,
    account: np.ndarray,
    people: People,
    rng: np.random.Generator,
    main_use: float,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Logins on the devices of a whole household, and who uses each most."""
    places = np.arange(5)
    size = people.size[common]
    member = np.minimum(common[:, None] + places, len(people) - 1)
    main = rng.integers(0, 5, len(common)) % size
    others = (1 - main_use) / np.maximum(size - 1, 1)
    use = np.where(places == main[:, None], main_use, others[:, None])
    visits = rng.poisson(6.0 * use)
    logins = np.where((places < size[:, None]) & (account[member] >= 0), visits, 0)
    row, place = np.nonzero(logins)
    found = pd.DataFrame(
        {
            "cookie": first + row,
            "row": account[member[row, place]],
            "weight": logins[row, place],
            "burst": 1,
        }
    )
    return found, member[np.arange(len(common)), main]
