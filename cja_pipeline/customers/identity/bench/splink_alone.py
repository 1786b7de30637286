"""Splink by its documentation: its own comparisons, trained on the records, connected components.

What a careful reader of the tutorial would set up on these columns: values cleaned, blocking on the same
identifiers and on names with birth date or postcode, a threshold of 0.95. No junk lists, no vetoes, no hashes
of addresses, no look at the groups. Splink's linking inside `cja_pipeline` is another row of the benchmark.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cja_pipeline.customers.identity.bench.measures import Row

if TYPE_CHECKING:
    import numpy as np

NAME = "Splink alone, documented defaults"
THRESHOLD = 0.95
KEYS = ("crm_id", "login_id", "loyalty_id", "email", "phone")
PEOPLE = ("first_name", "last_name", "birth_date", "postcode")
PAIRS = 1_000_000  # random pairs that u-probabilities are estimated on
SURE = 0.7  # assumed recall of equal identifiers, as in the tutorial


def measure_splink(folder: Path) -> Row:
    """Quality and cost on the world of the benchmark in `folder`."""
    from cja_pipeline.customers.identity.bench import measures
    from cja_pipeline.machine import Meter

    meter = Meter()
    labels = _labels(folder)
    cost = meter.read()
    return measures.measured(NAME, folder, labels, cost.cpu_seconds, cost.peak_mb)


def _labels(folder: Path) -> np.ndarray:
    import duckdb
    import pandas as pd
    import splink.comparison_library as cl
    from splink import DuckDBAPI, Linker, SettingsCreator, block_on

    from cja_pipeline.customers.identity.scored.engine import quiet

    records = pd.read_parquet(folder / "records.parquet", columns=["row", *KEYS, *PEOPLE])
    texts = [*KEYS, *PEOPLE]
    records[texts] = records[texts].astype("str").apply(lambda column: column.str.strip().str.lower())
    sure = [block_on(key) for key in KEYS]
    settings = SettingsCreator(
        link_type="dedupe_only",
        unique_id_column_name="row",
        comparisons=[
            cl.NameComparison("first_name"),
            cl.NameComparison("last_name"),
            cl.DateOfBirthComparison("birth_date", input_is_string=True),
            cl.EmailComparison("email"),
            *(cl.ExactMatch(name) for name in ("phone", "postcode", "crm_id", "login_id", "loyalty_id")),
        ],
        blocking_rules_to_generate_predictions=[
            *sure,
            block_on("first_name", "last_name", "birth_date"),
            block_on("first_name", "last_name", "postcode"),
        ],
    )
    with duckdb.connect() as connection, quiet():
        linker = Linker(DuckDBAPI(connection).register(records), settings, log_level=None)
        linker.training.estimate_probability_two_random_records_match([*sure], recall=SURE)
        linker.training.estimate_u_using_random_sampling(max_pairs=PAIRS, seed=1)
        for rule in (block_on("email"), block_on("first_name", "last_name")):
            linker.training.estimate_parameters_using_expectation_maximisation(rule)
        pairs = linker.inference.predict(threshold_match_probability=THRESHOLD)
        found = linker.clustering.cluster_pairwise_predictions_at_threshold(pairs, THRESHOLD)
        groups = found.as_pandas_dataframe().set_index("row")["cluster_id"]
    return pd.factorize(groups.reindex(records["row"]))[0]
