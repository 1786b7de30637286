"""From the validated tables into the customer view: every row is used, or left out for a documented reason.

Each hop has a SELECT in ``hops/`` that gives every row of a validated table exactly one reason, from the side
of the source; what the target holds is counted apart, from its own side. Both must agree. The ledger keeps
the hop as stage ``customers`` of the validated table: rejected are rows that a rule leaves out, duplicate are
versions with a newer one, valid and written are the rows used.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cja_pipeline.validated.outcomes import Outcome, number
from cja_pipeline.validated.streams import load_streams
from cja_pipeline.warehouse import Warehouse

FOLDER = Path(__file__).parent / "hops"
STAGE = "customers"
USED, SUPERSEDED = "used", "superseded"
CENT = 0.005


@dataclass(frozen=True)
class Hop:
    """A validated table and the table that is made of it.

    `counted` is a query of one row: how many rows of the source the target holds, by the target itself, and
    their money (null: the hop has none); null rows: the target adds them up, only the money can be compared.
    `also` names reasons whose rows another table holds together, and the query that counts them there.
    """

    source: str
    target: str
    counted: str
    also: tuple[tuple[str, ...], str] | None = None

    @cached_property
    def reasons(self) -> str:
        name = self.source.removeprefix("validated.")
        return (FOLDER / f"{name}.sql").read_text(encoding="utf-8")

    @property
    def check_id(self) -> str:
        return f"all_{self.source.removeprefix('validated.')}_accounted_for"

    def entry(self) -> dict[str, str]:
        """The check of this hop as the definitions need it."""
        name = self.source.removeprefix("validated.").replace("_", " ")
        return {
            "check_id": self.check_id,
            "description": f"Every validated row of {name} is used here or left out for a documented reason.",
            "severity": "critical",
            "action": "block",
            "advice": "A join lost or multiplied rows: compare the reasons in quality.ledger_reasons with "
            f"{self.target}; do not publish before it is repaired.",
        }


def _touchpoints(prefix: str) -> str:
    return (
        "SELECT count(*), CAST(NULL AS DECIMAL(18, 4)) FROM customers.touchpoints "
        f"WHERE starts_with(touchpoint_id, '{prefix}:')"
    )


HOPS = (
    Hop(
        "validated.crm_orders",
        "customers.orders",
        "SELECT count(*), CAST(NULL AS DECIMAL(18, 4)) FROM customers.orders WHERE in_crm",
    ),
    Hop(
        "validated.web_events",
        "customers.touchpoints",
        _touchpoints("web"),
        also=((USED, "visit_only", "machine"), "SELECT sum(events) FROM customers.sessions"),
    ),
    Hop("validated.email_events", "customers.touchpoints", _touchpoints("mail")),
    Hop("validated.tickets", "customers.touchpoints", _touchpoints("feedback:ticket")),
    Hop("validated.surveys", "customers.touchpoints", _touchpoints("feedback:survey")),
    Hop("validated.social_comments", "customers.touchpoints", _touchpoints("feedback:comment")),
    Hop(
        "validated.contacts",
        "customers.customers",
        "SELECT count(*), CAST(NULL AS DECIMAL(18, 4)) FROM customers.identity_links AS l "
        "SEMI JOIN customers.customers AS c ON c.customer_id = l.customer_id WHERE l.kind = 'contact'",
    ),
    Hop(
        "validated.ad_insights",
        "customers.media",
        "SELECT CAST(NULL AS BIGINT), sum(spend) FROM customers.media WHERE platform = 'meta_ads'",
    ),
    Hop(
        "validated.social_posts",
        "customers.media",
        "SELECT CAST(NULL AS BIGINT), CAST(NULL AS DECIMAL(18, 4))",
    ),
)


def hops_into(target: str) -> list[Hop]:
    """The hops whose target is this table."""
    return [hop for hop in HOPS if hop.target == target]


def close_books(warehouse: Warehouse, target: str, run_id: str) -> None:
    """Write ledger and reasons of all hops into a table; call it in the transaction that writes the table."""
    for name in ("quality.ledger", "quality.ledger_reasons"):
        warehouse.ensure(name)
    streams = load_streams()
    for hop in hops_into(target):
        stream = streams[hop.source.removeprefix("validated.")]
        warehouse.execute(f"CREATE OR REPLACE TEMP TABLE hop AS {hop.reasons}")
        warehouse.execute("DELETE FROM quality.ledger_reasons WHERE table_name = ?", [hop.source])
        warehouse.execute(
            "INSERT INTO quality.ledger_reasons SELECT ?, day, reason, records FROM hop", [hop.source]
        )
        warehouse.execute(
            "DELETE FROM quality.ledger WHERE table_name = ? AND stage = ?", [hop.source, STAGE]
        )
        warehouse.execute(
            "INSERT INTO quality.ledger SELECT $run, $source, $stream, $table, v.day, $stage, "
            "coalesce(h.records, 0), coalesce(h.records - h.left_out, 0), coalesce(h.left_out, 0), "
            "coalesce(h.used, 0), 0, coalesce(h.superseded, 0), 0, coalesce(h.used, 0), h.money, "
            "CASE WHEN h.money IS NOT NULL THEN v.currency END, v.fingerprint, v.rules_hash, v.as_of, NULL "
            "FROM quality.ledger AS v LEFT JOIN (SELECT day, sum(records) AS records, "
            f"sum(records) FILTER (reason = '{USED}') AS used, "
            f"sum(records) FILTER (reason = '{SUPERSEDED}') AS superseded, "
            f"coalesce(sum(records) FILTER (reason NOT IN ('{USED}', '{SUPERSEDED}')), 0) AS left_out, "
            f"sum(money) FILTER (reason = '{USED}') AS money FROM hop GROUP BY day) AS h ON h.day = v.day "
            "WHERE v.table_name = $table AND v.stage = 'validated'",
            {
                "run": run_id,
                "source": stream.source,
                "stream": stream.stream,
                "table": hop.source,
                "stage": STAGE,
            },
        )
        warehouse.execute("DROP TABLE hop")


def hop_outcomes(warehouse: Warehouse, target: str, run_id: str, checked_at: dt.datetime) -> list[Outcome]:
    """One blocking check per hop into a table: rows in = rows used + left out, and the target agrees."""
    return [_outcome(warehouse, hop, run_id, checked_at) for hop in hops_into(target)]


def _outcome(warehouse: Warehouse, hop: Hop, run_id: str, checked_at: dt.datetime) -> Outcome:
    entry = hop.entry()
    outcome = Outcome(
        run_id, checked_at, hop.target, entry["check_id"], entry["description"], entry["severity"],
        entry["action"], False, "not evaluated",
        "rows in = rows used + rows left out; the table holds those used",
        advice=entry["advice"],
    )  # fmt: skip
    if not (warehouse.exists("quality.ledger_reasons") and warehouse.exists(hop.source)):
        outcome.error = "could not be evaluated: the books of this hop were never written"
        return outcome
    reasons = dict(
        warehouse.sql(
            "SELECT reason, sum(records) FROM quality.ledger_reasons WHERE table_name = ? GROUP BY reason "
            "ORDER BY sum(records) DESC",
            [hop.source],
        ).fetchall()
    )
    uneven = warehouse.scalar(
        "SELECT count(*) FROM (SELECT day, max(written) FILTER (stage = 'validated') AS came, "
        "max(offered) FILTER (stage = $stage) AS taken FROM quality.ledger WHERE table_name = $table "
        "GROUP BY day) AS days WHERE came IS DISTINCT FROM taken",
        {"stage": STAGE, "table": hop.source},
    )
    rows = warehouse.count(hop.source)
    told = int(sum(reasons.values()))
    elsewhere = 0
    if hop.also is not None:
        there = int(warehouse.scalar(hop.also[1]) or 0)
        elsewhere = abs(there - int(sum(reasons.get(reason, 0) for reason in hop.also[0])))
    used = int(reasons.pop(USED, 0))
    held, money = warehouse.sql(hop.counted).fetchall()[0]
    booked = warehouse.scalar(
        "SELECT sum(money) FROM quality.ledger WHERE table_name = ? AND stage = ?", [hop.source, STAGE]
    )
    missing = abs(rows - told) + (abs(used - held) if held is not None else 0) + elsewhere
    wrong_money = money is not None and abs(float(money) - float(booked or 0)) > CENT
    outcome.rows_checked, outcome.rows_failed = rows, missing
    outcome.share_failed = missing / rows if rows else 0.0
    outcome.passed = not missing and not uneven and not wrong_money
    left = ", ".join(
        f"{number(int(records))} {reason.replace('_', ' ')}" for reason, records in reasons.items()
    )
    outcome.observed = f"{number(used)} of {number(rows)} rows used" + (f"; left out: {left}" if left else "")
    if missing:
        outcome.observed += f"; {number(missing)} unexplained"
    if uneven:
        outcome.observed += f"; {number(uneven)} days do not balance"
    if wrong_money:
        outcome.observed += (
            f"; money differs: {number(float(booked or 0))} booked, {number(float(money))} found"
        )
    return outcome
