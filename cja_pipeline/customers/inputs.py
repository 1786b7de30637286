"""What the large tables of the customer view are made of, key by key: see ``cja_pipeline.keyed``."""

from __future__ import annotations

from cja_pipeline.keyed import Input, Keyed

EVENTS, ACTIVITY, SESSIONS = "validated.web_events", "customers.web_activity", "customers.sessions"
LINKS, SPELLS = "customers.identity_links", "customers.consent_spells"
DEVICE = "JOIN customers.visitor_map m ON m.visitor_id = e.visitor_id"
CONTACTS, PROFILES = "validated.contacts_current", "customers.email_profiles"
OF_CONTACT = f"JOIN {LINKS} l ON l.kind = 'contact' AND l.record_key = concat('contact:', t.contact_id)"
OF_PROFILE = f"JOIN {LINKS} l ON l.kind = 'profile' AND l.record_key = concat('profile:', t.profile_id)"
LOGIN = "l.kind = 'login' AND l.record_key = concat('login:', e.login_id)"

# A device's visits: its events, its owner, whoever logged in on it, and what consent these people gave.
WEB_ACTIVITY = Keyed(
    ACTIVITY,
    "visitor_key",
    [
        Input(EVENTS, "m.visitor_key", "JOIN customers.visitor_map m ON m.visitor_id = t.visitor_id"),
        Input("customers.visitor_map", "t.visitor_key"),
        Input(
            LINKS, "m.visitor_key",
            f"JOIN {EVENTS} e ON {LOGIN.replace('l.', 't.')} {DEVICE}", narrow=False,
        ),
        Input(
            SPELLS, "m.visitor_key",
            "JOIN customers.visitor_map m ON m.customer_id = t.customer_id", narrow=False,
        ),
        Input(
            SPELLS, "d.visitor_key",
            f"JOIN (SELECT DISTINCT m.visitor_key, l.customer_id FROM {EVENTS} e JOIN {LINKS} l ON {LOGIN} "
            f"{DEVICE}) d ON d.customer_id = t.customer_id", narrow=False,
        ),
    ],
)  # fmt: skip

# A visit: its events, what their traffic keys stand for, and which of its orders are tests.
VISITS = Keyed(
    SESSIONS,
    "session_id",
    [
        Input(ACTIVITY, "t.session_id"),
        Input(
            "customers.channel_map", "a.session_id",
            f"JOIN {ACTIVITY} a ON a.traffic_key = t.traffic_key", narrow=False,
        ),
        Input(
            "customers.orders_excluded", "a.session_id",
            f"JOIN {ACTIVITY} a ON a.order_id = t.order_id", narrow=False,
        ),
    ],
    wholes={
        "customers.channel_map": "SELECT max(channel) FROM customers.channel_map WHERE traffic_key = ''",
        EVENTS: f"SELECT coalesce(max(engagement_ms), 0) > 0 FROM {EVENTS}",
    },
)  # fmt: skip

# A customer's contacts. An order may have been placed in a visit that is another customer's.
TOUCHPOINTS = Keyed(
    "customers.touchpoints",
    "customer_id",
    [
        Input(ACTIVITY, "t.customer_id"),
        Input(SESSIONS, "t.customer_id"),
        Input(SESSIONS, "o.customer_id", "JOIN customers.orders o ON o.session_id = t.session_id"),
        Input("customers.orders", "t.customer_id"),
        Input("customers.feedback", "t.customer_id"),
        Input("customers.referrals", "t.customer_id"),
        Input("validated.email_events", "l.customer_id", OF_PROFILE),
        Input(LINKS, "CASE WHEN t.kind = 'profile' THEN t.customer_id END"),
        Input(SPELLS, "t.customer_id"),
    ],
)  # fmt: skip

STAGE_SPELLS = Keyed("customers.stage_spells", "customer_id", [TOUCHPOINTS.rows])

EMAIL_PROFILES = Keyed(PROFILES, "profile_id", [Input("validated.email_events", "t.profile_id")])

# What a customer's records say: contacts (a view, and few, so read whole), profiles, and countries of visits.
GOLDEN_VALUES = Keyed(
    "customers.golden_values",
    "customer_id",
    [
        Input(LINKS, "CASE WHEN t.kind IN ('contact', 'profile') THEN t.customer_id END"),
        Input(CONTACTS, "l.customer_id", OF_CONTACT, narrow=False),
        Input(PROFILES, "l.customer_id", OF_PROFILE),
        Input(SESSIONS, "CASE WHEN t.country IS NOT NULL THEN t.customer_id END"),
    ],
)

# A customer: all that was made of their records, and whether they were invited.
CUSTOMERS = Keyed(
    "customers.customers",
    "customer_id",
    [
        TOUCHPOINTS.rows,
        STAGE_SPELLS.rows,
        GOLDEN_VALUES.rows,
        Input(CONTACTS, "l.customer_id", OF_CONTACT, narrow=False),
        Input(PROFILES, "l.customer_id", OF_PROFILE),
        Input(LINKS, "t.customer_id"),
        Input("customers.visitor_map", "t.customer_id"),
        Input("customers.customer_identifiers", "t.customer_id"),
        Input(SESSIONS, "t.customer_id"),
        Input("customers.orders", "t.customer_id"),
        Input("customers.feedback", "t.customer_id"),
        Input("customers.invited", "t.customer_id"),
    ],
)
