"""What each comparison of two records adds to their weight, so that all of it adds up."""

from __future__ import annotations

import math
from pathlib import Path

from cja_pipeline.customers import config
from cja_pipeline.customers.identity.exchange import arrow
from cja_pipeline.customers.identity.links import Row
from cja_pipeline.customers.identity.scored.linkage import prepare
from cja_pipeline.customers.identity.scored.model import current
from cja_pipeline.customers.identity.scored.score import NAMES, score
from cja_pipeline.warehouse import Warehouse

NOTICED = 0.05  # bits


def parts_of(wh: Warehouse, record: str, other: str, models: Path | None) -> list[Row]:
    """The way from any two records to the weight of these, by the model in use.

    Returns:
        Rows of compared, they are, adds bits: what two records start with, every comparison, what is taken
        off again, and the sum. Empty if one of the records describes nobody.
    """
    nodes = wh.sql(
        "SELECT node FROM customers.identity_records WHERE record_key IN (?, ?) ORDER BY node",
        [record, other],
    ).fetchall()
    if len(nodes) < 2:
        return []
    rules, model = config.identity(), current(models)
    wh.execute(
        "CREATE OR REPLACE TEMP TABLE explained AS SELECT unnest(?::BIGINT[]) AS node",
        [[n for (n,) in nodes]],
    )
    prepare(wh, rules, "explained", model.frequencies)
    wh.execute(
        "CREATE OR REPLACE TEMP TABLE explained_pair AS"
        " SELECT min(node) AS node, max(node) AS other FROM explained"
    )
    score(wh, model, "explained_pair", parts=True)
    weighed = arrow(wh, "SELECT * FROM scored").to_pylist()[0]
    rows = arrow(wh, "SELECT * FROM linkage_rows")
    present = {name: rows[name].to_pylist() for name in rows.column_names}
    start = math.log2(model.match_rate / (1 - model.match_rate))
    found = [_row("any two records", "", start)]
    found += [_row(name, _said(present.get(name), weighed[name]), weighed[name]) for name in model.compared]
    taken = weighed["weight"] - start - sum(weighed[name] for name in model.compared)
    if abs(taken) >= NOTICED:
        only_names = not any(weighed[name] > 0 for name in model.compared if name not in NAMES)
        found.append(_row("a name alone" if only_names else "shared by a household as well", "", taken))
    return [*found, _row("together", "", weighed["weight"])]


def _said(both: list[object] | None, bits: float) -> str:
    if both is None or any(value is None for value in both):
        return "missing"
    if both[0] == both[1]:
        return "equal"
    return "alike" if bits > 0 else "different"


def _row(compared: str, said: str, bits: float) -> Row:
    return {"compared": compared, "they are": said, "adds bits": round(bits, 1)}
