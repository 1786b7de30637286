"""From pairs to people: components of the pairs, taken apart where their members cannot be one person.

The unit of work is a component of positive pairs. Nothing outside a component decides about it, so that
building only the components that changed gives what building all of them would.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from cja_pipeline.customers.config import Identity
from cja_pipeline.customers.identity.exchange import arrow
from cja_pipeline.customers.identity.guarded import Guarded, People
from cja_pipeline.customers.identity.names import NameBook
from cja_pipeline.customers.identity.pairs import PAIRS, positive, weights
from cja_pipeline.customers.identity.refine import bounded_components, pairs_inside, refine
from cja_pipeline.customers.identity.scored.model import Model
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

CLUSTERS = "customers.identity_clusters"
SURE_BITS = 60.0  # what a verified identifier weighs where weights are compared
CUT_BITS = -3.0  # mean weight from which groups are joined where names are dirty
CUT_BITS_CROWDED = 3.0  # where household pairs far outnumber matches
CROWDED = 3.0


def regroup(wh: Warehouse, rules: Identity, model: Model, book: NameBook, *, whole: bool) -> None:
    """Build again the components of the records in `seeds`; leaves `reached` (node): all their records.

    Args:
        whole: these are all records.
    """
    wh.ensure(CLUSTERS)
    wh.ensure("customers.identity_unlinked")
    wh.execute("CREATE OR REPLACE TEMP TABLE reached AS SELECT DISTINCT node FROM seeds")
    if not whole:
        _reach(wh, rules)
    mine = "" if whole else "SEMI JOIN reached USING (node)"
    nodes = _coded(
        arrow(
            wh,
            "SELECT node, CASE WHEN crm IS NOT NULL THEN hash(crm) END AS crm, given, last_name, born"
            f" FROM customers.identity_records {mine} ORDER BY node",
        ),
        *("crm", "given", "last_name", "born"),
    )
    edges = _coded(
        arrow(
            wh,
            f"SELECT node, other, weight, rule FROM {PAIRS} {mine} WHERE {positive(rules)}",
        ),
        "rule",
    )
    apart = wh.df(
        "SELECT a.node, b.node AS other FROM customers.identity_unlinked u"
        " JOIN customers.identity_records a ON a.record_key = u.record_key"
        " JOIN customers.identity_records b ON b.record_key = u.other_key"
        " SEMI JOIN reached x ON x.node = a.node SEMI JOIN reached y ON y.node = b.node"
    )
    labels = group(nodes, edges, apart, rules, model, book, partial(weights, wh, rules, model))
    wh.execute(
        f"DELETE FROM {CLUSTERS} WHERE node IN (SELECT node FROM reached UNION ALL SELECT node FROM moved)"
    )
    wh.connection.register("grouped", nodes[["node"]].assign(cluster=labels))
    try:
        wh.execute(f"INSERT INTO {CLUSTERS} SELECT node, cluster FROM grouped")
    finally:
        wh.connection.unregister("grouped")


def _coded(table: pa.Table, *columns: str) -> pd.DataFrame:
    """A table in which some columns are categories: many rows have few values."""
    for name in columns:
        place = table.column_names.index(name)
        table = table.set_column(place, name, table.column(place).dictionary_encode())
    return table.to_pandas()


def _reach(wh: Warehouse, rules: Identity) -> None:
    """Add to `reached` all records that positive pairs connect with those in it."""
    wh.execute("CREATE OR REPLACE TEMP TABLE front AS SELECT node FROM reached")
    pairs = f"(SELECT node, other FROM {PAIRS} WHERE {positive(rules)})"
    while wh.scalar("SELECT count(*) FROM front"):
        wh.execute(
            "CREATE OR REPLACE TEMP TABLE front AS SELECT DISTINCT node FROM ("
            f" SELECT p.other AS node FROM {pairs} p SEMI JOIN front f ON f.node = p.node UNION ALL"
            f" SELECT p.node FROM {pairs} p SEMI JOIN front f ON f.node = p.other) ANTI JOIN reached USING"
            " (node)"
        )
        wh.execute("INSERT INTO reached SELECT node FROM front")


def group(
    nodes: pd.DataFrame,
    edges: pd.DataFrame,
    apart: pd.DataFrame,
    rules: Identity,
    model: Model,
    book: NameBook,
    weigh: Callable[[pd.DataFrame], pd.DataFrame],
) -> np.ndarray:
    """The person of each record, as the smallest node of its group.

    Args:
        nodes: node (ascending), crm, given, last_name, born. edges: node, other, rule, weight of positive
            pairs. apart: node, other that a person declared two.
        weigh: weights of given pairs (node, other): node, other, weight, is_personal.
    """
    import numpy as np

    ids = nodes["node"].to_numpy()
    left, right = _places(ids, edges["node"]), _places(ids, edges["other"])
    banned = np.c_[_places(ids, apart["node"]), _places(ids, apart["other"])]
    weight = edges["weight"].fillna(SURE_BITS).to_numpy()
    labels = bounded_components(len(ids), left, right, weight, rules.scoring.threshold_bits)
    people = People.of(nodes, book)
    if model.clean_names:
        labels = _guarded(labels, edges.assign(left=left, right=right), banned, people, rules)
    else:
        labels = _refined(labels, ids, banned, people, rules, model, weigh)
    first = np.full(int(labels.max(initial=-1)) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, labels, ids)
    return first[labels]


def _places(ids: np.ndarray, nodes: pd.Series) -> np.ndarray:
    """Where each node stands in `ids` (ascending); looked up in order, which memory answers faster."""
    import numpy as np

    wanted = nodes.to_numpy()
    order = np.argsort(wanted)
    places = np.empty(len(wanted), dtype=np.int64)
    places[order] = np.searchsorted(ids, wanted[order])
    return places


def _guarded(
    labels: np.ndarray, edges: pd.DataFrame, banned: np.ndarray, people: People, rules: Identity
) -> np.ndarray:
    """Where conflicting names and dates are believed: best pairs first, none that would unite a conflict."""
    import numpy as np

    torn = people.torn(labels, banned, crm_alone=rules.crm_duplicates == "never")
    if not len(torn):
        return labels
    component = labels[edges["left"].to_numpy()]
    inside = np.isin(component, torn)
    part = edges[inside].assign(component=component[inside])
    places = {kind: place for place, kind in enumerate(rules.identifiers)}
    rank = part["rule"].astype(object).map(places).fillna(len(places))
    part = part.assign(rank=rank).sort_values(
        ["component", "rank", "weight", "node", "other"], ascending=[True, True, False, True, True]
    )
    return Guarded(people, rules, banned).split(labels, torn, part)


def _refined(
    labels: np.ndarray,
    ids: np.ndarray,
    banned: np.ndarray,
    people: People,
    rules: Identity,
    model: Model,
    weigh: Callable[[pd.DataFrame], pd.DataFrame],
) -> np.ndarray:
    """Where names are too dirty for that: by the weights of all pairs inside a component."""
    import numpy as np
    import pandas as pd

    apart = people.crm if rules.crm_duplicates == "never" else np.full(len(ids), -1)
    left, right = pairs_inside(labels)
    two = np.sort(banned[labels[banned[:, 0]] == labels[banned[:, 1]]], axis=1)
    wanted = pd.DataFrame({"node": ids[np.r_[left, two[:, 0]]], "other": ids[np.r_[right, two[:, 1]]]})
    pairs = weigh(wanted.drop_duplicates())
    pairs = pairs.assign(left=np.searchsorted(ids, pairs["node"]), right=np.searchsorted(ids, pairs["other"]))
    crowded = model.household_rate > CROWDED * model.match_rate
    return refine(labels, pairs, apart, banned, CUT_BITS_CROWDED if crowded else CUT_BITS)
