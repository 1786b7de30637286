"""Channel grouping against Google's documented default channel groups (support answer 9756891).

Each case says why. They are the places where ports of these rules are known to disagree.
"""

from __future__ import annotations

import pytest

from cja_pipeline.customers.build import build_sessions
from cja_pipeline.customers.channels import channel_rules
from cja_pipeline.customers.config import source_categories
from cja_pipeline.customers.identity import resolve_warehouse
from cja_pipeline_tests.customers.tables import SECRET, at, warehouse

GOLDEN = [
    # source, medium, campaign, expected, why
    (None, None, None, "Direct", "nothing known is direct, not unassigned"),
    ("(direct)", "(none)", None, "Direct", "the documented pair"),
    ("(direct)", "(not set)", None, "Direct", "the other documented medium"),
    ("direct", "none", None, "Unassigned", "the documented values have brackets"),
    ("google", "organic", "x cross-network y", "Cross-network", "campaign contains cross-network"),
    ("google", "cross-network", None, "Organic Search", "only the campaign name makes cross-network"),
    ("google", "cpc", None, "Paid Search", "search site and paid medium"),
    ("GOOGLE", "CPC", None, "Paid Search", "definitions do not care about case"),
    ("google", "cpc", "spring shop", "Paid Shopping", "a shop campaign outranks the search site"),
    ("google", "cpc", "workshop", "Paid Search", "workshop is no shop"),
    ("google", "cpc", "eshop", "Paid Shopping", "e before shop is allowed"),
    ("x", "organic", "barbershop", "Organic Search", "barbershop is no shop"),
    ("facebook", "paid_social", None, "Paid Social", "social site and a medium that starts with paid"),
    ("youtube.com", "cpv", None, "Paid Video", "video site, and the paid pattern takes all that contains cp"),
    ("youtube.com", "cpc", None, "Paid Video", "video site and paid medium"),
    ("criteo", "cpm", None, "Display", "display comes before other paid traffic"),
    ("dv360", "interstitial", None, "Display", "spelled as documented"),
    ("adform", "banner", None, "Display", "documented medium"),
    ("criteo", "retargeting", None, "Paid Other", "paid, from no listed site"),
    ("partner", "affiliate-cpa", None, "Paid Other", "contains cp, so it is paid before it is an affiliate"),
    ("partner", "affiliate", None, "Affiliates", "the medium alone"),
    ("partner", "affiliates", None, "Unassigned", "the documented medium is affiliate"),
    ("amazon.com", "referral", None, "Organic Shopping", "shopping site before referral"),
    ("facebook.com", "referral", None, "Organic Social", "social site before referral"),
    ("newcomer", "social-media", None, "Organic Social", "documented medium"),
    ("newcomer", "social media", None, "Organic Social", "documented medium with a blank"),
    ("vimeo.com", "referral", None, "Organic Video", "video site"),
    ("tool", "instream video", None, "Organic Video", "medium contains video"),
    ("ecosia.org", "referral", None, "Organic Search", "search site even with medium referral"),
    ("blog.example", "referral", None, "Referral", "medium referral"),
    ("ios", "app", None, "Referral", "medium app"),
    ("newsletter", "email", None, "Email", "medium email"),
    ("Newsletter", "Email", None, "Email", "definitions do not care about case"),
    ("e-mail", "autumn", None, "Email", "source alone is enough"),
    ("myemailtool", "newsletter", None, "Unassigned", "the whole value must be email, not a part of it"),
    ("spotify", "audio", None, "Audio", "medium audio"),
    ("sms", "text", None, "SMS", "source alone is enough"),
    ("brand", "sms", None, "SMS", "medium alone is enough"),
    ("brand", "web-push", None, "Mobile Push", "medium ends with push"),
    ("brand", "mobile_app", None, "Mobile Push", "medium contains mobile"),
    ("brand", "notification", None, "Mobile Push", "medium contains notification"),
    ("firebase", "message", None, "Mobile Push", "source alone is enough"),
    ("chatgpt.com", "ai-assistant", "(ai-assistant)", "AI Assistant", "the medium of 2026"),
    ("chatgpt.com", "referral", None, "Referral", "not retroactive: older assistant traffic stays referral"),
    ("flyer", "qr", None, "Unassigned", "no rule"),
    (None, "organic", None, "Organic Search", "medium organic without a source"),
    ("  google ", " cpc ", None, "Paid Search", "surrounding blanks mean nothing"),
]


@pytest.mark.parametrize(("source", "medium", "campaign", "expected", "why"), GOLDEN)
def test_documented_channel(source: str, medium: str, campaign: str, expected: str, why: str) -> None:
    assert channel_rules().channel(source, medium, campaign) == expected, why


def test_source_lists_are_complete() -> None:
    counts: dict[str, int] = {}
    for category in source_categories().values():
        counts[category] = counts.get(category, 0) + 1
    assert counts == {"search": 129, "shopping": 52, "social": 592, "video": 46}


@pytest.mark.parametrize(
    ("key", "channel", "source", "informative"),
    [
        ("||||", "Direct", None, False),
        ("(direct)|(none)|||", "Direct", "(direct)", False),
        ("|||www.google.com|", "Organic Search", "google", True),
        ("|||www.google.co.uk|", "Organic Search", "google", True),
        ("|||duckduckgo.com|", "Organic Search", "duckduckgo", True),
        ("|||l.facebook.com|", "Organic Social", "l.facebook.com", True),
        ("|||blog.example|", "Referral", "blog.example", True),
        ("|||chatgpt.com|", "AI Assistant", "chatgpt.com", True),
        ("|||www.nordlicht-outdoor.example|", "Direct", None, False),
        ("|||checkout.nordlicht-outdoor.example|", "Direct", None, False),
        ("|||www.paypal.com|", "Direct", None, False),
        ("|||www.google.com|gclid", "Paid Search", "google", True),
        ("|||www.bing.com|msclkid", "Paid Search", "bing", True),
        ("newsletter|email|autumn|www.google.com|gclid", "Email", "newsletter", True),
        ("facebook|paid_social|a|b|host.example|", "Paid Social", "facebook", True),
    ],
)
def test_untagged_traffic(key: str, channel: str, source: str | None, informative: bool) -> None:
    found = channel_rules().traffic(key)
    assert channel_rules().channel(found.source, found.medium, found.campaign) == channel
    assert found.source == source
    assert found.is_informative is informative


def test_session_takes_the_first_informative_hit() -> None:
    own = "https://www.nordlicht-outdoor.example/a"
    wh = warehouse(
        web_events=[
            {"occurred_at": at("2 10:00"), "referrer": own},
            {"occurred_at": at("2 10:01"), "source": "newsletter", "medium": "email", "campaign": "Autumn"},
            {"occurred_at": at("2 10:02"), "source": "google", "medium": "cpc"},
            # the next day untagged: nothing is carried over
            {"occurred_at": at("3 10:00"), "referrer": own},
        ]
    )
    resolve_warehouse(wh, SECRET)
    build_sessions(wh)
    rows = wh.sql("SELECT channel, source, campaign FROM customers.sessions ORDER BY started_at").fetchall()
    assert rows == [("Email", "newsletter", "Autumn"), ("Direct", None, None)]
