"""Checks that go across rooms, beside a table's own suite: conservation of every hop, orders three ways."""

from __future__ import annotations

import datetime as dt

from cja_pipeline.quality.hops import hop_outcomes, hops_into
from cja_pipeline.quality.waterfall import CHECK, TARGET, waterfall_outcome
from cja_pipeline.validated.outcomes import Outcome
from cja_pipeline.warehouse import Warehouse


def across_checks(table: str) -> list[dict[str, str]]:
    """The checks of this table as the definitions need them."""
    return [hop.entry() for hop in hops_into(table)] + ([CHECK] if table == TARGET else [])


def across_outcomes(warehouse: Warehouse, table: str, run_id: str, checked_at: dt.datetime) -> list[Outcome]:
    """Their outcomes, in the same order."""
    found = hop_outcomes(warehouse, table, run_id, checked_at)
    return found + ([waterfall_outcome(warehouse, run_id, checked_at)] if table == TARGET else [])
