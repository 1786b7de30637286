"""Risks of exposed subjects against alike others, pooled over strata, with customers who come repeatedly."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]


class Association(NamedTuple):
    """A stratified comparison of exposed and other subjects."""

    risk_ratio: float
    low: float
    high: float
    p_value: float
    exposed_rate: float
    other_rate: float  # what the ratio implies for the exposed had they been like the others
    naive_ratio: float


def stratified_ratio(
    exposed: ArrayLike,
    exposed_cases: ArrayLike,
    others: ArrayLike,
    other_cases: ArrayLike,
    clusters: tuple[ArrayLike, ArrayLike, ArrayLike] | None = None,
) -> Association:
    """Ratio of the risks of exposed and other subjects within strata (one array element each).

    Args:
        clusters: of every case the stratum, whether it was exposed, and an integer for the customer, where
            customers are in several strata. Without it subjects are independent.

    Sources: Mantel & Haenszel 1959; variance of Greenland & Robins 1985, with clusters that of the summed
    contributions per customer, if it is larger. NaN where nothing can be compared.
    """
    import numpy as np
    from scipy.special import ndtr

    m1, a, m0, c = (np.asarray(x, dtype=float) for x in (exposed, exposed_cases, others, other_cases))
    used = (m1 > 0) & (m0 > 0)
    nan = float("nan")
    naive = _ratio(a.sum() * m0.sum(), c.sum() * m1.sum())
    if not used.any():
        return Association(nan, nan, nan, nan, nan, nan, naive)
    with np.errstate(invalid="ignore", divide="ignore"):
        weight_exposed = np.where(used, m0 / (m1 + m0), 0.0)
        weight_others = np.where(used, m1 / (m1 + m0), 0.0)
    upper, lower = float((a * weight_exposed).sum()), float((c * weight_others).sum())
    rate = float(a[used].sum() / m1[used].sum())
    if upper <= 0 or lower <= 0:
        return Association(_ratio(upper, lower), nan, nan, nan, rate, nan, naive)
    size, cases = (m1 + m0)[used], (a + c)[used]
    spread = ((m1 * m0)[used] * cases - (a * c)[used] * size) / size**2
    variance = float(spread.sum()) / (upper * lower)
    if clusters is not None:
        stratum, was_exposed, customer = (np.asarray(part) for part in clusters)
        share = np.where(was_exposed, weight_exposed[stratum] / upper, -weight_others[stratum] / lower)
        variance = max(variance, float((np.bincount(customer, share) ** 2).sum()))
    ratio, se = upper / lower, variance**0.5
    z = np.log(ratio) / se
    return Association(
        ratio,
        float(ratio * np.exp(-1.96 * se)),
        float(ratio * np.exp(1.96 * se)),
        float(2 * ndtr(-abs(z))),
        rate,
        rate / ratio,
        naive,
    )


def _ratio(upper: float, lower: float) -> float:
    return float(upper / lower) if lower > 0 else float("nan")


def compare(counts: pd.DataFrame) -> dict[str, tuple[Association, int, int]]:
    """Exposed against alike others, by feature, with the exposed and all subjects.

    Args:
        counts: ``feature, stratum, customer_id, customers, ordered``; the feature '' is everybody, and those
            who ordered have a row with their id.
    """
    import numpy as np
    import pandas as pd

    if counts.empty:
        return {}
    strata = int(counts["stratum"].max()) + 1

    def by_stratum(rows: pd.DataFrame, column: str) -> Floats:
        return np.bincount(rows["stratum"], rows[column].astype(float), minlength=strata).astype(float)

    counts = counts.assign(customer=pd.factorize(counts["customer_id"])[0])
    everybody = counts[counts["feature"] == ""]
    people, ordered = by_stratum(everybody, "customers"), by_stratum(everybody, "ordered")
    cases = everybody.loc[everybody["customer"] >= 0, ["stratum", "customer"]]
    found = {}
    for feature, group in counts[counts["feature"] != ""].groupby("feature", sort=True):
        exposed, hits = by_stratum(group, "customers"), by_stratum(group, "ordered")
        own = group.loc[group["customer"] >= 0, ["stratum", "customer"]].assign(own=True)
        marked = cases.merge(own, how="left", on=["stratum", "customer"])
        clusters = (marked["stratum"], marked["own"].notna(), marked["customer"])
        ratio = stratified_ratio(exposed, hits, people - exposed, ordered - hits, clusters)
        found[str(feature)] = ratio, int(exposed.sum()), int(people.sum())
    return found
