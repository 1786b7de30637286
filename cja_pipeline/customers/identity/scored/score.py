"""Weights of candidate pairs: Splink's, with household evidence capped."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from cja_pipeline.customers.identity.scored.linkage import PERSONAL
from cja_pipeline.customers.identity.scored.model import Model, linker

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from splink.internals.splink_dataframe import SplinkDataFrame

Veto = Callable[["np.ndarray", "np.ndarray"], "np.ndarray"]
HOUSEHOLD = ("last_name", "address", "postcode", "city")
NAMES = ("first_name", "last_name")
NAME_ONLY = -1.0  # highest weight of a pair with no other agreement than its names
VETO_BITS = -10.0  # weight of a pair that cannot be one person
CAP_FROM = 0.2  # household pairs per match pair from which the cap is worth its cost in recall


class Scorer:
    """Scores pairs of one linkage table with one model."""

    def __init__(self, table: pd.DataFrame, model: Model, veto: Veto | None = None) -> None:
        """`veto` says for pairs (left, right) which cannot be one person, whatever their score."""
        self.model = model
        self._veto = veto
        self._table = table
        self._linker = linker(table, model.settings)
        self._compared = [c["output_column_name"] for c in model.settings["comparisons"]]

    @property
    def capped(self) -> bool:
        """Whether household evidence is capped: there are addresses, and households outnumber matches."""
        return "address" in self._compared and self.model.household_rate > CAP_FROM * self.model.match_rate

    def candidates(self, minimum: float) -> pd.DataFrame:
        """All candidate pairs with at least this weight (bits): left, right, weight, is_personal."""
        return self._read(self._linker.inference.predict(), minimum)

    def pairs(self, wanted: pd.DataFrame) -> pd.DataFrame:
        """Weights of the given pairs (left < right), whatever they are."""
        import pandas as pd

        database = self._linker._db_api
        frame = pd.DataFrame({"join_key_l": wanted["left"], "join_key_r": wanted["right"], "match_key": "0"})
        self._linker.table_management.register_blocked_pairs_for_predict(database.register(frame))
        return self._read(self._linker.inference.predict(), None)

    def _read(self, predicted: SplinkDataFrame, minimum: float | None) -> pd.DataFrame:
        household = [name for name in HOUSEHOLD if name in self._compared]
        bits = [f"coalesce(mw_{name}, 0) + coalesce(mw_tf_adj_{name}, 0)" for name in household]
        weight = "match_weight"
        if self.capped:
            # one more class beside match and chance: somebody else of the same household
            shared = f"pow(2, least(60, {' + '.join(bits)}))"
            weight = f"match_weight - log2(1 + {self.model.household_rate!r} * {shared})"
        others = [f"coalesce(mw_{name}, 0) > 0" for name in self._compared if name not in NAMES]
        if others:
            # a name alone never makes two records one person, however rare it is
            weight = f"CASE WHEN {' OR '.join(others)} THEN {weight} ELSE least({weight}, {NAME_ONLY}) END"
        frame = self._linker.misc.query_sql(
            f'SELECT unique_id_l AS "left", unique_id_r AS "right", {weight} AS weight'
            f" FROM {predicted.physical_name}"
            + ("" if minimum is None else f" WHERE {weight} >= {minimum!r}"),
            output_type="pandas",
        )
        left, right = frame["left"].to_numpy(), frame["right"].to_numpy()
        known = [self._table[name].notna().to_numpy() for name in PERSONAL]
        frame["is_personal"] = sum((column[left] & column[right] for column in known), start=False)
        if self._veto is not None:
            vetoed = self._veto(left, right)
            frame["weight"] = frame["weight"].mask(vetoed & (frame["weight"] > VETO_BITS), VETO_BITS)
            frame = frame if minimum is None else frame[frame["weight"] >= minimum]
        return frame.astype({"is_personal": bool}).sort_values(["left", "right"], ignore_index=True)
