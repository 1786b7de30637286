"""People from scored pairs: the probabilistic counterpart of ``deterministic.cluster``."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cja_pipeline.customers.config import Identity
from cja_pipeline.customers.identity.deterministic import Clusters, weigh
from cja_pipeline.customers.identity.guarded import People
from cja_pipeline.customers.identity.names import NameBook
from cja_pipeline.customers.identity.prepare import Prepared
from cja_pipeline.customers.identity.scored.linkage import linkage_table
from cja_pipeline.customers.identity.scored.model import Model, train
from cja_pipeline.customers.identity.scored.precision import conflicts_in_matches, identifier_precision
from cja_pipeline.customers.identity.scored.refine import SURE_BITS, bounded_components, refine
from cja_pipeline.customers.identity.scored.score import Scorer, Veto

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

THRESHOLD_BITS = 0.0  # a pair is more likely one person than two
KEPT_BITS = -15.0  # lighter candidates are not worth remembering
CUT_BITS = -3.0
CUT_BITS_CROWDED = 3.0  # where household pairs far outnumber matches
CROWDED = 3.0
CLEAN_NAMES = 0.02  # conflicts among sure matches below which a conflict is believed


def cluster_scored(
    records: pd.DataFrame, prepared: Prepared, rules: Identity, model: Model | None = None
) -> tuple[Clusters, Model]:
    """Group records into people by scored pairs; only a CRM id or a verified login joins without a score.

    Args:
        records: the records as given (names, addresses). prepared: the same, with keyed identifiers.
        model: a trained model; default: one trained on these records.
    """
    import numpy as np
    import pandas as pd

    people = People.of(prepared, NameBook(rules.names, prepared.people["first_name"].dropna()))
    values, uses = weigh(prepared, people, rules)
    with _quiet():
        table = linkage_table(records, prepared, uses, rules)
        model = model or train(table, identifier_precision(uses, people))
        scorer = Scorer(table, model, _veto(uses, people))
        sure = _sure_pairs(uses, rules)
        scored = scorer.candidates(KEPT_BITS)
        pairs = pd.concat([sure, scored]).drop_duplicates(["left", "right"], ignore_index=True)
        labels = bounded_components(len(table), pairs, THRESHOLD_BITS)
        apart = people.crm if rules.crm_duplicates == "never" else np.full(len(table), -1)
        crowded = model.household_rate > CROWDED * model.match_rate
        cut = CUT_BITS_CROWDED if crowded else CUT_BITS
        labels = refine(labels, pairs, scorer, apart, cut)
    return Clusters(labels, _evidence(pairs, labels), values), model


def _veto(uses: pd.DataFrame, people: People) -> Veto | None:
    """Refuse conflicting first names and birth dates, if names in sure matches hardly ever conflict here.

    In clean shop data a conflict means two people; in tables with swapped and garbled names it does not, and
    the scores decide alone.
    """
    import numpy as np

    rate = conflicts_in_matches(uses, people)
    if rate is None or rate > CLEAN_NAMES:
        return None

    def refuse(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        found = np.zeros(len(left), dtype=bool)
        for codes, differ in ((people.name, people.names_conflict), (people.birth, people.births_conflict)):
            a, b = codes[left], codes[right]
            both = np.flatnonzero((a >= 0) & (b >= 0) & (a != b))
            pairs = zip(a[both].tolist(), b[both].tolist(), strict=True)
            found[both] |= np.fromiter((differ(x, y) for x, y in pairs), dtype=bool, count=len(both))
        return found

    return refuse


def _sure_pairs(uses: pd.DataFrame, rules: Identity) -> pd.DataFrame:
    """Records that share a verified identifier, each with the first of its value."""
    import pandas as pd

    verified = [kind for kind, rule in rules.identifiers.items() if rule.verified]
    mine = uses[uses["kind"].isin(verified)]
    first = mine.groupby("node")["row"].transform("min")
    found = pd.DataFrame({"left": first, "right": mine["row"], "weight": SURE_BITS, "is_personal": True})
    return found[found["left"] < found["right"]].drop_duplicates(["left", "right"])


def _evidence(pairs: pd.DataFrame, labels: np.ndarray) -> pd.DataFrame:
    """Why records are, or are not, together: pairs above the threshold and where they ended."""
    import pandas as pd

    told = pairs[pairs["weight"] >= THRESHOLD_BITS]
    left, right = told["left"].to_numpy(), told["right"].to_numpy()
    together = labels[left] == labels[right]
    sure = (told["weight"] == SURE_BITS).to_numpy()
    reason = pd.Series("scored", index=told.index).mask(sure, "same verified id")
    return pd.DataFrame(
        {
            "record": right,
            "other": left,
            "kind": "score",
            "key": told["weight"].round(1).astype(str).to_numpy(),
            "accepted": together,
            "reason": reason.where(together, "speaks against others of the group").to_numpy(),
        }
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Splink tells about every training step; only its errors matter here."""
    logger = logging.getLogger("splink")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
