"""A full journey map as a long table: the figures of an invented shop, adding up."""

from __future__ import annotations

import datetime as dt
import math

import pandas as pd

from cja_pipeline.journey_maps.rows import STAGES, Rows

START, END = dt.date(2026, 10, 24), dt.date(2026, 11, 20)

KPIS = [
    # id, unit, value, previous, target, low, high, n, n_unit, status, better, method
    (
        "conversion_rate",
        "share",
        0.0294,
        0.0311,
        0.03,
        0.0279,
        0.0309,
        183_640,
        "sessions",
        "near",
        "up",
        "delta",
    ),
    (
        "net_revenue",
        "money",
        412_300.0,
        395_700.0,
        400_000.0,
        None,
        None,
        5_401,
        "orders",
        "on",
        "up",
        "exact",
    ),
    (
        "customer_acquisition_cost",
        "money",
        21.4,
        22.7,
        24.0,
        20.1,
        22.8,
        1_847,
        "new_customers",
        "on",
        "down",
        "delta",
    ),
    (
        "customer_lifetime_value",
        "money",
        138.0,
        127.0,
        130.0,
        129.0,
        147.0,
        9_906,
        "customers",
        "on",
        "up",
        "model",
    ),
    (
        "repeat_purchase_rate",
        "share",
        0.412,
        0.428,
        0.45,
        0.399,
        0.425,
        5_401,
        "buyers",
        "off",
        "up",
        "wilson",
    ),
    ("net_promoter_score", "score", 38.0, 36.0, 35.0, 33.0, 43.0, 1_022, "answers", "on", "up", "nps"),
]
REACHED = (48_210, 18_370, 5_401, 2_225, 414)
OPEN = (6_120, 2_204, 1_190, 1_320, 414)
TOUCHES = (
    [("Paid Social", 0.34), ("Organic Search", 0.27), ("Paid Search", 0.21), ("Direct", 0.18)],
    [("product_view", 0.58), ("email_clicked", 0.19), ("search", 0.15), ("other", 0.08)],
    [("add_to_cart", 0.46), ("begin_checkout", 0.31), ("add_payment_info", 0.16), ("phone_order", 0.07)],
    [("email_opened", 0.44), ("visit", 0.28), ("ticket", 0.19), ("comment", 0.09)],
    [("nps", 0.52), ("referral", 0.26), ("share", 0.22)],
)
TIMES = (
    (1.2 * 86_400, 0.2 * 86_400, 4.1 * 86_400),
    (3.4 * 86_400, 1.1 * 86_400, 9.0 * 86_400),
    (19 * 60.0, 7 * 60.0, 5 * 3_600.0),
    (28 * 86_400.0, 16 * 86_400.0, 51 * 86_400.0),
)
FEELINGS = (
    [("ads", "Sees the ads", 17), ("prices", "Finds the prices", 29), ("landing", "Lands on the page", 12)],
    [("range", "Likes the range", 34), ("size", "Cannot find size", -14)],
    [("cart", "Fills the cart", 26), ("delivery_cost", "Delivery surprise", -48), ("paid", "Has paid", 22)],
    [("parcel", "Parcel arrives early", 52), ("refund", "Waits for refund", -30)],
    [("helped", "Is helped", 40), ("recommends", "Recommends us", 62), ("shares", "Shares", 54)],
)
PAINS = (
    (
        "serious",
        "Ad promises a sale that has ended",
        "312 comments · 6.1 % leave at once",
        "Clicked for 20 % off. No 20 % off.",
        "Social comments",
    ),
    (
        "serious",
        "Size guide is hard to find",
        "1,204 searches · 8.6 % exit there",
        "Is this EU or UK sizing? I gave up.",
        "Support tickets",
    ),
    (
        "severe",
        "Delivery cost appears at the last step",
        "3,118 carts left · 41 % of tickets mention it",
        "€9 delivery, and you tell me now?",
        "Web visits, support tickets",
    ),
    (
        "severe",
        "Refunds take nine days",
        "186 tickets · satisfaction 2.4 of 5",
        "Nine days for my own money.",
        "Support tickets",
    ),
    (
        "minor",
        "Referral code fails on phones",
        "73 tickets · 12 % of attempts",
        "My friend’s code just spins.",
        "Support tickets",
    ),
)
CHANCES = (
    (11_000, 6_000, 17_000, "Stop ads when the promotion ends", "Marketing", "medium"),
    (38_000, 21_000, 56_000, "Put the size guide beside the size picker", "Web team", "medium"),
    (84_000, 52_000, 113_000, "Show delivery cost on the product page", "Web team", "high first"),
    (29_000, 12_000, 47_000, "Refund when the parcel is scanned", "Customer care", "medium"),
    (7_000, 2_000, 13_000, "Fix the referral deep link", "App team", "low"),
)
CREDIT = [
    ("Email", 118_000, 106_000, 128_000, 84_000),
    ("Organic Search", 97_300, 89_000, 105_000, 112_300),
    ("Paid Search", 81_000, 72_000, 90_000, 120_000),
    ("Paid Social", 63_000, 52_000, 74_000, 29_000),
    ("Direct", 35_000, 30_000, 41_000, 58_000),
    ("Referral", 18_000, 12_000, 25_000, 9_000),
]
COHORTS = [
    ("2026-05", 842, [0.30, 0.22, 0.18, 0.14, 0.11, 0.08]),
    ("2026-06", 911, [0.30, 0.23, 0.16, 0.13, 0.09]),
    ("2026-07", 1_034, [0.26, 0.20, 0.16, 0.12]),
    ("2026-08", 988, [0.27, 0.21, 0.15]),
    ("2026-09", 1_120, [0.21, 0.20]),
    ("2026-10", 1_204, [0.25]),
]
NODES = [
    # column, code, label, status
    (0, "Paid Social", "go"),
    (0, "Organic Search", "go"),
    (0, "Paid Search", "go"),
    (0, "Direct", "go"),
    (1, "product_view", "go"),
    (1, "search", "go"),
    (1, "left_at_once", "exit"),
    (2, "add_to_cart", "go"),
    (2, "left_to_compare", "exit"),
    (3, "bought", "go"),
    (3, "left_at_delivery", "loss"),
    (3, "left_at_payment", "exit"),
]
LINKS = [
    ("0/Paid Social", "1/product_view", 4_150, "go"),
    ("0/Paid Social", "1/search", 900, "go"),
    ("0/Paid Social", "1/left_at_once", 11_341, "exit"),
    ("0/Organic Search", "1/product_view", 4_150, "go"),
    ("0/Organic Search", "1/search", 1_830, "go"),
    ("0/Organic Search", "1/left_at_once", 7_037, "exit"),
    ("0/Paid Search", "1/product_view", 3_700, "go"),
    ("0/Paid Search", "1/search", 680, "go"),
    ("0/Paid Search", "1/left_at_once", 5_744, "exit"),
    ("0/Direct", "1/product_view", 2_300, "go"),
    ("0/Direct", "1/search", 660, "go"),
    ("0/Direct", "1/left_at_once", 5_718, "exit"),
    ("1/product_view", "2/add_to_cart", 7_230, "go"),
    ("1/product_view", "2/left_to_compare", 7_070, "exit"),
    ("1/search", "2/add_to_cart", 2_072, "go"),
    ("1/search", "2/left_to_compare", 1_998, "exit"),
    ("2/add_to_cart", "3/bought", 5_401, "go"),
    ("2/add_to_cart", "3/left_at_delivery", 3_118, "loss"),
    ("2/add_to_cart", "3/left_at_payment", 783, "exit"),
]
NAMES = {
    "left_at_once": "Left at once",
    "left_to_compare": "Left to compare",
    "bought": "Bought",
    "left_at_delivery": "Left at delivery",
    "left_at_payment": "Left at payment",
}
FRICTION = [
    ("Checkout on phones", 84_000, 52_000, 113_000, 9_302, 0.42, 0.51, "Web team", "proven"),
    ("Product page in Safari", 38_000, 21_000, 56_000, 14_300, 0.32, 0.36, "Web team", "proven"),
    ("Payment from Austria", 12_000, 3_000, 21_000, 1_820, 0.71, 0.78, "Payments team", "proven"),
    ("Cart coming from Paid Social", 9_000, -2_000, 19_000, 2_210, 0.48, 0.50, "Marketing", "unclear"),
]
VALUES = [
    ("Email", 171, 158, 186, 6.2, 1_904),
    ("Organic Search", 149, 140, 158, None, 3_120),
    ("Referral", 133, 112, 155, 4.1, 402),
    ("Paid Search", 121, 112, 131, 31.0, 2_210),
    ("Paid Social", 88, 79, 97, 44.5, 1_690),
    ("Display", 41, 30, 54, 58.0, 212),
]


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
        rows.add("touchpoint", name, stage=stage, share=share, n=whole)
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
        "chance/1",
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
    rows.add("path", "callout", label="add_to_cart", share=0.335, n=9_302)
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
        )
    rows.add("attribution", "total", value=412_300.0, target=412_300.0, currency="EUR", unit="money")
    for month, buyers, rates in COHORTS:
        rows.add("cohort", month, n=buyers, series=rates)
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
            text="24 Oct – 20 Nov",
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
    rows.add("note", "since", text="Against the map of 20 November 2026.")
    rows.add("note", "change/1", label="Conversion rate", text="−0.11 pt", status="bad")
    rows.add("note", "change/2", label="Net revenue", text="+4.2 %", status="good")
