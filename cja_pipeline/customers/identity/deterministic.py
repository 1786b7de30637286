"""People from exact identifiers: connected components under guard rails.

Guard rails, each of which a plain union of shared values lacks:
one CRM id per customer (unless the CRM itself merged them); conflicting first names or birth dates refuse a
join; a value used by people with conflicting first names joins only those of one name, and nobody without a
name; a value of too many people joins nobody; devices are no identifiers at all.
Components without any conflict, nearly all, are accepted as they are; the rest are rebuilt join by join,
strongest identifier first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cja_pipeline.customers.config import Identity
from cja_pipeline.customers.identity.guarded import Guarded, People
from cja_pipeline.customers.identity.names import NameBook
from cja_pipeline.customers.identity.prepare import Prepared

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

VALUE_COLUMNS = ["kind", "key", "records", "people", "shared", "used"]
USE_COLUMNS = ["row", "kind", "key", "node", "strength"]


@dataclass(frozen=True)
class Clusters:
    """``labels``: cluster number per record (0…k-1, in the order of first records).
    ``evidence``: record, other (rows of people), kind, key, accepted, reason: why records are (not) joined.
    ``values``: kind, key, records, people, shared, used: what each identifier value is worth.
    """

    labels: np.ndarray
    evidence: pd.DataFrame
    values: pd.DataFrame


def cluster(prepared: Prepared, rules: Identity) -> Clusters:
    """Group records into people. The result does not depend on the order of the input."""
    import numpy as np
    import pandas as pd

    people = People.of(prepared, NameBook(rules.names, prepared.people["first_name"].dropna()))
    values, uses = weigh(prepared, people, rules)
    component = components(len(prepared.people), uses)
    torn = conflicted(component, people)
    in_torn = np.isin(component, torn)
    evidence = stars(uses, ~in_torn)
    labels = component.astype(np.int64)
    if torn.size:
        labels, judged = Guarded(people, rules).rebuild(uses, in_torn, labels)
        evidence = pd.concat([evidence, judged], ignore_index=True)
    _, labels = np.unique(_first_row(labels)[labels], return_inverse=True)
    return Clusters(labels, evidence, values)


def weigh(prepared: Prepared, people: People, rules: Identity) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Judge every identifier value by the people seen with it.

    Returns:
        values (kind, key, records, people, shared, used), and uses (row, kind, key, node, strength): which
        records a value may join; records with the same node are candidates for one person.
    """
    import pandas as pd

    if prepared.identifiers.empty:
        return (
            pd.DataFrame(columns=VALUE_COLUMNS).astype({"shared": "bool", "used": "bool"}),
            pd.DataFrame(columns=USE_COLUMNS).astype({"row": "int64", "node": "int64", "strength": "int64"}),
        )
    uses = prepared.identifiers.copy()
    uses["strength"] = uses["kind"].map({kind: number for number, kind in enumerate(rules.identifiers)})
    rows = uses["row"].to_numpy()
    uses["crm"], uses["name"] = people.crm[rows], people.name[rows]
    # CRM records that the CRM merged are one value, whatever their ids
    is_crm = uses["kind"] == "crm_id"
    value = uses["key"].where(~is_crm, uses["crm"].astype(str))
    uses["value"] = pd.factorize(uses["kind"] + ":" + value)[0]
    values = uses.groupby("value")[["kind", "key"]].first()
    values["records"] = uses.groupby("value").size()
    values["crm_ids"] = _distinct(uses, "crm")
    values["names"] = _distinct(uses, "name")
    several = uses.loc[uses["name"] >= 0, ["value", "name"]].drop_duplicates()
    several = several[several["value"].map(values["names"]) > 1]
    groups = people.name_groups(several)
    values["shared"] = groups.groupby("value")["shared"].max()
    values["shared"] = values["shared"].eq(True)
    name_groups = groups.groupby("value")["group"].nunique().reindex(values.index).fillna(1)
    values["people"] = name_groups.clip(lower=values["crm_ids"]).astype("int64")
    values["used"] = values["people"] <= values["kind"].map(
        {kind: rule.max_people for kind, rule in rules.identifiers.items()}
    )
    verified = [kind for kind, rule in rules.identifiers.items() if rule.verified]
    split = values["shared"] & ~values["kind"].isin(verified)
    uses = uses.merge(groups[["value", "name", "group"]], how="left", on=["value", "name"])
    is_split = uses["value"].map(split)
    uses["group"] = uses["group"].where(is_split, -1).fillna(-1).astype("int64")
    uses = uses[uses["value"].map(values["used"]) & ~(is_split & (uses["name"] < 0))]
    uses = uses.assign(node=uses.groupby(["value", "group"]).ngroup())
    uses = uses.sort_values(["strength", "node", "row"], ignore_index=True)
    values = values.sort_values(["kind", "key"], ignore_index=True)
    return (
        values[VALUE_COLUMNS],
        uses[USE_COLUMNS],
    )


def _distinct(uses: pd.DataFrame, column: str) -> pd.Series:
    """How many different known codes of `column` each value is seen with."""
    known = uses.loc[uses[column] >= 0, ["value", column]].drop_duplicates()
    return (
        known.groupby("value").size().reindex(uses["value"].unique()).fillna(0).astype("int64").sort_index()
    )


def components(records: int, uses: pd.DataFrame) -> np.ndarray:
    """Connected components of records that share a usable identifier value."""
    import numpy as np
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    rows = uses["row"].to_numpy()
    first = uses.groupby("node")["row"].transform("min").to_numpy()
    graph = coo_matrix((np.ones(len(rows), dtype=np.int8), (rows, first)), shape=(records, records))
    return connected_components(graph, directed=False)[1]


def conflicted(component: np.ndarray, people: People) -> np.ndarray:
    """Components that hold two CRM ids, conflicting first names or conflicting birth dates."""
    import numpy as np
    import pandas as pd

    frame = pd.DataFrame(
        {"component": component, "crm": people.crm, "name": people.name, "birth": people.birth}
    )
    two_ids = frame[frame["crm"] >= 0].groupby("component")["crm"].nunique()
    torn = set(two_ids.index[two_ids > 1])
    for column, differ in (("name", people.names_conflict), ("birth", people.births_conflict)):
        known = frame.loc[frame[column] >= 0, ["component", column]].drop_duplicates()
        several = known[known.duplicated("component", keep=False)]
        for number, codes in several.groupby("component")[column]:
            ordered = sorted(codes)
            if any(differ(a, b) for i, a in enumerate(ordered) for b in ordered[i + 1 :]):
                torn.add(number)
    return np.array(sorted(torn), dtype=component.dtype)


def stars(uses: pd.DataFrame, wanted: np.ndarray) -> pd.DataFrame:
    """Evidence of undisputed joins: each record of a value with the value's first record."""
    kept = uses[wanted[uses["row"].to_numpy()]]
    first = kept.groupby("node")["row"].transform("min")
    kept = kept.assign(other=first, accepted=True, reason="same value")
    kept = kept[kept["row"] != kept["other"]].rename(columns={"row": "record"})
    return kept[["record", "other", "kind", "key", "accepted", "reason"]].reset_index(drop=True)


def _first_row(labels: np.ndarray) -> np.ndarray:
    import numpy as np

    first = np.full(int(labels.max(initial=-1)) + 1, len(labels), dtype=np.int64)
    np.minimum.at(first, labels, np.arange(len(labels)))
    return first
