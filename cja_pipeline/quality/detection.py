"""How well planted faults are found: recall and precision per class, against the simulator's truth.

The classes are data (``defects.yml``). Only measurements and tests read the truth; the pipeline never does.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from cja_pipeline.config import StrictModel, load_file
from cja_pipeline.validated.suites import load_suite
from cja_pipeline.validated.usual_checks import odd_days
from cja_pipeline.warehouse import Warehouse

CLASSES = Path(__file__).parent / "defects.yml"
UNSETTLED_DAYS = 4  # web events still arrive so long after their day
ONE = "one"  # the key of records that cannot be told apart


class DefectClass(StrictModel):
    """One class of planted faults; see ``defects.yml``."""

    name: str
    where: str
    how: str
    planted: str
    found: str
    rows_only: bool = False


class DefectsFile(StrictModel):
    classes: list[DefectClass]


@dataclass(frozen=True)
class Measured:
    """How a class was found: records planted, found, and found rightly."""

    name: str
    where: str
    how: str
    planted: int
    found: int
    right: int
    rows_only: bool

    @property
    def recall(self) -> float | None:
        return self.right / self.planted if self.planted else None

    @property
    def precision(self) -> float | None:
        return None if self.rows_only or not self.found else self.right / self.found


@dataclass(frozen=True)
class Incident:
    """A planted incident and what told of it: (day, check and series) within its days."""

    name: str
    first_day: dt.date
    last_day: dt.date
    signs: list[str]


def defect_classes() -> list[DefectClass]:
    """The declared classes."""
    return load_file(CLASSES, DefectsFile).classes


def measure(warehouse: Warehouse, truth: Path, last_day: dt.date) -> list[Measured]:
    """Measure every class on a warehouse whose history ends with `last_day`."""
    settled = last_day - dt.timedelta(days=UNSETTLED_DAYS)
    warehouse.execute(f"CREATE OR REPLACE TEMP TABLE scope AS SELECT DATE '{settled}' AS settled")
    warehouse.execute(
        f"CREATE OR REPLACE TEMP TABLE planted AS SELECT * FROM '{truth}/defects.parquet' "
        f"WHERE day <= DATE '{last_day}' AND (source <> 'ga4' OR contains(kind, 'bot') "
        f"OR kind = 'store_tablet' OR day <= DATE '{settled}')"
    )
    warehouse.execute(
        f"CREATE OR REPLACE TEMP TABLE truth_orders AS SELECT * FROM '{truth}/orders.parquet' "
        f"WHERE CAST(in_crm_at AS DATE) <= DATE '{last_day}'"
    )
    return [_measure(warehouse, one) for one in defect_classes()]


def _measure(warehouse: Warehouse, one: DefectClass) -> Measured:
    planted, found, right = warehouse.sql(
        "WITH planted_keys AS (SELECT CAST(k AS VARCHAR) AS k, count(*) AS n "
        f"FROM ({one.planted}) GROUP BY 1), "
        f"found_keys AS (SELECT CAST(k AS VARCHAR) AS k, count(*) AS n FROM ({one.found}) GROUP BY 1) "
        "SELECT (SELECT coalesce(sum(n), 0) FROM planted_keys), "
        "(SELECT coalesce(sum(n), 0) FROM found_keys), "
        f"(SELECT coalesce(sum(CASE WHEN p.k = '{ONE}' THEN least(p.n, f.n) ELSE p.n END), 0) "
        "FROM planted_keys AS p JOIN found_keys AS f ON f.k = p.k)"
    ).fetchall()[0]
    return Measured(one.name, one.where, one.how, int(planted), int(found), int(right), one.rows_only)


def incidents(warehouse: Warehouse, truth: Path) -> list[Incident]:
    """The planted incidents with their signs: daily figures judged unusual, silent hours, new values."""
    rows = warehouse.sql(
        f'SELECT name, CAST("from" + INTERVAL 2 HOUR AS DATE), CAST("to" AS DATE), kind '
        f"FROM '{truth}/incidents.parquet' ORDER BY \"from\""
    ).fetchall()
    signs = [*odd_signs(warehouse), *_drift_signs(warehouse)]
    found = []
    for name, first, last, kind in rows:
        until = last if kind != "drift" else first + dt.timedelta(days=3)
        told = [f"{day} {text}" for day, text in signs if first <= day <= until]
        found.append(Incident(name, first, until, told))
    return found


def odd_signs(warehouse: Warehouse) -> list[tuple[dt.date, str]]:
    """Every unusual day of every watched table."""
    found: list[tuple[dt.date, str]] = []
    for table in watched_tables(warehouse):
        suite = load_suite(table)
        if suite is not None:
            found += [
                (day, f"{table.removeprefix('validated.')} {text}")
                for day, text in odd_days(warehouse, suite)
            ]
    return sorted(found)


def watched_tables(warehouse: Warehouse) -> list[str]:
    """Tables with loaded days."""
    rows = warehouse.sql("SELECT DISTINCT table_name FROM quality.ledger ORDER BY table_name").fetchall()
    return [row[0] for row in rows]


def _drift_signs(warehouse: Warehouse) -> list[tuple[dt.date, str]]:
    rows = warehouse.sql(
        "SELECT min(day), kind, field FROM quality.drift "
        "WHERE kind IN ('unknown', 'value', 'renamed', 'missing') GROUP BY kind, field"
    ).fetchall()
    return [(day, f"{kind} {field}") for day, kind, field in rows]
