"""Learning a model from unlabelled records: how often columns agree by chance, and in matches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from cja_pipeline.customers.config import Identity
from cja_pipeline.customers.identity.exchange import arrow
from cja_pipeline.customers.identity.names import NameBook
from cja_pipeline.customers.identity.scored.blocks import affordable_blocks
from cja_pipeline.customers.identity.scored.compare import comparisons
from cja_pipeline.customers.identity.scored.engine import linker, quiet
from cja_pipeline.customers.identity.scored.learn import Levels, expected_matches, non_null_levels, posterior
from cja_pipeline.customers.identity.scored.linkage import LISTS, prepare
from cja_pipeline.customers.identity.scored.model import Model
from cja_pipeline.customers.identity.scored.precision import measure_precision
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

# pairs that hardly ever are two people: their number tells how many matches there are at all
SURE = (
    ("first_name", "last_name", "birth_date"),
    ("first_name", "last_name", "address"),
    ("first_name", "birth_date", "postcode"),
)
SURE_RECALL = 0.7  # share of all matches that the sure pairs are taken to find
# not addresses: there the model would learn families instead of people
TRAINING_BLOCKS = (("birth_date",), ("first_name", "last_name"), ("emails",))
ENOUGH_PAIRS = 200  # fewer pairs in a training block teach nothing
MOST_RECORDS = 500_000  # of more, so many teach agreement: chance and matches are the same among any of them
MOST_PAIRS = 1_000_000  # more than that in a training block teach nothing more
SAMPLE_PAIRS = 1_000_000
ENOUGH_FILLED = 0.02  # a column filled less than this says too little to be compared
CLEAN_NAMES = 0.02  # conflicts among sure matches below which a conflict is believed
LISTED_FROM, LISTED = (
    3,
    20_000,
)  # a value's frequency is remembered if so many records share it; at most so many
WEIGHED_BY_FREQUENCY = ("first_name", "last_name", "address", "postcode", "city")
DEFAULT_DATE_RECORDS = 20
SEED = 1
RECORDS = "customers.identity_records"


def first_names(wh: Warehouse) -> dict[str, int]:
    """How often each first name occurs, of those that are no slip of the pen."""
    return dict(
        wh.sql(
            f"SELECT given, count(*) AS n FROM {RECORDS} WHERE given IS NOT NULL GROUP BY given"
            f" HAVING n >= {LISTED_FROM} ORDER BY n DESC, given LIMIT {LISTED}"
        ).fetchall()
    )


def default_dates(wh: Warehouse, rules: Identity, known: Iterable[str]) -> tuple[str, ...]:
    """Birth dates that so many records share that they must be a form's default; `known` ones are not"
    " read."""
    found = wh.sql(
        f"SELECT born FROM {RECORDS} WHERE born IS NOT NULL GROUP BY born HAVING count(*) >"
        f" greatest({DEFAULT_DATE_RECORDS}, ? * (SELECT count(born) FROM {RECORDS})) ORDER BY born",
        [rules.birth_dates.most_share],
    ).fetchall()
    return tuple(sorted({*known, *(row[0] for row in found)}))


def train(wh: Warehouse, rules: Identity, known_dates: Iterable[str] = ()) -> Model:
    """Learn a model from the records in the identity tables (``intake`` and ``values`` have filled them).

    Chance (u) comes from random pairs, matches (m) from expectation maximisation inside blocks; what a table
    is too small to teach keeps its starting value. Identifiers are almost unique and meet by chance too
    rarely for random pairs: theirs follows from their measured precision.

    Args:
        known_dates: birth dates that were known before as a form's default.
    """
    from splink import SettingsCreator

    names = first_names(wh)
    measured = measure_precision(wh, NameBook(rules.names, names))
    total = wh.count(RECORDS)
    part = -(-total // MOST_RECORDS)
    wh.execute(
        f"CREATE OR REPLACE TEMP TABLE taught AS SELECT node FROM {RECORDS}"
        f" WHERE hash(node) % {max(part, 1)} = 0"
    )
    prepare(wh, rules, "taught")
    records = arrow(wh, "SELECT * FROM linkage_rows")
    wh.execute("DROP TABLE linkage_rows")
    filled = {
        name: 1 - records[name].null_count / max(len(records), 1)
        for name in records.column_names
        if name not in ("unique_id", "first_roots", "birth_swapped")
    }
    present = {name for name, share in filled.items() if share >= ENOUGH_FILLED}
    with quiet():
        settings = SettingsCreator(
            link_type="dedupe_only",
            comparisons=comparisons(present),
            blocking_rules_to_generate_predictions=[],
            retain_matching_columns=False,
            retain_intermediate_calculation_columns=True,
            probability_two_random_records_match=0.5,
        )
        learning = linker(records, settings)
        learning.training.estimate_u_using_random_sampling(
            max_pairs=SAMPLE_PAIRS + 1, min_count_per_level=None, num_chunks=1, seed=SEED
        )
        learnt = learning.misc.save_model_to_json()
        rate = _match_rate(wh, present)
        learnt["probability_two_random_records_match"] = rate
        _floor_chance(learnt)
        precision = {LISTS[kind]: share for kind, share in measured.precision.items()}
        _set_chance(learnt, rate, precision)
        _learn_matches(wh, learnt, records, present)
        _set_chance(learnt, rate, precision)
    in_matches = measured.in_matches
    return Model(
        settings=learnt,
        match_rate=rate,
        household_rate=_household_rate(wh, present),
        precision=measured.precision,
        clean_names=in_matches is not None and in_matches <= CLEAN_NAMES,
        blocks=affordable_blocks(wh, rules, present),
        frequencies={
            column: _frequencies(wh, column) for column in WEIGHED_BY_FREQUENCY if column in present
        },
        first_names=names,
        default_dates=default_dates(wh, rules, known_dates),
        filled={name: round(share, 4) for name, share in filled.items()},
        records=total,
    )


def _learn_matches(wh: Warehouse, learnt: dict[str, Any], records: pa.Table, present: set[str]) -> None:
    """Set m of every level from all training blocks together."""
    import numpy as np

    levels = non_null_levels(learnt)
    start = {name: np.array([level["m_probability"] for level in parts]) for name, parts in levels.items()}
    start = {name: values / values.sum() for name, values in start.items()}
    found = {name: np.zeros(len(values)) for name, values in start.items()}
    comparing = linker(records, learnt | {"retain_matching_columns": True})
    for columns in TRAINING_BLOCKS:
        if set(columns) <= present and len(pairs := _training_pairs(comparing, columns)) >= ENOUGH_PAIRS:
            patterns = _patterns(comparing, pairs, [name for name in levels if name not in columns], levels)
            for name, counts in expected_matches(patterns, levels, start).items():
                found[name] += counts
    for name, parts in levels.items():
        for level, share in zip(parts, posterior(found[name], start[name]), strict=True):
            level["m_probability"] = float(share)


def _training_pairs(comparing: Any, columns: tuple[str, ...]) -> pa.Table:
    """Pairs that agree in these columns, a reproducible sample of their values where there are too many."""
    connection = comparing._db_api.duckdb_con
    table = next(iter(comparing._input_tables_dict.values())).physical_name
    value = "unnest(emails)" if columns == ("emails",) else f"concat_ws('|', {', '.join(columns)})"
    known = " AND ".join(f"{column} IS NOT NULL" for column in columns)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE values_of AS SELECT unique_id, {value} AS value FROM {table} WHERE"
        f" {known}"
    )
    pairs = connection.execute(
        "SELECT coalesce(sum(n * (n - 1) / 2), 0) FROM (SELECT count(*) AS n FROM values_of GROUP BY value)"
    ).fetchall()[0][0]
    part = int(pairs // MOST_PAIRS) + 1
    return connection.sql(
        "SELECT DISTINCT l.unique_id AS join_key_l, r.unique_id AS join_key_r, '0' AS match_key FROM"
        " values_of l"
        " JOIN values_of r ON l.value = r.value AND l.unique_id < r.unique_id"
        f" WHERE hash(l.value) % {part} = 0"
    ).to_arrow_table()


def _patterns(comparing: Any, pairs: pa.Table, kept: list[str], levels: Levels) -> pd.DataFrame:
    """How often each pattern of agreement occurs among pairs."""
    database = comparing._db_api
    comparing.table_management.register_blocked_pairs_for_predict(database.register(pairs))
    predicted = comparing.inference.predict(warning_mode="never")
    codes = ", ".join(
        f"CASE WHEN gamma_{name} < 0 THEN -1 ELSE {len(levels[name]) - 1} - gamma_{name} END AS {name}"
        for name in kept
    )
    return database.duckdb_con.execute(
        f"SELECT {codes}, count(*) AS pairs FROM {predicted.physical_name} GROUP BY ALL ORDER BY ALL"
    ).df()


def _floor_chance(learnt: dict[str, Any]) -> None:
    """Levels that no random pair was in get half a pair's share."""
    for parts in non_null_levels(learnt).values():
        for level in parts:
            known = level.get("u_probability")
            level["u_probability"] = max(known or 0.0, 0.5 / SAMPLE_PAIRS)


def _set_chance(learnt: dict[str, Any], match_rate: float, precision: dict[str, float]) -> None:
    """Set how often two people share a value so that its pairs are one person as often as measured."""
    for comparison in learnt["comparisons"]:
        share = precision.get(comparison["output_column_name"])
        if share is not None:
            level = next(part for part in comparison["comparison_levels"] if not part.get("is_null_level"))
            level["u_probability"] = match_rate * level["m_probability"] * (1 - share) / share


def _frequencies(wh: Warehouse, column: str) -> dict[str, Any]:
    total, distinct = wh.sql(f"SELECT count({column}), count(DISTINCT {column}) FROM {RECORDS}").fetchall()[0]
    listed = wh.sql(
        f"SELECT {column}, count(*) AS n FROM {RECORDS} WHERE {column} IS NOT NULL GROUP BY 1"
        f" HAVING n >= {LISTED_FROM} ORDER BY n DESC, {column} LIMIT {LISTED}"
    ).fetchall()
    others, rest = distinct - len(listed), total - sum(n for _, n in listed)
    return {
        "values": {value: round(n / total, 9) for value, n in listed},
        "rest": (rest / others if others else 1) / max(total, 1),
    }


def _match_rate(wh: Warehouse, present: set[str]) -> float:
    """Probability that two random records are one person, from the number of sure pairs."""
    total = wh.count(RECORDS)
    everything = total * (total - 1) / 2
    parts = [
        "SELECT l.node AS a, r.node AS b FROM identity_mail l JOIN identity_mail r ON l.key = r.key"
        " AND l.node < r.node"
    ]
    wh.execute(
        "CREATE OR REPLACE TEMP TABLE identity_mail AS SELECT c.node, c.key FROM customers.identity_keys c"
        " LEFT JOIN customers.identity_values v ON v.key = c.key"
        " WHERE c.kind = 'email' AND coalesce(v.used, true) AND NOT coalesce(v.shared, false)"
    )
    for columns in SURE:
        if set(columns) <= present:
            same = " AND ".join(f"l.{column} = r.{column}" for column in columns)
            parts.append(
                f"SELECT l.node, r.node FROM {RECORDS} l JOIN {RECORDS} r ON {same} AND l.node < r.node"
            )
    sure = wh.scalar(f"SELECT count(*) FROM ({' UNION '.join(parts)})")
    wh.execute("DROP TABLE identity_mail")
    return min(0.5, max(sure, 1) / SURE_RECALL / everything) if everything else 1e-4


def _household_rate(wh: Warehouse, present: set[str]) -> float:
    """Probability that two random records with an address are two people of one household.

    Counted as pairs at one address with different first names; 0 without addresses.
    """
    if not {"address", "first_name"} <= present:
        return 0.0
    place = ("address", "postcode") if "postcode" in present else ("address",)
    known = " AND ".join(f"{column} IS NOT NULL" for column in (*place, "first_name"))
    sizes: Counter[str] = Counter()
    for name, columns in (("place", place), ("name", (*place, "first_name"))):
        sizes[name] = int(
            wh.scalar(
                "SELECT coalesce(sum(n * (n - 1) // 2), 0) FROM (SELECT CAST(count(*) AS HUGEINT) AS n FROM"
                f" {RECORDS} WHERE {known} GROUP BY {', '.join(columns)})"
            )
        )
    total = int(wh.scalar(f"SELECT count(*) FROM {RECORDS} WHERE {known}"))
    everything = total * (total - 1) / 2
    return (sizes["place"] - sizes["name"]) / everything if everything else 0.0
