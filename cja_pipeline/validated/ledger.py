"""The ledger: where every offered row went, per table and day, and the proof that none is lost.

offered = accepted + rejected, accepted = valid + quarantined + duplicate + late, written = valid. Two
stages a day: ``landed`` (what the vendor offered, by the manifests) and ``validated`` (what became of the
landed rows).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from cja_pipeline.warehouse import Warehouse


@dataclass
class DayCounts:
    """What became of the rows of one landed day."""

    day: dt.date
    rejected: int = 0
    valid: int = 0
    quarantined: int = 0
    duplicate: int = 0
    late: int = 0
    money: object = None
    currency: str | None = None

    @property
    def accepted(self) -> int:
        return self.valid + self.quarantined + self.duplicate + self.late

    @property
    def offered(self) -> int:
        return self.accepted + self.rejected


def loaded_days(warehouse: Warehouse, table: str) -> dict[dt.date, tuple[str, str, dt.datetime]]:
    """(fingerprint, rules hash, pull time) of every day that the ledger says is loaded."""
    rows = warehouse.sql(
        "SELECT day, fingerprint, rules_hash, as_of FROM quality.ledger "
        "WHERE table_name = ? AND stage = 'validated'",
        [table],
    ).fetchall()
    return {row[0]: (row[1], row[2], row[3]) for row in rows}


UNBALANCED = """
WITH kept AS (
  SELECT day, sum(records) AS records FROM quality.quarantine WHERE table_name = $table GROUP BY day
),
written AS (
  SELECT _dt AS day, count(*) AS records FROM {table} GROUP BY _dt
),
landed AS (
  SELECT day, valid FROM quality.ledger WHERE table_name = $table AND stage = 'landed'
)
SELECT ledger.day
FROM quality.ledger AS ledger
LEFT JOIN kept ON kept.day = ledger.day
LEFT JOIN written ON written.day = ledger.day
LEFT JOIN landed ON landed.day = ledger.day
WHERE ledger.table_name = $table AND ledger.stage = 'validated' AND (
  ledger.offered <> ledger.accepted + ledger.rejected
  OR ledger.accepted <> ledger.valid + ledger.quarantined + ledger.duplicate + ledger.late
  OR ledger.valid <> ledger.written
  OR ledger.valid <> coalesce(written.records, 0)
  OR ledger.rejected + ledger.quarantined + ledger.late <> coalesce(kept.records, 0)
  OR ledger.offered < coalesce(landed.valid, 0)
)
ORDER BY ledger.day
"""


def unbalanced_days(warehouse: Warehouse, table: str) -> list[dt.date]:
    """Days of a table whose books do not balance, against the tables themselves: empty if all do.

    Per day: offered = accepted + rejected; accepted = valid + quarantined + duplicate + late; the table
    holds the valid rows and the quarantine the others; no landed row was left out.
    """
    rows = warehouse.sql(UNBALANCED.format(table=table), {"table": table}).fetchall()
    return [row[0] for row in rows]


def broken_days(warehouse: Warehouse, table: str, days: Sequence[dt.date]) -> list[dt.date]:
    """Those of `days` whose books do not balance."""
    wanted = set(days)
    return [day for day in unbalanced_days(warehouse, table) if day in wanted]
