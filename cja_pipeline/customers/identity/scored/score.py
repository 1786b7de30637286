"""Weights of candidate pairs: Splink's, with household evidence capped."""

from __future__ import annotations

from cja_pipeline.customers.identity.scored.engine import PREDICTED, make, prediction
from cja_pipeline.customers.identity.scored.linkage import PERSONAL
from cja_pipeline.customers.identity.scored.model import Model
from cja_pipeline.warehouse import Warehouse

HOUSEHOLD = ("last_name", "address", "postcode", "city")
NAMES = ("first_name", "last_name")
NAME_ONLY = -1.0  # highest weight of a pair with no other agreement than its names
CAP_FROM = 0.2  # household pairs per match pair from which the cap is worth its cost in recall


def capped(model: Model) -> bool:
    """Whether household evidence is capped: there are addresses, and households outnumber matches."""
    return "address" in model.compared and model.household_rate > CAP_FROM * model.match_rate


def score(wh: Warehouse, model: Model, pairs: str, *, parts: bool = False) -> None:
    """Weigh pairs of records; leaves the temporary table `scored`.

    It has node, other, weight (bits), is_personal (both sides have a first name, or a birth date), and with
    `parts` what each comparison adds, as columns named after what is compared.

    Args:
        pairs: table of node, other, of whose records ``linkage.prepare`` left `linkage_rows`, with the
            frequencies of the model.
    """
    added = {name: f"coalesce(mw_{name}, 0)" for name in model.compared}
    for name in model.frequencies:
        if name in added:
            added[name] += f" + coalesce(mw_tf_adj_{name}, 0)"
    columns = "".join(f", {bits} AS {name}" for name, bits in added.items()) if parts else ""
    both = " OR ".join(f"({name}_l IS NOT NULL AND {name}_r IS NOT NULL)" for name in PERSONAL)
    make(
        wh,
        "scored",
        f"WITH {prediction(model.settings, 'linkage_rows', pairs, PERSONAL)}"
        f" SELECT unique_id_l AS node, unique_id_r AS other, round({_weight(model, added)}, 6) AS weight,"
        f" {both} AS is_personal{columns} FROM {PREDICTED}",
        ("linkage_rows", pairs),
    )


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
