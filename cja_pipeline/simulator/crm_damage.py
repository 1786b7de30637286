"""Damaged CRM records: extra objects with values that no pipeline should take as they are."""

from __future__ import annotations

from typing import Any

from .columns import DAY, HOUR, rng_for
from .crm_versions import Version
from .life import Life

DAMAGE: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "orders": [
        ("total_not_a_number", {"hs_total_price": "abc", "hs_subtotal_price": "abc"}),
        ("negative_total", {"hs_total_price": "-25.00", "hs_subtotal_price": "-25.00"}),
        ("impossible_date", {"hs_external_created_date": "2026-02-31T25:61:00Z"}),
        ("broken_currency", {"hs_currency_code": "E?"}),
    ],
    "contacts": [
        ("email_without_domain", {"email": "not-an-email", "phone": None}),
        ("future_creation", {"createdate": "2199-01-01T00:00:00.000Z"}),
        ("impossible_birth", {"date_of_birth": "1890-02-30"}),
    ],
    "tickets": [
        ("closed_before_created", {"closed_date": "2001-01-01T00:00:00.000Z"}),
        ("no_creation", {"createdate": None}),
    ],
    "feedback_submissions": [
        ("score_out_of_range", {"hs_value": "11"}),
        ("score_not_a_number", {"hs_value": "ten"}),
    ],
}
_OWN_KEYS = ("hs_order_name", "order_id", "shop_login_id", "loyalty_id", "hs_merged_object_ids")


def damaged(life: Life, stream: str, versions: list[Version]) -> list[tuple[str, Version]]:
    """Extra objects of a stream, modelled on good ones: (kind of damage, version)."""
    rng = rng_for(life.seed, "damaged_" + stream)
    since = life.calendar.begin + DAY
    good = [v for v in versions if not (v["archived"] or v["gone"]) and v["visible_from"] >= since]
    kinds, share = DAMAGE[stream], life.config.noise["damaged_crm"]
    result = []
    for k in range(max(len(kinds), round(len(good) * share)) if good and share else 0):
        kind, change = kinds[k % len(kinds)]
        like = good[int(rng.integers(len(good)))]
        state = like["properties"] | dict.fromkeys(set(_OWN_KEYS) & set(like["properties"])) | change
        if "hs_external_order_id" in state:
            state["hs_external_order_id"] = f"X{k:05d}"
        if stream == "contacts" and "email" not in change:
            state["email"] = f"broken{k}@example.org"
        at = like["visible_from"] + HOUR
        own = {"id": str(99_000_000_000 + k), "visible_from": at, "created_at": at, "contact_id": None}
        result.append((kind, like | own | {"properties": state}))
    return result
