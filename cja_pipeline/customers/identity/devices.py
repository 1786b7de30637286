"""Which customer a device belongs to. Devices are attached after people are known and never join people.

A device with evidence (logins, orders) of one customer is theirs, anonymous visits included. With several
customers it is theirs whose share of the evidence is dominant; without a dominant one, and beyond a number of
customers (a kiosk), its anonymous visits stay a customer of their own and only visits with a login go to the
customer who logged in. Machines that try passwords give evidence of nothing.
"""

from __future__ import annotations

from cja_pipeline.customers.config import DeviceRules
from cja_pipeline.warehouse import Warehouse

RULES = ("sole", "dominant", "shared", "bot", "anonymous")


def is_bot(rules: DeviceRules) -> str:
    """SQL condition: this device tries passwords, from its logins and logins_per_hour (the highest)."""
    return f"(logins_per_hour > {rules.bot_logins_per_hour} OR logins > {rules.bot_logins})"


def attach(wh: Warehouse, rules: DeviceRules) -> None:
    """Attach devices to people; leaves the temporary table `owners`.

    Reads the temporary tables `devices` (visitor_id, is_bot) and `votes` (visitor_id, label: the person's
    number, weight: visits with a login, or orders). `owners` has one row per device: visitor_id, label (null:
    nobody's), share (of the evidence that speaks for this customer, null without evidence), rule (`RULES`).
    """
    wh.execute(
        "CREATE OR REPLACE TEMP TABLE owners AS WITH weighed AS ("
        " SELECT visitor_id, label, sum(weight) AS weight FROM votes GROUP BY visitor_id, label),"
        " best AS (SELECT visitor_id, count(*) AS customers, sum(weight) AS total, max(weight) AS top,"
        # among equals the smallest label, so that the order of rows decides nothing
        " min_by(label, (-weight, label)) AS label FROM weighed GROUP BY visitor_id),"
        " ruled AS (SELECT d.visitor_id, b.label, b.top / b.total AS share, CASE WHEN d.is_bot THEN 'bot'"
        " WHEN b.customers IS NULL THEN 'anonymous' WHEN b.customers = 1 THEN 'sole'"
        f" WHEN b.customers <= {rules.max_customers} AND b.top / b.total >= {rules.dominance!r} THEN"
        " 'dominant'"
        " ELSE 'shared' END AS rule FROM devices d LEFT JOIN best b ON b.visitor_id = d.visitor_id)"
        " SELECT visitor_id, CASE WHEN rule IN ('sole', 'dominant') THEN label END AS label,"
        " CASE WHEN rule IN ('sole', 'dominant') THEN share END AS share, rule FROM ruled"
    )
