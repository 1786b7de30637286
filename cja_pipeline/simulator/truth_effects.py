"""Incidents and planted effects, with what they truly did."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np

from .columns import length
from .life import Life
from .web import incident_window

Row = dict[str, Any]


def _utc(moment: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(moment / 1_000_000, dt.UTC).replace(tzinfo=None)


def incident_rows(life: Life) -> list[Row]:
    """Incidents with their windows (UTC) and what they cost in orders, events and messages."""
    rows = []
    events, visits, mail = life.events, life.visits, life.email
    for incident in life.config.incidents:
        since, until = incident_window(life.calendar, incident)
        row = {
            "name": incident.name,
            "kind": incident.kind,
            "from": _utc(since),
            "to": _utc(until),
            "effect": incident.effect,
            "lost_orders": 0,
            "lost_events": 0,
            "bounced": 0,
        }
        if incident.kind == "checkout":
            row["lost_orders"] = int(visits["stopped"].sum())
        elif incident.kind == "tracking":
            inside = (events["ts"] >= since) & (events["ts"] < until)
            row["lost_events"] = int((inside & ~visits["adblock"][events["visit"]]).sum())
        elif incident.kind == "email":
            inside = (mail["ts"] >= since) & (mail["ts"] < until)
            row["bounced"] = int((inside & (mail["kind"] == 3) & ~mail["hard"]).sum())
        rows.append(row)
    return rows


def _effect(kind: str, name: str, size: float, incremental: int = 0, orders: int = 0, units: int = 0) -> Row:
    return {
        "kind": kind,
        "name": name,
        "size": float(size),
        "incremental_orders": incremental,
        "orders": orders,
        "units": units,
    }


def effect_rows(life: Life) -> list[Row]:
    """Planted effects in the history.

    size: log-odds as set (mechanisms: slope); incremental_orders: orders that would not exist without the
    effect; orders and units: what an observer sees there (orders of the last click; visits or people).
    """
    visits, config = life.visits, life.config
    history = visits["ts"] < life.calendar.history_end
    bought = (visits["depth"] == 7) & history
    rows = []
    for index, (name, channel) in enumerate(config.channels.items()):
        here = visits["channel"] == index
        caused = int((bought & (visits["cause"] == index)).sum())
        kind = "channel" if name != "Affiliates" else "channel_without_effect"
        seen, units = int((bought & here).sum()), int((here & history).sum())
        rows.append(_effect(kind, name, channel.effect, caused, seen, units))
        if channel.tilt:
            rows.append(_effect("confounding", name, channel.tilt, 0, seen, units))
    for index, test in enumerate(config.experiments):
        variant_b = (visits["test"] == index) & (visits["variant"] == 1)
        nudged = int((visits["nudged"] & variant_b & history).sum())
        sold, shown = int((bought & variant_b).sum()), int((history & variant_b).sum())
        rows.append(_effect("experiment", test.id, test.effect, nudged, sold, shown))
        if test.lost:
            rows.append(_effect("lost_exposures", test.id, test.lost, 0, sold, shown))
    rows += _holdout(life)
    rows += [
        _effect("mechanism", "slow delivery -> NPS (latent)", -1.1),
        _effect("mechanism", "hours to close a ticket -> CSAT (latent, per hour)", -0.028),
        _effect("mechanism", "satisfaction -> reorder (probability)", config.reorder["satisfied"]),
        _effect("mechanism", "known visitor -> cart (log-odds)", float(config.funnel.known_visitor)),
    ]
    return rows


def _holdout(life: Life) -> list[Row]:
    """Orders of subscribers who were mailed and of those held out at random."""
    people, orders = life.people, life.orders
    reachable = people["optin"] & (people["arrival"] < life.calendar.days)
    counted = (orders["person"] >= 0) & (orders["at"] < life.calendar.history_end) & ~orders["test"]
    per_person = np.bincount(orders["person"][counted], minlength=length(people))
    rows = []
    for held, name in ((False, "mailed"), (True, "held out")):
        group = reachable & (people["holdout"] == held)
        rows.append(_effect("email_holdout", name, 0.0, 0, int(per_person[group].sum()), int(group.sum())))
    return rows
