"""Weights of candidate pairs: Splink's, with household evidence capped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cja_pipeline.customers.identity.scored.engine import linker, quiet
from cja_pipeline.customers.identity.scored.linkage import PERSONAL
from cja_pipeline.customers.identity.scored.model import Model

if TYPE_CHECKING:
    import pyarrow as pa
    from splink import Linker

HOUSEHOLD = ("last_name", "address", "postcode", "city")
NAMES = ("first_name", "last_name")
NAME_ONLY = -1.0  # highest weight of a pair with no other agreement than its names
CAP_FROM = 0.2  # household pairs per match pair from which the cap is worth its cost in recall


def capped(model: Model) -> bool:
    """Whether household evidence is capped: there are addresses, and households outnumber matches."""
    return "address" in model.compared and model.household_rate > CAP_FROM * model.match_rate


def score(records: pa.Table, pairs: pa.Table, model: Model, *, parts: bool = False) -> pa.Table:
    """Weigh pairs of records.

    Args:
        records: linkage rows (``linkage.linkage_rows``) of all records in pairs. pairs: node, other.
        parts: also say what each comparison adds, as columns named after what is compared.

    Returns:
        node, other, weight (bits), is_personal (both sides have a first name, or a birth date).
    """
    with quiet():
        scoring = linker(records, model.settings)
        _register_frequencies(scoring, model)
        database = scoring._db_api
        wanted = pairs.select(["node", "other"]).rename_columns(["join_key_l", "join_key_r"])
        wanted = wanted.append_column("match_key", _zeros(len(wanted)))
        scoring.table_management.register_blocked_pairs_for_predict(database.register(wanted))
        predicted = scoring.inference.predict(warning_mode="never")
        added = {name: f"coalesce(mw_{name}, 0)" for name in model.compared}
        for name in model.frequencies:
            if name in added:
                added[name] += f" + coalesce(mw_tf_adj_{name}, 0)"
        weight = _weight(model, added)
        columns = "".join(f", {bits} AS {name}" for name, bits in added.items()) if parts else ""
        both = " OR ".join(f"(l.{name} IS NOT NULL AND r.{name} IS NOT NULL)" for name in PERSONAL)
        table = _input(scoring)
        return database.duckdb_con.sql(
            f"SELECT unique_id_l AS node, unique_id_r AS other, {weight} AS weight, {both} AS"
            f" is_personal{columns}"
            f" FROM {predicted.physical_name} p JOIN {table} l ON l.unique_id = p.unique_id_l"
            f" JOIN {table} r ON r.unique_id = p.unique_id_r"
        ).to_arrow_table()


def _weight(model: Model, added: dict[str, str]) -> str:
    weight = "match_weight"
    if capped(model):
        # one more class beside match and chance: somebody else of the same household
        shared = " + ".join(added[name] for name in HOUSEHOLD if name in added)
        weight += f" - log2(1 + {model.household_rate!r} * pow(2, least(60, {shared})))"
    others = [f"coalesce(mw_{name}, 0) > 0" for name in added if name not in NAMES]
    if not others:
        return weight
    # a name alone never makes two records one person, however rare it is
    return f"CASE WHEN {' OR '.join(others)} THEN {weight} ELSE least({weight}, {NAME_ONLY}) END"


def _register_frequencies(scoring: Linker, model: Model) -> None:
    """How often each value occurs, as the model saw it; what it did not see is as rare as its rare ones."""
    import pyarrow as pa

    database = scoring._db_api
    connection = database.duckdb_con
    table = _input(scoring)
    for column, known in model.frequencies.items():
        values = known["values"]
        seen = pa.table(
            {
                "value": pa.array(list(values), pa.string()),
                "share": pa.array(list(values.values()), pa.float64()),
            }
        )
        connection.register("seen_values", seen)
        connection.execute(
            f"CREATE TABLE frequency_{column} AS SELECT {column}, coalesce(share, {known['rest']!r}) AS"
            f" tf_{column} FROM (SELECT DISTINCT {column} FROM {table} WHERE {column} IS NOT NULL)"
            f" LEFT JOIN seen_values ON value = {column}"
        )
        connection.unregister("seen_values")
        frequencies = database.register(f"frequency_{column}")
        scoring.table_management.register_term_frequency_lookup(frequencies, column)


def _input(scoring: Linker) -> str:
    return next(iter(scoring._input_tables_dict.values())).physical_name


def _zeros(rows: int) -> pa.Array:
    import pyarrow as pa

    return pa.array(["0"] * rows, pa.string())
