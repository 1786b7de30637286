"""From scored pairs to people: components, cut where their members do not belong together.

Pairs above the threshold make components. A component in which any two records speak against each other is
built again from single records by average linkage: the two groups with the highest mean weight are joined as
long as that mean is high enough, and groups that must stay apart never are.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from cja_pipeline.customers.identity.scored.score import Scorer

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

LARGEST = 300  # larger components are first cut by a higher threshold
STEP_BITS = 2.0
SURE_BITS = 60.0  # weight of a pair that was joined without scoring


def components(records: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Connected components of a graph, as a label per record."""
    import numpy as np
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    graph = coo_matrix((np.ones(len(left), dtype=np.int8), (left, right)), shape=(records, records))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def bounded_components(records: int, pairs: pd.DataFrame, threshold: float) -> np.ndarray:
    """Components of the pairs above a threshold, which rises inside components that are too large."""
    import numpy as np

    kept = pairs[pairs["weight"] >= threshold]
    labels = components(records, kept["left"].to_numpy(), kept["right"].to_numpy())
    bits = threshold
    while len(kept):
        sizes = np.bincount(labels)
        if sizes.max() <= LARGEST:
            break
        bits += STEP_BITS
        too_large = sizes[labels[kept["left"].to_numpy()]] > LARGEST
        kept = kept[~too_large | (kept["weight"] >= bits).to_numpy()]
        labels = components(records, kept["left"].to_numpy(), kept["right"].to_numpy())
    return labels


def refine(
    labels: np.ndarray,
    pairs: pd.DataFrame,
    scorer: Scorer,
    apart: np.ndarray,
    cut: float,
) -> np.ndarray:
    """Cut components whose members do not belong together.

    Args:
        labels: component per record. pairs: left, right, weight, is_personal of all candidates.
        apart: code per record of which two different ones never share a group (-1: any).
        cut: mean weight (bits) below which two groups stay apart.

    Returns:
        Group per record, 0…k-1 in the order of first records.
    """
    import numpy as np
    import pandas as pd

    known = pairs[labels[pairs["left"].to_numpy()] == labels[pairs["right"].to_numpy()]]
    wanted = _all_pairs(labels)
    if len(wanted):
        known = known.assign(code=known["left"] * len(labels) + known["right"])
        code = wanted["left"] * len(labels) + wanted["right"]
        missing = wanted[~code.isin(known["code"])]
        if len(missing):
            known = pd.concat([known, scorer.pairs(missing)], ignore_index=True)
    found = labels.copy()
    free = int(labels.max(initial=0)) + 1
    component = labels[known["left"].to_numpy()]
    order = np.argsort(component, kind="stable")
    known, component = known.iloc[order], component[order]
    starts = np.flatnonzero(np.r_[True, component[1:] != component[:-1]][: len(component)])
    for start, end in itertools.pairwise([*starts.tolist(), len(component)]):
        part = known.iloc[start:end]
        members = np.unique(np.r_[part["left"].to_numpy(), part["right"].to_numpy()])
        codes = apart[members]
        torn = len(set(codes[codes >= 0].tolist())) > 1
        # without a pair that speaks against it a component is accepted as it is
        if not torn and not ((part["weight"] < 0) & part["is_personal"]).any():
            continue
        groups = average_linkage(members, part, codes, cut)
        found[members] = free + groups
        free += len(members)
    _, first, back = np.unique(found, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[back]


def average_linkage(members: np.ndarray, pairs: pd.DataFrame, codes: np.ndarray, cut: float) -> np.ndarray:
    """Group the members of one component; pairs without personal evidence do not speak against a join.

    Args:
        members: records, ascending. pairs: left, right, weight, is_personal. codes: as `apart` in `refine`.
        cut: lowest mean weight at which groups are joined.

    Returns:
        Group number per member.
    """
    import numpy as np

    size = len(members)
    left, right = np.searchsorted(members, pairs["left"]), np.searchsorted(members, pairs["right"])
    weight = pairs["weight"].to_numpy(dtype=float)
    counts = (pairs["is_personal"].to_numpy() | (weight >= 0)).astype(float)
    total, number = np.zeros((size, size)), np.zeros((size, size))
    total[left, right] = total[right, left] = np.where(counts > 0, weight, 0.0)
    number[left, right] = number[right, left] = counts
    forbidden = (codes[:, None] >= 0) & (codes[None, :] >= 0) & (codes[:, None] != codes[None, :])
    group = np.arange(size)
    alive = np.ones(size, dtype=bool)
    while True:
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where((number > 0) & ~forbidden, total / number, -np.inf)
        np.fill_diagonal(mean, -np.inf)
        mean[~alive] = -np.inf
        mean[:, ~alive] = -np.inf
        best = int(np.argmax(mean))
        a, b = divmod(best, size)
        if mean[a, b] < cut or not np.isfinite(mean[a, b]):
            return group
        for table in (total, number):
            table[a] += table[b]
            table[:, a] = table[a]
        forbidden[a] |= forbidden[b]
        forbidden[:, a] = forbidden[a]
        alive[b] = False
        group[group == b] = a


def _all_pairs(labels: np.ndarray) -> pd.DataFrame:
    """All pairs inside components of three and more records."""
    import numpy as np
    import pandas as pd

    order = np.argsort(labels, kind="stable")
    bounds = np.flatnonzero(np.r_[True, np.diff(labels[order]) != 0, True])
    lefts, rights = [], []
    for start, end in itertools.pairwise(bounds):
        if end - start >= 3:
            upper = np.triu_indices(int(end - start), 1)
            rows = np.sort(order[start:end])
            lefts.append(rows[upper[0]])
            rights.append(rows[upper[1]])
    empty = np.empty(0, dtype=np.int64)
    return pd.DataFrame({"left": np.concatenate([empty, *lefts]), "right": np.concatenate([empty, *rights])})
