"""Scored pairs of records, kept from night to night: found again only where records moved."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from cja_pipeline.customers.config import Identity
from cja_pipeline.customers.identity.scored.linkage import arrow, linkage_rows, prepare
from cja_pipeline.customers.identity.scored.model import Model
from cja_pipeline.customers.identity.scored.score import score
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

AT_ONCE = 600_000  # pairs scored at a time: bounds memory
PAIRS = "customers.identity_pairs"


def positive(rules: Identity) -> str:
    """Condition on identity_pairs: this pair speaks for one person."""
    return f"(rule <> 'score' OR (veto IS NULL AND weight >= {rules.scoring.threshold_bits!r}))"


def renew(wh: Warehouse, rules: Identity, model: Model, moment: dt.datetime) -> None:
    """Replace the pairs of all records in `touched` by those in `sure` and `candidates`.

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
    wh.execute(
        "CREATE OR REPLACE TEMP TABLE seeds AS SELECT node FROM touched"
        + "".join(
            f" UNION SELECT {end} FROM {table} WHERE {speaks} AND {gone}"
            for table in ("pairs_before", PAIRS)
            for end in ("node", "other")
        )
    )
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
    wh.execute(
        "CREATE OR REPLACE TEMP TABLE scored (node BIGINT, other BIGINT, weight DOUBLE, is_personal BOOLEAN)"
    )
    ends = "SELECT node FROM {0} UNION SELECT other FROM {0}"
    wh.execute(f"CREATE OR REPLACE TEMP TABLE part_nodes AS {ends.format('candidates')}")
    prepare(wh, rules, "part_nodes")
    parts = -(-int(wh.scalar("SELECT count(*) FROM candidates")) // AT_ONCE)
    for part in range(parts):
        mine = f"SELECT node, other FROM candidates WHERE hash(node) % {parts} = {part}"
        wh.execute(f"CREATE OR REPLACE TEMP TABLE part_pairs AS {mine}")
        wh.execute(f"CREATE OR REPLACE TEMP TABLE part_nodes AS {ends.format('part_pairs')}")
        records = linkage_rows(wh, "part_nodes")
        weighed = score(records, arrow(wh, "SELECT * FROM part_pairs"), model)
        wh.connection.register("weighed", weighed)
        try:
            wh.execute("INSERT INTO scored SELECT node, other, round(weight, 6), is_personal FROM weighed")
        finally:
            wh.connection.unregister("weighed")
    for table in ("part_pairs", "part_nodes", "key_lists"):
        wh.execute(f"DROP TABLE IF EXISTS {table}")
