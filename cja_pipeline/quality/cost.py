"""What checking costs beside one hand-written pass of SQL over the same rows and rules."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from cja_pipeline.sql import name
from cja_pipeline.validated.gx import validate
from cja_pipeline.validated.rules import broken
from cja_pipeline.validated.runner import run_parameters
from cja_pipeline.validated.suites import ROW_TYPES, UNIQUE_TYPES, Expectation, load_suite
from cja_pipeline.warehouse import Warehouse

TABLE = "validated.web_events"
# shapes of the values that the checks look at; a few rows break some of them, as on an ordinary night
EVENTS = """
INSERT INTO validated.web_events BY NAME
SELECT md5(CAST(n AS VARCHAR)) AS event_id,
    CASE WHEN n % 6 = 0 THEN NULL ELSE CAST(n // 12 AS VARCHAR) || '.1767571200' END AS visitor_id,
    CASE WHEN n % 20 = 1 THEN 'U' || CAST(n // 240 AS VARCHAR) END AS login_id,
    CASE WHEN n % 6 = 0 THEN NULL ELSE CAST(1767571200 + n // 12 AS VARCHAR) END AS ga_session_id,
    TIMESTAMP '2026-01-05 00:00:00' + to_microseconds(CAST(n * (86000000000.0 / $rows) AS BIGINT))
        AS occurred_at,
    TIMESTAMP '2026-01-05 00:00:01' + to_microseconds(CAST(n * (86000000000.0 / $rows) AS BIGINT))
        AS received_at,
    ['page_view', 'scroll', 'user_engagement', 'view_item', 'add_to_cart', 'purchase']
        [1 + CAST(n % 60 // 11 AS INT)] AS event_name,
    'https://shop.example/p/tent-' || CAST(n % 800 AS VARCHAR) AS page_url,
    '/p/tent-' || CAST(n % 800 AS VARCHAR) AS page_path, 'product' AS page_type,
    CASE WHEN n % 500 = 499 THEN 'other' ELSE ['mobile', 'desktop', 'tablet'][1 + CAST(n % 3 AS INT)] END
        AS device,
    CASE WHEN n % 250 <> 249 THEN 'DE' END AS country, 'de' AS language,
    n % 6 <> 0 AS consent_analytics, TRUE AS consent_marketing,
    CASE WHEN n % 60 // 11 = 5 THEN 'W' || CAST(n AS VARCHAR) END AS order_id,
    CASE WHEN n % 60 // 11 = 5 THEN CAST(n % 300 - CASE WHEN n % 1000 = 779 THEN 500 ELSE 0 END
        AS DECIMAL(18, 4)) END AS value,
    CASE WHEN n % 60 // 11 = 5 THEN 'EUR' END AS currency, 1200 AS engagement_ms, TRUE AS session_engaged,
    DATE '2026-01-05' AS _dt, 'made' AS _source_file, n AS _source_row,
    TIMESTAMP '2026-01-06 03:00:00' AS _landed_at
FROM range(CAST($rows AS BIGINT)) AS numbers(n)
"""


def compare(rows: int) -> list[dict[str, Any]]:
    """CPU seconds of Great Expectations and of one hand-written pass over the suite of web events.

    Both look at the same rows and the same checks, and must count the same failures.
    """
    suite = load_suite(TABLE)
    assert suite is not None  # noqa: S101  (shipped)
    with (
        tempfile.TemporaryDirectory(prefix="cja-cost-") as folder,
        Warehouse(Path(folder) / "events.duckdb", memory_limit="2GB") as warehouse,
    ):
        warehouse.ensure(TABLE)
        warehouse.execute(EVENTS, {"rows": rows})
        checks = suite.expectations
        parameters = run_parameters(warehouse, TABLE, "", [])
        validate(warehouse, TABLE, checks[:1], parameters)  # loading the library is no part of checking
        began = time.process_time()
        by_gx = validate(warehouse, TABLE, checks, parameters)
        gx = time.process_time() - began
        began = time.process_time()
        by_hand = one_pass(warehouse, checks)
        hand = time.process_time() - began
    seen = {code: _failures(by_gx[code]["result"]) for code in by_hand}
    wrong = [code for code, count in by_hand.items() if seen[code] != count]
    return [
        {"way": "one hand-written pass", "rows": rows, "checks": len(by_hand), "cpu_seconds": round(hand, 2),
         "times": 1.0, "failing": sum(by_hand.values()), "counts_differ": []},
        {"way": "Great Expectations", "rows": rows, "checks": len(checks), "cpu_seconds": round(gx, 2),
         "times": round(gx / hand, 2), "failing": sum(seen.values()), "counts_differ": wrong},
    ]  # fmt: skip


def one_pass(warehouse: Warehouse, checks: list[Expectation]) -> dict[str, int]:
    """Failing rows per check by SQL as one would write it by hand for speed: one SELECT for all conditions on
    rows and all table figures, rows less distinct digests per key, and the queries of their own."""
    parts: dict[str, str] = {}
    found: dict[str, int] = {}
    for one in checks:
        if one.type in UNIQUE_TYPES:
            keys = ", ".join(map(name, one.key))
            where = " AND ".join([f"{name(one.key[0])} IS NOT NULL", *_conditions(one)])
            query = f"SELECT count(*) - count(DISTINCT hash({keys})) FROM {TABLE} WHERE {where}"
            found[one.code] = int(warehouse.scalar(query))
        elif one.type in ROW_TYPES and _is_single_row(one):
            parts[one.code] = f"sum(CASE WHEN {broken(one)} THEN 1 ELSE 0 END)"
        elif one.type in ROW_TYPES:
            query = one.kwargs["unexpected_rows_query"].replace("{batch}", TABLE)
            found[one.code] = int(warehouse.scalar(f"SELECT count(*) FROM ({query})"))
    figures = ["count(*)", "max(occurred_at)", "count(visitor_id)"]
    row = warehouse.sql(f"SELECT {', '.join([*parts.values(), *figures])} FROM {TABLE}").fetchall()[0]
    return found | dict(zip(parts, map(int, row), strict=False))


def _is_single_row(one: Expectation) -> bool:
    query = one.kwargs.get("unexpected_rows_query", "SELECT * FROM")
    return str(query).upper().startswith("SELECT * FROM")


def _failures(result: dict[str, Any]) -> int:
    return int(result.get("unexpected_count") or result.get("observed_value") or 0)


def _conditions(one: Expectation) -> list[str]:
    return [
        f"{name(column)} {'=' if operator == '==' else operator} '{value[0]}'"
        if value
        else f"{name(column)} {operator}"
        for column, operator, *value in one.conditions
    ]
