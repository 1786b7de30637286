"""The query that weighs pairs is Splink's: a linker of its own says the same of the same rows."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from cja_pipeline.customers.config import identity
from cja_pipeline.customers.identity.exchange import arrow
from cja_pipeline.customers.identity.scored.engine import linker, quiet
from cja_pipeline.customers.identity.scored.linkage import prepare
from cja_pipeline.customers.identity.scored.model import current
from cja_pipeline.customers.identity.scored.score import score
from cja_pipeline.warehouse import Warehouse


def test_each_comparison_adds_what_splinks_linker_adds(night_copy: Path) -> None:
    model = current(None)
    with Warehouse(night_copy / "warehouse.duckdb") as wh:
        # everybody with the next in line, too: most of these pairs have nothing in common
        wh.execute(
            "CREATE TEMP TABLE wanted AS SELECT node, other FROM customers.identity_pairs UNION "
            "SELECT * FROM (SELECT node, lead(node) OVER (ORDER BY node) AS other "
            "FROM customers.identity_records) WHERE other IS NOT NULL"
        )
        wh.execute("CREATE TEMP TABLE ends AS SELECT node FROM wanted UNION SELECT other FROM wanted")
        prepare(wh, identity(), "ends", model.frequencies)
        score(wh, model, "wanted", parts=True)
        found = wh.df("SELECT * FROM scored").set_index(["node", "other"]).sort_index()
        rows, pairs = arrow(wh, "SELECT * FROM linkage_rows"), arrow(wh, "SELECT * FROM wanted")
    with quiet():
        scoring = linker(rows.drop([f"tf_{column}" for column in model.frequencies]), model.settings)
        database = scoring._db_api
        for column, known in model.frequencies.items():
            values = set(rows[column].drop_null().to_pylist())
            shares = {value: known["values"].get(value, known["rest"]) for value in values}
            table = pa.table({column: list(shares), f"tf_{column}": list(shares.values())})
            scoring.table_management.register_term_frequency_lookup(database.register(table), column)
        wanted = pairs.rename_columns(["join_key_l", "join_key_r"])
        wanted = wanted.append_column("match_key", pa.array(["0"] * len(wanted)))
        scoring.table_management.register_blocked_pairs_for_predict(database.register(wanted))
        told = scoring.inference.predict(warning_mode="never").as_pandas_dataframe()
    told = told.set_index(["unique_id_l", "unique_id_r"]).sort_index()
    assert len(found) == len(told) == len(pairs) > 300
    by_frequency = 0
    for name in model.compared:
        expected = told[f"mw_{name}"].fillna(0)
        if f"mw_tf_adj_{name}" in told:
            expected = expected + told[f"mw_tf_adj_{name}"].fillna(0)
            by_frequency += int((told[f"mw_tf_adj_{name}"].fillna(0) != 0).sum())
        assert found[name].to_numpy() == pytest.approx(expected.to_numpy(), abs=1e-9), name
    assert by_frequency > 100
    assert found["weight"].nunique() > 50
