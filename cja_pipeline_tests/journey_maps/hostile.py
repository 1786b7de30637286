"""A map whose every text is an attack or a nuisance, and whose figures are at their extremes."""

from __future__ import annotations

import pandas as pd

from cja_pipeline_tests.journey_maps.example import example

SCRIPT = "<script>alert(1)</script>"
TEXTS = (
    SCRIPT,
    '"><img src=x onerror=alert(1)>',
    "'};alert(1);//",
    "</style><script>alert(1)</script><style>",
    "</title><svg onload=alert(1)>",
    "{{ 7*7 }}{% for x in y %}",
    "javascript:alert(1)",
    "--></svg><iframe srcdoc='<script>alert(1)</script>'>",
    "*bold* *<b>not</b>*",
    "\x00\x01\x1b[31m\x7f\u202etxt.exe\u2066\u200f",
    "مرحبا بالعالم، هذا اقتباس طويل من اليمين إلى اليسار",
    "שלום עולם זה ציטוט",
    "Ǆ" + "\u0301" * 400,
    "𝕳" * 300,
    "W" * 10_000,
    "a " * 5_000,
    "\ud800 lone surrogate",
    "=cmd|' /C calc'!A0",
    "https://evil.example/track.png",
    "url(https://evil.example/x)",
)


def hostile() -> pd.DataFrame:
    """The example with every free text replaced by an attack, in turn."""
    frame = example()
    place = 0
    for column in ("label", "text", "evidence", "owner", "currency"):
        values = []
        for section, item, old in zip(frame["section"], frame["item"], frame[column], strict=True):
            wired = section == "path" and item.startswith("link/")  # these name the nodes they join
            fixed = wired or (section == "header" and item in ("language",)) or not isinstance(old, str)
            values.append(old if fixed else TEXTS[place % len(TEXTS)])
            place += 1
        frame[column] = pd.Series(values, dtype=object)  # pandas' own text type refuses lone surrogates
    wild = ("touchpoint", "attribution", "value", "friction", "cohort")
    items = [
        TEXTS[index % len(TEXTS)] if section in wild else item
        for index, (section, item) in enumerate(zip(frame["section"], frame["item"], strict=True))
    ]
    frame["item"] = pd.Series(items, dtype=object)
    frame["series"] = frame["series"].where(frame["section"] != "cohort", '{"not": ["a list", NaN')
    return frame
