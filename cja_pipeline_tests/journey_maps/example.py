"""A full journey map as a long table: the figures of an invented shop, adding up."""

from __future__ import annotations

import datetime as dt
import math

import pandas as pd

from cja_pipeline.journey_maps.rows import STAGES, Rows
from cja_pipeline_tests.journey_maps.example_figures import (
    CHANCES,
    COHORTS,
    CREDIT,
    END,
    FEELINGS,
    FRICTION,
    KPIS,
    LINKS,
    NAMES,
    NODES,
    OPEN,
    PAINS,
    REACHED,
    START,
    TESTS,
    TIMES,
    TOUCHES,
    VALUES,
)


def example(segment: str = "all") -> pd.DataFrame:
    """The whole map of one group."""
    rows = Rows(segment, START, END)
    _header(rows)
    _kpis(rows)
    for place, stage in enumerate(STAGES):
        _stage(rows, place, stage)
    _cards(rows)
    return rows.frame()


def _header(rows: Rows) -> None:
    rows.add(
        "header",
        "headline",
        label="A third of carts are left when delivery cost appears",
        text="*3,118 of 9,302 carts* ended there in the last 28 days. Showing the cost earlier is worth "
        "about *€\u202f84\u202fk a month*, the largest of the five opportunities below.",
        value=84_000.0,
        low=52_000.0,
        high=113_000.0,
        n=9_302,
        currency="EUR",
        status="finding",
        evidence=FRICTION[0][0],
    )
    for item, text in (
        ("shop", "Nordlicht Outdoor"),
        ("language", "en"),
        ("run", "9f2c41d7"),
        ("version", "0.4.1"),
        ("time_zone", "Europe/Berlin"),
    ):
        rows.add("header", item, text=text)
    rows.add("header", "period")
    rows.add("header", "idle_days", value=30.0)
    rows.add("header", "segments", series=["all", "new", "returning", "mobile", "desktop"])
    rows.add("health", "refreshed", text="2026-11-21T04:41:00")
    rows.add("health", "sources", value=4.0, target=4.0)
    rows.add("health", "checks", value=61.0, target=62.0, status="warned", series={"warnings": 1})
    rows.add("health", "records", value=1_204_311.0, target=1_204_311.0)
    rows.add("health", "quarantine", value=214.0, share=0.000178)


def _kpis(rows: Rows) -> None:
    for place, (kpi, unit, value, previous, target, low, high, n, noun, status, better, method) in enumerate(
        KPIS
    ):
        points = []
        for day in range(28):
            drift = previous + (value - previous) * (day / 27)
            wave = math.sin(day * 1.7 + place * 2) * 0.012 + math.sin(day * 0.6 + place) * 0.015
            known = None if (place, day) == (5, 11) else drift * (1 + (wave if day < 27 else 0.0))
            points.append([(START + dt.timedelta(days=day)).isoformat(), known])
        rows.add(
            "kpi",
            kpi,
            unit=unit,
            value=value,
            previous=previous,
            target=target,
            low=low,
            high=high,
            n=n,
            status=status,
            evidence=method,
            currency="EUR" if unit == "money" else "",
            series={"points": points, "better": better, "n_unit": noun},
        )


def _stage(rows: Rows, place: int, stage: str) -> None:
    whole = REACHED[place]
    go_on = REACHED[place + 1] if place + 1 < len(REACHED) else 0
    parts = {"reached": whole, "go_on": go_on, "open": OPEN[place], "leave": whole - go_on - OPEN[place]}
    for item, value in parts.items():
        rows.add("volume", item, stage=stage, value=float(value), n=whole, share=value / whole)
    for name, share in TOUCHES[place]:
        rows.add("touchpoint", name, stage=stage, value=10_000.0 * share, share=share, n=whole)
    if place < len(TIMES):
        median, low, high = TIMES[place]
        rows.add("time", "spell", stage=stage, value=median, low=low, high=high, unit="seconds", n=whole)
    else:
        rows.add("time", "spell", stage=stage, status="open_ended", unit="seconds")
    for topic, label, value in FEELINGS[place]:
        rows.add(
            "emotion",
            topic,
            stage=stage,
            label=label,
            value=float(value),
            low=value - 8.0,
            high=value + 8.0,
            n=240,
        )
    severity, title, evidence, quote, source = PAINS[place]
    rows.add(
        "pain",
        "pain/1",
        stage=stage,
        status=severity,
        label=title,
        evidence=evidence,
        text=quote,
        owner=source,
    )
    value, low, high, action, owner, confidence = CHANCES[place]
    rows.add(
        "opportunity",
        FRICTION[0][0] if confidence.endswith("first") else "chance/1",
        stage=stage,
        value=float(value),
        low=float(low),
        high=float(high),
        label=action,
        owner=owner,
        status=confidence,
        currency="EUR",
        unit="money",
    )


def _cards(rows: Rows) -> None:
    inward = {to: sum(n for _, t, n, _ in LINKS if t == to) for _, to, _, _ in LINKS}
    outward = {origin: sum(n for o, _, n, _ in LINKS if o == origin) for origin, _, _, _ in LINKS}
    for column, code, status in NODES:
        key = f"{column}/{code}"
        rows.add(
            "path",
            f"node/{key}",
            label=NAMES.get(code, code),
            value=float(inward.get(key) or outward[key]),
            status=status,
        )
    for origin, to, count, status in LINKS:
        rows.add(
            "path",
            f"link/{origin}/{to}",
            label=f"node/{origin}",
            text=f"node/{to}",
            value=float(count),
            status=status,
        )
    rows.add("path", "callout", label="left_at_delivery", share=3_118 / 9_302, n=9_302)
    for channel, value, low, high, last in CREDIT:
        rows.add(
            "attribution",
            channel,
            value=float(value),
            low=float(low),
            high=float(high),
            target=float(last),
            currency="EUR",
            unit="money",
            series=[min(value, last) * 0.9, max(value, last) * 1.05],
        )
    rows.add("attribution", "total", value=412_300.0, target=412_300.0, currency="EUR", unit="money")
    for month, buyers, rates in COHORTS:
        rows.add("cohort", month, n=buyers, series=[[r, r - 0.03, r + 0.03] for r in rates])
    for name, value, low, high, n, observed, expected, owner, status in FRICTION:
        rows.add(
            "friction",
            name,
            label=name,
            value=float(value),
            low=float(low),
            high=float(high),
            n=n,
            share=observed,
            target=expected,
            owner=owner,
            status=status,
            currency="EUR",
            unit="money",
            text="each month",
        )
    curve = [
        [
            day,
            0.112 * (1 - math.exp(-day / 7)),
            0.104 * (1 - math.exp(-day / 7)),
            0.121 * (1 - math.exp(-day / 7)),
        ]
        for day in range(0, 61, 2)
    ]
    rows.add("duration", "purchase_journey", stage="purchase", value=None, n=48_210, series=curve)
    for channel, value, low, high, cost, n in VALUES:
        rows.add(
            "value",
            channel,
            value=float(value),
            low=float(low),
            high=float(high),
            target=cost,
            n=n,
            share=None if cost is None else value / cost,
            currency="EUR",
            unit="money",
        )
    for experiment, metric, value, low, high, n, status, sizes in TESTS:
        rows.add(
            "experiment",
            f"{experiment}/B/{metric}",
            label=experiment,
            text="B against A",
            evidence=metric,
            value=value,
            low=low,
            high=high,
            n=n,
            unit="share",
            status=status,
            series=sizes,
            owner="Web team",
        )
    rows.add("note", "since", text="Since 20 November 2026")
    rows.add("note", "change/1", label="Conversion rate", text="−0.11 pt", status="bad")
    rows.add("note", "change/2", label="Net revenue", text="+4.2 %", status="good")
