"""How well records were joined, against a truth: pairs, B-cubed, over-merging, cookies."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Quality:
    """Shares between 0 and 1.

    precision, recall, f1: of pairs of records put together. bcubed_*: the same per record, averaged (Bagga
    and Baldwin 1998). over_merged: records in a group that holds two or more people. split: records whose
    person is spread over two or more groups. largest: records of the largest group.
    """

    records: int
    groups: int
    people: int
    precision: float
    recall: float
    f1: float
    bcubed_precision: float
    bcubed_recall: float
    bcubed_f1: float
    over_merged: float
    split: float
    largest: int

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


def quality(found: pd.Series, truth: pd.Series) -> Quality:
    """Compare two partitions of the same records; rows without a truth are left out.

    Args:
        found: group per record. truth: person per record, same index.

    Raises:
        ValueError: the indexes differ, or no record has a truth.
    """
    import pandas as pd

    if not found.index.equals(truth.index):
        raise ValueError("found and truth must have the same index")
    known = truth.notna()
    if not known.any():
        raise ValueError("no record has a truth")
    # numbers are grouped faster than names, and in the same order
    cells = pd.DataFrame(
        {
            "group": pd.factorize(found[known], sort=True)[0],
            "person": pd.factorize(truth[known], sort=True)[0],
        }
    )
    both = cells.groupby(["group", "person"]).size().rename("n").reset_index()
    groups, people = both.groupby("group")["n"], both.groupby("person")["n"]
    size, person_size = groups.transform("sum"), people.transform("sum")
    n = both["n"]
    records = int(n.sum())
    together = _pairs(n)
    precision = _ratio(together, _pairs(groups.sum()))
    recall = _ratio(together, _pairs(people.sum()))
    b_precision = float((n * n / size).sum() / records)
    b_recall = float((n * n / person_size).sum() / records)
    mixed, scattered = groups.transform("size") > 1, people.transform("size") > 1
    return Quality(
        records=records,
        groups=int(groups.ngroups),
        people=int(people.ngroups),
        precision=precision,
        recall=recall,
        f1=_harmonic(precision, recall),
        bcubed_precision=b_precision,
        bcubed_recall=b_recall,
        bcubed_f1=_harmonic(b_precision, b_recall),
        over_merged=float(n[mixed].sum() / records),
        split=float(n[scattered].sum() / records),
        largest=int(groups.sum().max()),
    )


def cookie_quality(visitors: pd.Series, customer_person: pd.Series, truth: pd.Series) -> dict[str, float]:
    """Whether cookies were given to the right person.

    Args:
        visitors: customer_id per visitor_id (index), of cookies attached to a known customer only.
        customer_person: true person per customer_id (the one most of its records belong to).
        truth: true person per visitor_id.

    Returns:
        attached: cookies given to a known customer; right, wrong: shares of those whose truth is known.
    """
    person = visitors.map(customer_person)
    owner = visitors.index.to_series().map(truth)
    known = owner.notna() & person.notna()
    right = float((person[known] == owner[known]).mean()) if known.any() else float("nan")
    return {"attached": float(len(visitors)), "right": right, "wrong": 1 - right}


def majority(groups: pd.Series, truth: pd.Series) -> pd.Series:
    """The person that most records of each group belong to (ties: the smallest name), by group."""
    import pandas as pd

    cells = pd.DataFrame({"group": groups, "person": truth}).dropna()
    counts = cells.groupby(["group", "person"]).size().rename("n").reset_index()
    counts = counts.sort_values(["group", "n", "person"], ascending=[True, False, True])
    return counts.drop_duplicates("group").set_index("group")["person"]


def _pairs(counts: pd.Series) -> int:
    return int((counts.astype("int64") * (counts.astype("int64") - 1) // 2).sum())


def _ratio(part: int, whole: int) -> float:
    """Share, where nothing out of nothing is perfect: no pair was claimed, or none was to be found."""
    return part / whole if whole else 1.0


def _harmonic(a: float, b: float) -> float:
    return 2 * a * b / (a + b) if a + b else 0.0
