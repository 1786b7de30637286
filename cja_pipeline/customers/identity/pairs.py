"""Scored pairs of records, kept from night to night: found again only where records moved."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from cja_pipeline.customers.config import Identity
from cja_pipeline.customers.identity.scored.linkage import prepare
from cja_pipeline.customers.identity.scored.model import Model
from cja_pipeline.customers.identity.scored.score import score
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

PAIRS = "customers.identity_pairs"


def positive(rules: Identity) -> str:
    """Condition on identity_pairs: this pair speaks for one person."""
    return f"(rule <> 'score' OR (veto IS NULL AND weight >= {rules.scoring.threshold_bits!r}))"


def renew(wh: Warehouse, rules: Identity, model: Model, moment: dt.datetime, *, whole: bool) -> None:
    """Replace the pairs of all records in `touched` (all records, if `whole`) by `sure` and `candidates`.

    Leaves the temporary table `seeds` (node): records whose group may have changed.
    """
    wh.ensure(PAIRS)
    speaks = positive(rules)
    gone = "(node IN (SELECT node FROM touched) OR other IN (SELECT node FROM touched))"
    wh.execute(f"CREATE OR REPLACE TEMP TABLE pairs_before AS SELECT * FROM {PAIRS} WHERE {gone}")
    wh.execute(f"DELETE FROM {PAIRS} WHERE {gone}")
    _score(wh, rules, model)
    wh.execute(
        f"INSERT INTO {PAIRS} SELECT n.node, n.other, n.rule, n.weight, n.veto, coalesce(b.since, ?) FROM ("
        " SELECT node, other, rule, NULL AS weight, NULL AS veto FROM sure UNION ALL"
        " SELECT s.node, s.other, 'score', s.weight, c.veto FROM scored s JOIN candidates c USING (node,"
        " other)"
        f" WHERE s.weight >= {rules.scoring.kept_bits!r} OR c.veto IS NOT NULL) n"
        " LEFT JOIN pairs_before b ON b.node = n.node AND b.other = n.other AND b.rule = n.rule",
        [moment],
    )
    others = "".join(
        f" UNION SELECT {end} FROM {table} WHERE {speaks} AND {gone}"
        for table in ("pairs_before", PAIRS)
        for end in ("node", "other")
    )
    wh.execute(f"CREATE OR REPLACE TEMP TABLE seeds AS SELECT node FROM touched{'' if whole else others}")
    for table in ("pairs_before", "scored", "candidates", "sure"):
        wh.execute(f"DROP TABLE {table}")


def weights(wh: Warehouse, rules: Identity, model: Model, pairs: pd.DataFrame) -> pd.DataFrame:
    """Weights of any pairs of records (node, other): node, other, weight, is_personal."""
    wh.connection.register("wanted_pairs", pairs[["node", "other"]])
    try:
        wh.execute("CREATE OR REPLACE TEMP TABLE candidates AS SELECT node, other FROM wanted_pairs")
    finally:
        wh.connection.unregister("wanted_pairs")
    _score(wh, rules, model)
    return wh.df("SELECT node, other, weight, is_personal FROM scored ORDER BY node, other")


def _score(wh: Warehouse, rules: Identity, model: Model) -> None:
    """Weigh the pairs in the temporary table `candidates`; leaves `scored`."""
    ends = "SELECT node FROM candidates UNION SELECT other FROM candidates"
    wh.execute(f"CREATE OR REPLACE TEMP TABLE compared AS {ends}")
    prepare(wh, rules, "compared", model.frequencies)
    score(wh, model, "candidates")
    for table in ("compared", "linkage_rows"):
        wh.execute(f"DROP TABLE {table}")
