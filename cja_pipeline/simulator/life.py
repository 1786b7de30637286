"""One world in memory: all blocks lived through and joined, before any vendor sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .calendar import Calendar
from .columns import NEVER, Table, concat, length, rng_for, take
from .config import WorldConfig
from .decisions import decide
from .email import make_email
from .events import make_carts, make_events
from .orders import daily_rates, make_orders
from .people import Block, blocks_of, make_people
from .robots import make_robots
from .service import make_surveys, make_tickets
from .visits import with_accounts, with_cookies
from .web import ORIGIN, after_purchase, own_visits, visits, voucher_detours

Progress = Callable[[str, int], None] | None


@dataclass
class Life:
    """True state of the world; tables as dictionaries of arrays (see the modules that make them).

    Rows refer to one another by position: event -> visit, cart line -> visit, order -> visit, ticket ->
    order.
    """

    config: WorldConfig
    calendar: Calendar
    seed: int
    currency: str
    people: Table
    category: np.ndarray
    system: np.ndarray
    browser: np.ndarray
    account_at: np.ndarray
    visits: Table
    carts: Table
    events: Table
    orders: Table
    email: Table
    tickets: Table
    surveys: Table
    rates: np.ndarray


def _live_block(config: WorldConfig, calendar: Calendar, seed: int, block: Block) -> dict[str, Table]:
    rng = rng_for(seed, "life", block.number)
    own = voucher_detours(
        config, block, decide(config, calendar, block, own_visits(config, calendar, block, rng)), rng
    )
    more = after_purchase(config, calendar, block, own, rng)
    more = voucher_detours(config, block, decide(config, calendar, block, more), rng)
    all_visits = concat([own, more])
    all_visits = take(all_visits, np.lexsort((all_visits["ts"], all_visits["person"])))
    mails = make_email(config, calendar, block, all_visits, rng)
    clicks = take(mails, mails["kind"] == 2)
    channel = np.full(length(clicks), list(config.channels).index("Email"))
    landed = visits(
        config, block, clicks["person"], clicks["ts"] + 3_000_000, channel, "email", rng, clicks["campaign"]
    )
    landed = voucher_detours(config, block, decide(config, calendar, block, landed), rng)
    all_visits = concat([all_visits, landed])
    del all_visits["draws"]
    all_visits = take(all_visits, all_visits["ts"] < calendar.finish)
    all_visits = with_cookies(config, calendar, block, all_visits, rng)
    all_visits, account_at = with_accounts(block, all_visits, rng, float(config.funnel.login_early))
    main, carts = make_carts(seed, all_visits, rng)
    events, purchase_at = make_events(config, seed, all_visits, main, carts, rng)
    orders = make_orders(config, calendar, seed, block, all_visits, purchase_at, carts, rng)
    tickets = make_tickets(config, calendar, block, all_visits, orders, rng)
    surveys = make_surveys(config, calendar, block, orders, tickets, rng)
    local = block.local(all_visits["device"])
    for name in ("category", "system", "browser"):
        all_visits[name] = getattr(block, name)[local]
    own_people = all_visits["person"] - block.base
    for name in ("country", "city", "consent", "optin", "adblock"):
        all_visits[name] = block.people[name][own_people]
    withdrawn = calendar.position(all_visits["ts"]) >= block.people["withdraws"][own_people]
    all_visits["consent"] = all_visits["consent"] & ~withdrawn
    all_visits["robot"] = np.zeros(length(all_visits), np.int8)
    people = dict(block.people)
    return {
        "people": people,
        "account": {"at": account_at},
        "devices": {"category": block.category, "system": block.system, "browser": block.browser},
        "visits": all_visits,
        "carts": carts,
        "events": events,
        "orders": orders,
        "email": mails,
        "tickets": tickets,
        "surveys": surveys,
    }


def live(
    config: WorldConfig,
    calendar: Calendar,
    seed: int,
    customers: int,
    currency: str,
    progress: Progress = None,
) -> Life:
    """Live through all blocks of people and the robots; the result depends on nothing but the arguments."""
    parts: list[dict[str, Table]] = []
    visit_base = order_base = 0
    for number, (base, n, casual) in enumerate(blocks_of(config, customers)):
        block = make_people(config, calendar, seed, number, base, n, casual)
        part = _live_block(config, calendar, seed, block)
        _shift(part, visit_base, order_base)
        visit_base += length(part["visits"])
        order_base += length(part["orders"])
        parts.append(part)
        if progress:
            progress("people", n)
    joined = {name: concat([part[name] for part in parts]) for name in parts[0]}
    robots = make_robots(config, calendar, seed, customers, joined)
    if robots:
        _shift(robots, visit_base, order_base)
        for name in ("visits", "events"):
            joined[name] = concat([joined[name], robots[name]])
    return Life(
        config=config,
        calendar=calendar,
        seed=seed,
        currency=currency,
        people=joined["people"],
        account_at=joined["account"]["at"],
        visits=joined["visits"],
        carts=joined["carts"],
        events=joined["events"],
        orders=joined["orders"],
        email=joined["email"],
        tickets=joined["tickets"],
        surveys=joined["surveys"],
        rates=daily_rates(config, calendar, currency, rng_for(seed, "rates")),
        category=joined["devices"]["category"],
        system=joined["devices"]["system"],
        browser=joined["devices"]["browser"],
    )


def _shift(part: dict[str, Table], visit_base: int, order_base: int) -> None:
    """Make the row references of a block global."""
    for name in ("carts", "events", "orders"):
        if part.get(name):
            rows = part[name]["visit"].astype(np.int64)
            part[name]["visit"] = np.where(rows >= 0, rows + visit_base, -1)
    for name in ("tickets", "surveys"):
        if part.get(name):
            rows = part[name]["order"]
            part[name]["order"] = np.where(rows >= 0, rows + order_base, -1)


def order_numbers(life: Life) -> np.ndarray:
    """Order numbers as the shop prints them, in order of time: W… web, S… store, P… phone."""
    sequence = np.empty(length(life.orders), np.int64)
    sequence[np.argsort(life.orders["at"], kind="stable")] = np.arange(length(life.orders))
    letters = np.array(["W", "S", "P"])[life.orders["sales"]]
    return np.array([f"{letter}{100_000 + number}" for letter, number in zip(letters, sequence, strict=True)])


def login_text(person: int, second: bool) -> str:
    """The shop's login id of a person's first or second account."""
    return f"U{(person * 2 + second) * 3_571_793 % 9_999_991:07d}"


def has_account(life: Life) -> np.ndarray:
    """Whether each person has an account at any time."""
    return life.account_at < NEVER


def identifiable(life: Life) -> np.ndarray:
    """Orders whose buyer leaves a name: web, phone, and in the store with a loyalty card."""
    orders = life.orders
    card = life.people["loyalty"][np.maximum(orders["person"], 0)]
    return (orders["person"] >= 0) & ((orders["sales"] != 1) | card)


__all__ = ["ORIGIN", "Life", "has_account", "identifiable", "live", "login_text", "order_numbers"]
