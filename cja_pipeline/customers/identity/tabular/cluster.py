"""People in any table: every pair that is alike in something is scored by the table's own model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from cja_pipeline.customers.config import Identity
from cja_pipeline.customers.identity.groups import group
from cja_pipeline.customers.identity.guarded import People
from cja_pipeline.customers.identity.intake import RECORD_COLUMNS, Intake
from cja_pipeline.customers.identity.keys import Keyring
from cja_pipeline.customers.identity.names import NameBook
from cja_pipeline.customers.identity.scored.engine import quiet
from cja_pipeline.customers.identity.scored.linkage import LISTS
from cja_pipeline.customers.identity.scored.precision import measure_precision
from cja_pipeline.customers.identity.scored.train import CLEAN_NAMES, first_names
from cja_pipeline.customers.identity.tabular.compare import expectations
from cja_pipeline.customers.identity.tabular.frame import filled, linkage_table
from cja_pipeline.customers.identity.tabular.model import Model, train
from cja_pipeline.customers.identity.tabular.score import Scorer
from cja_pipeline.customers.identity.values import judge, usable
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

COPIES = 2  # of identical records that are compared; the others follow them
SMALL = 200  # a table with fewer rows does not show how dirty its names are: conflicts are believed


def find_people(
    wh: Warehouse, given: pd.DataFrame, rules: Identity, keyring: Keyring, tell: Callable[[str], None]
) -> pd.DataFrame:
    """Find the people in a table.

    Args:
        wh: a warehouse without identity tables (they are filled). given: columns of `dataframe.person_rows`.
        tell: hears what is being done.

    Returns:
        record_key, label (a number per person), identified (whether the record carries an identifier).
    """
    given = given.sort_values("record_key", ignore_index=True)
    copy = _copies(given)
    wh.connection.register("compared_records", given[copy["number"] < COPIES])
    intake = Intake(wh, rules, keyring, frozenset())
    tell("reading names and identifiers")
    intake.read(f"SELECT {', '.join(RECORD_COLUMNS)} FROM compared_records")
    intake.write(whole=True)
    book = NameBook(rules.names, first_names(wh))
    judge(wh, rules, book, whole=True)
    table = linkage_table(wh, rules, given)
    verified = _verified(wh, rules)
    with quiet():
        table["label"] = _scored(wh, table, verified, rules, book, tell)
    carriers = wh.df("SELECT DISTINCT node FROM customers.identity_keys")["node"]
    table["identified"] = table["node"].isin(carriers)
    known = table[["record_key", "label", "identified"]]
    return _followed(copy.merge(known, how="left", on="record_key"))


def _scored(
    wh: Warehouse,
    table: pd.DataFrame,
    verified: pd.DataFrame,
    rules: Identity,
    book: NameBook,
    tell: Callable[[str], None],
) -> np.ndarray:
    """The group of each row, as the smallest row of the group."""

    measured = measure_precision(wh, book)
    clean = len(table) < SMALL if measured.in_matches is None else measured.in_matches <= CLEAN_NAMES
    stars = _stars(table, verified)
    if not expectations(filled(table)):
        model, pairs, weigh = Model({}, 0.0, 0.0, clean_names=True), stars.head(0), _nothing
        return _grouped(table, stars, pairs, rules, model, book, weigh)
    tell("learning what each agreement means")
    model = train(
        table, {LISTS[kind]: share for kind, share in measured.precision.items()}, clean_names=clean
    )
    tell("comparing records")
    scorer = Scorer(table, model)
    pairs = scorer.candidates(rules.scoring.threshold_bits)
    if clean:
        pairs = pairs[~_conflicts(People.of(table, book), pairs)]
    tell("putting people together")
    return _grouped(table, stars, pairs.assign(rule="score"), rules, model, book, scorer.pairs)


def _grouped(
    table: pd.DataFrame,
    stars: pd.DataFrame,
    pairs: pd.DataFrame,
    rules: Identity,
    model: Model,
    book: NameBook,
    weigh: Callable[[pd.DataFrame], pd.DataFrame],
) -> np.ndarray:
    import pandas as pd

    edges = pd.concat([part for part in (stars, pairs) if len(part)] or [stars], ignore_index=True)
    return group(
        table[["crm", "given", "last_name", "born"]].assign(node=table["unique_id"]),
        edges.astype({"node": "int64", "other": "int64", "weight": "float64"}),
        pd.DataFrame({"node": [], "other": []}, dtype="int64"),
        rules,
        model,  # type: ignore[arg-type]  # grouping reads three of its figures
        book,
        weigh,
    )


def _nothing(wanted: pd.DataFrame) -> pd.DataFrame:
    """Weights where there is nothing to compare."""
    return wanted.assign(weight=0.0, is_personal=False)


def _verified(wh: Warehouse, rules: Identity) -> pd.DataFrame:
    """node, rule, key: CRM ids and logins of the records; they join without a score."""
    kinds = [kind for kind, rule in rules.identifiers.items() if rule.verified]
    found = wh.df(f"SELECT node, kind AS rule, key FROM ({usable(rules)}) ORDER BY node, rule, key")
    return found[found["rule"].isin(kinds)]


def _stars(table: pd.DataFrame, verified: pd.DataFrame) -> pd.DataFrame:
    """Pairs (rows) of each record of a verified value with the value's first."""
    rows = verified.assign(
        other=verified["node"].map(dict(zip(table["node"], table["unique_id"], strict=True)))
    )
    rows = rows.dropna(subset=["other"]).astype({"other": "int64"})
    rows = rows.assign(node=rows.groupby(["rule", "key"])["other"].transform("min"), weight=float("nan"))
    pairs = rows[rows["node"] < rows["other"]]
    return pairs.drop_duplicates(["node", "other"])[["node", "other", "rule", "weight"]]


def _copies(given: pd.DataFrame) -> pd.DataFrame:
    """record_key, content (a number per distinct record) and number (0, 1, … among its copies), by
    record_key."""
    columns = list(given.columns.drop("record_key"))
    content = given[columns].fillna("").groupby(columns, sort=False).ngroup()
    return given[["record_key"]].assign(content=content, number=content.groupby(content).cumcount())


def _followed(copy: pd.DataFrame) -> pd.DataFrame:
    """Labels of all records: further copies go with the first two where these are together, else stay
    alone."""
    groups = copy.groupby("content")
    together = groups["label"].nunique() == 1
    follows = copy["content"].map(groups["label"].min().where(together))
    alone = -1.0 - copy.index.to_series()
    label = copy["label"].fillna(follows).fillna(alone).astype("int64")
    identified = groups["identified"].transform("first").astype(bool)
    return copy[["record_key"]].assign(label=label, identified=identified)


def _conflicts(people: People, pairs: pd.DataFrame) -> np.ndarray:
    """Pairs with conflicting first names or birth dates."""
    import numpy as np

    left, right = pairs["node"].to_numpy(), pairs["other"].to_numpy()
    found = np.zeros(len(left), dtype=bool)
    for codes, differ in ((people.name, people.names_conflict), (people.birth, people.births_conflict)):
        a, b = codes[left], codes[right]
        both = np.flatnonzero((a >= 0) & (b >= 0) & (a != b))
        asked = zip(a[both].tolist(), b[both].tolist(), strict=True)
        found[both] |= np.fromiter((differ(x, y) for x, y in asked), dtype=bool, count=len(both))
    return found
