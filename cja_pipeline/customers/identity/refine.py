"""Taking components apart by what all their pairs weigh, where names are too dirty to decide alone.

A component in which two records speak against each other is built again from single records by average
linkage: the two groups with the highest mean weight are joined as long as that mean is high enough, and
groups that must stay apart never are.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

LARGEST = 300  # larger components are first cut by a higher threshold
STEP_BITS = 2.0


def components(records: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Connected components of a graph, as a label per record."""
    import numpy as np
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    graph = coo_matrix((np.ones(len(left), dtype=np.int8), (left, right)), shape=(records, records))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def bounded_components(
    records: int, left: np.ndarray, right: np.ndarray, weight: np.ndarray, threshold: float
) -> np.ndarray:
    """Components of positive pairs, by a threshold that rises inside components that are too large."""
    import numpy as np

    labels = components(records, left, right)
    bits = threshold
    while len(left):
        sizes = np.bincount(labels)
        if sizes.max() <= LARGEST:
            break
        bits += STEP_BITS
        kept = (sizes[labels[left]] <= LARGEST) | (weight >= bits)
        left, right, weight = left[kept], right[kept], weight[kept]
        labels = components(records, left, right)
    return labels


def pairs_inside(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of rows inside components of three and more."""
    import numpy as np

    order = np.argsort(labels, kind="stable")
    bounds = np.flatnonzero(np.r_[True, np.diff(labels[order]) != 0, True][: len(labels) + 1])
    lefts, rights = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for start, end in itertools.pairwise(bounds.tolist()):
        if end - start >= 3:
            upper = np.triu_indices(end - start, 1)
            rows = np.sort(order[start:end])
            lefts.append(rows[upper[0]])
            rights.append(rows[upper[1]])
    return np.concatenate(lefts), np.concatenate(rights)


def refine(
    labels: np.ndarray, pairs: pd.DataFrame, apart: np.ndarray, banned: np.ndarray, cut: float
) -> np.ndarray:
    """Cut components whose members do not belong together.

    Args:
        labels: component per row. pairs: left, right (rows, left < right), weight, is_personal of all pairs
            inside components of three and more, and of smaller ones that must be looked at.
        apart: code per row of which two different ones never share a group (-1: any).
        banned: pairs of rows that a person declared two people.
        cut: mean weight (bits) below which two groups stay apart.
    """
    import numpy as np

    found = labels.copy()
    free = int(labels.max(initial=0)) + 1
    component = labels[pairs["left"].to_numpy()]
    order = np.lexsort((pairs["right"], pairs["left"], component))
    pairs, component = pairs.iloc[order], component[order]
    starts = np.flatnonzero(np.r_[True, component[1:] != component[:-1]][: len(component)])
    against = {tuple(pair) for pair in np.sort(banned, axis=1).tolist()}
    for start, end in itertools.pairwise([*starts.tolist(), len(component)]):
        part = pairs.iloc[start:end]
        members = np.unique(np.r_[part["left"].to_numpy(), part["right"].to_numpy()])
        forbidden = (apart[members][:, None] >= 0) & (apart[members][None, :] >= 0)
        forbidden &= apart[members][:, None] != apart[members][None, :]
        for a, b in itertools.combinations(range(len(members)), 2) if against else ():
            if (members[a], members[b]) in against:
                forbidden[a, b] = forbidden[b, a] = True
        # without a pair that speaks against it a component is accepted as it is
        if not forbidden.any() and not ((part["weight"] < 0) & part["is_personal"]).any():
            continue
        found[members] = free + average_linkage(members, part, forbidden, cut)
        free += len(members)
    return np.unique(found, return_inverse=True)[1]


def average_linkage(
    members: np.ndarray, pairs: pd.DataFrame, forbidden: np.ndarray, cut: float
) -> np.ndarray:
    """Group the members of one component; pairs without personal evidence do not speak against a join.

    Args:
        members: rows, ascending. pairs: left, right, weight, is_personal. forbidden: members x members.
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
        if not np.isfinite(mean[a, b]) or mean[a, b] < cut:
            return group
        for table in (total, number):
            table[a] += table[b]
            table[:, a] = table[a]
        forbidden[a] |= forbidden[b]
        forbidden[:, a] = forbidden[a]
        alive[b] = False
        group[group == b] = a
