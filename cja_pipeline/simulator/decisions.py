"""How far each visit goes, and what a channel, an incident or an experiment truly changed about it.

`depth` of a visit: 0 left at once, 1 looked around, 2 saw a product, 3 filled a cart, 4 began the checkout,
5 gave the address, 6 gave the payment, 7 bought. Every decision draws its own uniform number, so that the
world without a channel's effect, without an incident or without the experiment is known exactly (potential
outcomes): `cause` is the channel without which the purchase would not have happened (-1: it would have
happened anyway), `stopped` marks visits that an incident kept from buying, `nudged` those that only variant B
sold to.
"""

from __future__ import annotations

import numpy as np

from .calendar import Calendar
from .columns import Table, expit, logit
from .config import WorldConfig
from .names import mix
from .people import CATEGORIES, Block
from .web import ORIGIN, incident_window


def decide(config: WorldConfig, calendar: Calendar, block: Block, table: Table) -> Table:
    """Add depth, cause, stopped, nudged, test (-1 none), variant (-1 none, 0 A, 1 B) and whether the variant
    is reported, to visits, from their own draws."""
    people, funnel = block.people, config.funnel
    local = table["person"] - block.base
    category = block.category[block.local(table["device"])]
    draws = table["draws"]
    by_device = {
        step: np.array([getattr(funnel, step)[name] for name in CATEGORIES])[category]
        for step in ("checkout", "shipping", "payment", "purchase")
    }
    segments = np.array([s.cart for s in config.segments.values()])
    effects = np.array([c.effect for c in config.channels.values()])[table["channel"]]
    known = calendar.position(table["ts"]) > np.maximum(people["arrival"][local], 0.0) + 0.02
    origin = table["origin"]
    again = origin == ORIGIN["reorder"]  # they know what they want
    cart = (
        funnel.cart
        + segments[people["segment"][local]]
        + funnel.propensity * people["inclination"][local]
        + funnel.known_visitor * known
        + np.where(again, 2.8, 0.0)
        + np.where(origin == ORIGIN["return"], -1.2, 0.0)
    )
    engaged = draws[:, 0] < np.select([origin == ORIGIN["own"], again], [funnel.engaged, 0.92], 0.8)
    product = engaged & (draws[:, 1] < np.where(again, 0.95, funnel.product))
    test, variant, reported = _assign(config, calendar, table)
    nudge = np.array([*(each.effect for each in config.experiments), 0.0])[test] * (variant == 1)
    checkout_odds = logit(by_device["checkout"]) + 1.2 * again
    later = (draws[:, 4] < by_device["shipping"]) & (draws[:, 5] < by_device["payment"])
    has_cart = product & (draws[:, 2] < expit(cart + effects))
    cart_anyway = product & (draws[:, 2] < expit(cart))
    checkout = draws[:, 3] < expit(checkout_odds + nudge)
    checkout_anyway = draws[:, 3] < expit(checkout_odds)
    pays = draws[:, 6] < by_device["purchase"]
    bug = np.zeros(len(draws), bool)
    for incident in config.incidents:
        if incident.kind == "checkout":
            since, until = incident_window(calendar, incident)
            hit = (table["ts"] >= since) & (table["ts"] < until) & (category == 0)
            bug |= hit & (draws[:, 6] >= by_device["purchase"] * incident.effect)
    reached = [
        engaged,
        product,
        has_cart,
        checkout,
        draws[:, 4] < by_device["shipping"],
        draws[:, 5] < by_device["payment"],
        pays & ~bug,
    ]
    depth = np.cumprod(np.stack(reached, axis=1), axis=1).sum(axis=1).astype(np.int8)
    bought = depth == 7
    # a visit that a message brought would not exist without the message; others would have come directly
    anyway = cart_anyway & checkout & later & pays & ~bug & (origin != ORIGIN["email"])
    table["depth"] = depth
    table["cause"] = np.where(bought & ~anyway, table["channel"], -1).astype(np.int8)
    table["stopped"] = (depth == 6) & bug & pays
    table["nudged"] = bought & ~checkout_anyway
    table["test"], table["variant"], table["reported"] = test, variant, reported
    table["errors"] = (depth == 6) & bug
    return table


def _assign(
    config: WorldConfig, calendar: Calendar, table: Table
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The experiment that runs during each visit (-1 none), the variant of its device (-1, 0, 1), and whether
    web analytics hears of it."""
    position = calendar.position(table["ts"]) / calendar.days
    count = len(position)
    test, variant = np.full(count, -1, np.int8), np.full(count, -1, np.int8)
    reported = np.zeros(count, bool)
    for index, each in enumerate(config.experiments):
        inside = (position >= each.start) & (position < each.to)
        device = table["device"][inside]
        variant[inside] = (mix(device, 5 + index) >> np.uint64(9)) & np.uint64(1)
        lost = (mix(device, 50 + index) / 2.0**64 < each.lost) & (variant[inside] == 1)
        test[inside], reported[inside] = index, ~lost
    return test, variant, reported
