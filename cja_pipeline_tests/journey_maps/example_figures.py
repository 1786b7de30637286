"""The figures of the invented shop that the example map is made of."""

from __future__ import annotations

import datetime as dt

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
UNEQUAL = "sample_ratio_mismatch"
TESTS = [
    # experiment, metric, lift, low, high, n, status, sizes of both groups
    ("Delivery cost in cart", "checkout_rate", 0.082, 0.031, 0.135, 4_810, "better", [4_901, 4_877]),
    ("Delivery cost in cart", "conversion_rate", 0.04, -0.02, 0.1, 4_810, "no_difference", [4_901, 4_877]),
    ("Zoom in the gallery", "checkout_rate", None, None, None, 2_004, UNEQUAL, [2_102, 2_790]),
    ("Zoom in the gallery", "conversion_rate", None, None, None, 2_004, UNEQUAL, [2_102, 2_790]),
]
