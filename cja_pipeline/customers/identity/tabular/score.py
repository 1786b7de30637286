"""Weights of candidate pairs: Splink's, with what relatives share kept in bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cja_pipeline.customers.identity.scored.engine import linker
from cja_pipeline.customers.identity.tabular.frame import PERSONAL, arrow
from cja_pipeline.customers.identity.tabular.model import Model

if TYPE_CHECKING:
    import pandas as pd
    from splink.internals.splink_dataframe import SplinkDataFrame

HOUSEHOLD = ("last_name", "address", "postcode", "city")
CONTACT = ("emails", "phones")
NAMES = ("first_name", "last_name", "gender")
NAME_ONLY_BITS = (
    4.0  # first and last names go together by region and origin: chance is likelier than its parts
)
SECOND_CONTACT_BITS = 2.0  # most that a second shared mailbox or number adds to the first: couples share both
HOUSEHOLD_BITS = 1.0  # most that a shared name or address adds to a shared mailbox or number
FEW = 100  # rows that chance counts for where values are counted
CAP_FROM = 0.2  # household pairs per match pair from which the cap is worth its cost in recall


class Scorer:
    """Scores pairs of one linkage table with one model."""

    def __init__(self, table: pd.DataFrame, model: Model) -> None:
        self.model = model
        self._table = table
        self._linker = linker(arrow(table), model.settings)
        compared = model.settings["comparisons"]
        self._compared = [one["output_column_name"] for one in compared]
        self._by_frequency = {
            level["tf_adjustment_column"]: level["u_probability"]
            for one in compared
            for level in one["comparison_levels"]
            if level.get("tf_adjustment_column")
        }
        self._register_frequencies()

    @property
    def capped(self) -> bool:
        """Whether household evidence is capped: there are addresses, and households outnumber matches."""
        return "address" in self._compared and self.model.household_rate > CAP_FROM * self.model.match_rate

    def candidates(self, minimum: float) -> pd.DataFrame:
        """All candidate pairs with at least this weight (bits): node, other (rows), weight, is_personal."""
        return self._read(self._linker.inference.predict(), minimum)

    def pairs(self, wanted: pd.DataFrame) -> pd.DataFrame:
        """Weights of the given pairs (node < other), whatever they are."""
        import pandas as pd

        database = self._linker._db_api
        frame = pd.DataFrame({"join_key_l": wanted["node"], "join_key_r": wanted["other"], "match_key": "0"})
        self._linker.table_management.register_blocked_pairs_for_predict(database.register(frame))
        return self._read(self._linker.inference.predict(), None)

    def _register_frequencies(self) -> None:
        """How often each value occurs, drawn to chance: two rows of seven make no common name."""
        database = self._linker._db_api
        table = next(iter(self._linker._input_tables_dict.values())).physical_name
        for column, chance in self._by_frequency.items():
            database.duckdb_con.execute(
                f"CREATE TABLE frequency_{column} AS SELECT {column}, (count(*) + {FEW * chance!r})"
                f" / (sum(count(*)) OVER () + {FEW}) AS tf_{column} FROM {table}"
                f" WHERE {column} IS NOT NULL GROUP BY {column}"
            )
            frequencies = database.register(f"frequency_{column}")
            self._linker.table_management.register_term_frequency_lookup(frequencies, column)

    def _weight(self) -> str:
        """The weight of a pair as SQL.

        Two people who share a mailbox or a number are a household nearly always, so that their shared name,
        address and second number follow from the first. Two who share an address are, beside match and
        chance, of a third class: somebody else of the same household. A name alone is worth less than its
        parts.
        """
        bits = {name: self._bits(name) for name in self._compared}
        household = " + ".join(bits[name] for name in HOUSEHOLD if name in bits) or "0"
        contact = [bits[name] for name in CONTACT if name in bits]
        weight = "match_weight"
        if self.capped:
            weight = (
                f"match_weight - log2(1 + {self.model.household_rate!r} * pow(2, least(60, {household})))"
            )
        if contact:
            twice = f"least({contact[0]}, {contact[1]})" if len(contact) == 2 else "0"
            joint = (
                f"match_weight - greatest(0, {household} - {HOUSEHOLD_BITS})"
                f" - greatest(0, {twice} - {SECOND_CONTACT_BITS})"
            )
            weight = f"CASE WHEN greatest({', '.join(contact)}) > 0 THEN {joint} ELSE {weight} END"
        others = [f"coalesce(mw_{name}, 0) > 0" for name in self._compared if name not in NAMES]
        alone = f"NOT ({' OR '.join(others)})" if others else "true"
        return f"CASE WHEN {alone} THEN {weight} - {NAME_ONLY_BITS} ELSE {weight} END"

    def _bits(self, name: str) -> str:
        rare = f" + coalesce(mw_tf_adj_{name}, 0)" if name in self._by_frequency else ""
        return f"(coalesce(mw_{name}, 0){rare})"

    def _read(self, predicted: SplinkDataFrame, minimum: float | None) -> pd.DataFrame:
        weight = self._weight()
        where = "" if minimum is None else f" WHERE {weight} >= {minimum!r}"
        frame = self._linker.misc.query_sql(
            f"SELECT unique_id_l AS node, unique_id_r AS other, {weight} AS weight"
            f" FROM {predicted.physical_name}{where}",
            output_type="pandas",
        )
        left, right = frame["node"].to_numpy(), frame["other"].to_numpy()
        known = [self._table[name].notna().to_numpy() for name in PERSONAL]
        frame["is_personal"] = sum((column[left] & column[right] for column in known), start=False)
        return frame.astype({"is_personal": bool}).sort_values(["node", "other"], ignore_index=True)
