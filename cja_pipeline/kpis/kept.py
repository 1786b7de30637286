"""Rows of KPI values stay as they are while what they are made of does.

The rows of a period are a function of its sums over units, of what can be said about its days, and of rules.
A digest of these is kept for each KPI and period; where it is that of the night before, so are the rows. The
sums are taken anew of everything, so that nothing that changes a past number can be overlooked: late rows,
merges, refunds, another model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cja_pipeline import __version__, keyed
from cja_pipeline.kpis.counted import fingerprint
from cja_pipeline.tables import PACKAGE, TABLES, files_digest
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cja_pipeline.kpis.blocks import Block, Days
    from cja_pipeline.kpis.counted import Digests

    Place = tuple[str, str]  # KPI and grain
    Masks = dict[Place, NDArray[np.bool_]]

VALUES, PERIODS = "kpis.kpi_values", "kpis.kpi_periods"
TOUCHED = "touched_periods"  # a temporary table
PERIOD = "(v.kpi_id, v.grain, v.period_start)"


def touched(wh: Warehouse, digests: Mapping[Place, Digests], starts: Mapping[str, Days]) -> Masks:
    """The periods of each KPI and grain whose rows are to be made anew: all of them, if most are.

    Args:
        digests: by KPI and grain, in the order of `starts`, the periods that are published.
    """
    import numpy as np

    everything = {place: np.ones(len(each), dtype=bool) for place, each in digests.items()}
    if not wh.replaces_rows:
        return everything
    for table in (PERIODS, keyed.STATE):
        wh.ensure(table)
    wh.connection.register("periods_now", _frame(digests, starts))
    try:
        wh.execute(
            f"CREATE OR REPLACE TEMP TABLE {TOUCHED} AS SELECT kpi_id, grain, period_start, n.place "
            f"FROM periods_now n FULL JOIN {PERIODS} o USING (kpi_id, grain, period_start) "
            "WHERE n.digest IS DISTINCT FROM o.digest"
        )
    finally:
        wh.connection.unregister("periods_now")
    rows = wh.sql(f"SELECT kpi_id, grain, place FROM {TOUCHED} WHERE place IS NOT NULL").fetchall()
    most = keyed.MOST * sum(map(len, digests.values()))
    if len(rows) > most or not keyed.is_known(wh, VALUES, _rules()):
        return everything
    found = {place: np.zeros(len(each), dtype=bool) for place, each in digests.items()}
    for kpi, grain, place in rows:
        found[kpi, grain][place] = True
    return found


def renew(
    wh: Warehouse, values: Block, digests: Mapping[Place, Digests], starts: Mapping[str, Days], masks: Masks
) -> int:
    """Bring ``kpis.kpi_values`` up to date with the rows of the touched periods; returns all its rows."""
    import pandas as pd

    if all(mask.all() for mask in masks.values()):
        rows = wh.write(VALUES, pd.DataFrame(values))
    else:
        wh.execute(
            f"DELETE FROM {VALUES} v WHERE {PERIOD} IN (SELECT (kpi_id, grain, period_start) FROM {TOUCHED})"
        )
        if any(mask.any() for mask in masks.values()):
            wh.connection.register("values_now", pd.DataFrame(values))
            try:
                wh.insert(VALUES, "SELECT * FROM values_now")
            finally:
                wh.connection.unregister("values_now")
        rows = wh.count(VALUES)
    if wh.replaces_rows:
        wh.write(PERIODS, _frame(digests, starts).drop(columns="place"))
        keyed.note(wh, VALUES, _rules(), rows)
        wh.execute(f"DROP TABLE {TOUCHED}")
    return rows


def _rules() -> str:
    """What all rows depend on besides their digests: how numbers are made of sums, and the columns."""
    code = files_digest((PACKAGE / "kpis").glob("*.py"))
    columns = [(name, column.type) for name, column in TABLES[VALUES].columns.items()]
    return f"{fingerprint([__version__, columns, code]):016x}"


def _frame(digests: Mapping[Place, Digests], starts: Mapping[str, Days]) -> Any:
    """One row per KPI, grain and period, with its place among the periods of the grain."""
    import numpy as np
    import pandas as pd

    return pd.DataFrame(
        {
            "kpi_id": np.repeat([kpi for kpi, _ in digests], [len(each) for each in digests.values()]),
            "grain": np.repeat([grain for _, grain in digests], [len(each) for each in digests.values()]),
            "period_start": np.concatenate([starts[grain] for _, grain in digests]).astype("datetime64[s]"),
            "place": np.concatenate([np.arange(len(each)) for each in digests.values()]),
            "digest": np.concatenate(list(digests.values())).view(np.int64),
        }
    )
