"""From sums over units to published numbers: value, interval, and a reason where there is no value.

Works on whole columns: one call per KPI and grain, whatever the number of periods and slices.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from cja_pipeline.kpis import stats
from cja_pipeline.kpis.blocks import KEYS, take
from cja_pipeline.kpis.kpi_entry import Kpi

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cja_pipeline.kpis.blocks import Block

    Floats = NDArray[np.float64]


# Amounts of unknown exchange rate are left out and counted; with more than this share the sum is a guess.
MOST_MISSING = 0.05


def estimate(kpi: Kpi, sums: dict[str, Floats]) -> dict[str, Any]:
    """Numbers of one KPI for every period and slice.

    Args:
        sums: by role of the scan's plan: n, d (sums), units, nn, dd, nd (second moments), missing, model_low,
            model_high, promoters, detractors. Arrays of one length.

    Returns:
        value, numerator, denominator, n, missing (rows left out because their amount is unknown), ci_low,
        ci_high (arrays, NaN where there is none), ci_method and null_reason (object arrays, None where there
        is none).
    """
    import numpy as np

    units = sums["units"]
    if kpi.kind == "nps":
        found = _nps(sums)
    elif kpi.kind in ("count", "sum", "distinct"):
        found = _total(kpi, sums)
    else:
        found = _ratio(kpi, sums)
    reason = np.full(len(units), None, dtype=object)
    if found["denominator"] is not None:
        reason[found["denominator"] == 0] = kpi.when_empty
    else:
        found["denominator"] = np.full(len(units), np.nan)
    missing = sums.get("missing", np.zeros(len(units)))
    if "missing" in sums:
        reason[missing > MOST_MISSING * sums["rows"]] = "missing_rate"
    reason[(units < kpi.smallest_n) & (reason == None)] = "suppressed_small_n"  # noqa: E711 - elementwise
    return without_value({**found, "n": units, "missing": missing, "null_reason": reason})


def without_value(found: dict[str, Any]) -> dict[str, Any]:
    """Take value and interval away wherever there is a reason against publishing them."""
    import numpy as np

    hidden = found["null_reason"] != None  # noqa: E711 - elementwise
    for name in ("value", "ci_low", "ci_high"):
        found[name] = np.where(hidden, np.nan, found[name])
    method = np.full(len(hidden), found["ci_method"], dtype=object)
    method[np.isnan(found["ci_low"]) & np.isnan(found["ci_high"])] = None
    found["ci_method"] = method
    return found


def _total(kpi: Kpi, sums: dict[str, Floats]) -> dict[str, Any]:
    import numpy as np

    total = sums["n"]
    if kpi.interval == "none":
        low = high = np.full(len(total), np.nan)
        method = None
    elif kpi.kind == "distinct" or kpi.interval == "poisson":
        (low, high), method = stats.poisson(total), "poisson"
    else:
        one_event = np.nan if kpi.format == "money" else 1.0
        (low, high), method = stats.compound_poisson(total, sums["nn"], one_event), "compound_poisson"
    return {
        "value": total,
        "numerator": total,
        "denominator": None,
        "ci_low": low,
        "ci_high": high,
        "ci_method": method,
    }


def _nps(sums: dict[str, Floats]) -> dict[str, Any]:
    score = stats.nps(sums["promoters"], sums["detractors"], sums["d"])
    return {
        "value": score.value,
        "numerator": sums["promoters"] - sums["detractors"],
        "denominator": sums["d"],
        "ci_low": score.low,
        "ci_high": score.high,
        "ci_method": "nps",
    }


def _ratio(kpi: Kpi, sums: dict[str, Floats]) -> dict[str, Any]:
    import numpy as np

    n, d, units = sums["n"], sums["d"], sums["units"]
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(d != 0, n / d, np.nan)
    low = high = np.full(len(n), np.nan)
    method: str | None = None
    bounded = kpi.kind in ("proportion", "ratio") and kpi.format == "percent"
    if kpi.interval == "wilson" or (kpi.kind == "proportion" and kpi.interval == "default"):
        (low, high), method = stats.wilson(n, d), "wilson"
    elif kpi.interval != "none":
        delta = stats.ratio_from_moments(units, n, d, sums["nn"], sums["dd"], sums["nd"])
        if bounded and kpi.interval == "default" and kpi.is_counted:
            low, high = stats.effective_wilson(value, delta.se, units, d)
            method = "wilson_clustered"
        elif bounded and kpi.interval == "default":
            (low, high), method = stats.share_of_amounts(value, delta.se, units), "gamma"
        elif kpi.kind == "per_unit" and kpi.numerator == "1":
            (low, high), method = stats.one_or_more(value, delta.se, units), "compound_poisson"
        elif kpi.format == "score":
            low, high, method = delta.low, delta.high, "delta"
        else:
            # what is never negative leans to the right; around a loss the limits are symmetric
            low, high = stats.gamma_ratio(value, delta.se, units - 1)
            low, high = np.where(value > 0, low, delta.low), np.where(value > 0, high, delta.high)
            # where nothing happened, nobody knows how much it would be once it does
            high = np.where((value == 0) & (high == 0), np.nan, high)
            method = "gamma"
    if "model_low" in sums:
        # the same parameters serve all customers, so their errors add up instead of averaging out
        with np.errstate(divide="ignore", invalid="ignore"):
            low = value - np.hypot(value - low, value - sums["model_low"] / d)
            high = value + np.hypot(high - value, sums["model_high"] / d - value)
        method = "delta_model"
    if kpi.complement:
        value, low, high, n = 1 - value, 1 - high, 1 - low, d - n
    return {
        "value": value,
        "numerator": n,
        "denominator": d,
        "ci_low": low,
        "ci_high": high,
        "ci_method": method,
    }


def derive(
    kpi: Kpi,
    grains: Sequence[str],
    dimensions: Sequence[str],
    top: Block,
    bottom: Block,
    exact: tuple[bool, bool],
) -> Block:
    """A derived KPI from the published rows of its two parts, where both have a row.

    n is the smaller n of the parts that vary by chance. The parts are taken as independent. Of nothing, the
    lower limit is nothing, too; the upper one is unknown unless the numerator knows its own.

    Args:
        exact: whether numerator and denominator are counted without any chance.
    """
    import numpy as np

    allowed = np.isin(top["dimension"].astype(str), ["all", *dimensions])
    top = take(top, allowed & np.isin(top["grain"].astype(str), list(grains)))
    places = {key: place for place, key in enumerate(_keys(bottom))}
    pairs = [(i, places[key]) for i, key in enumerate(_keys(top)) if key in places]
    left, right = take(top, [i for i, _ in pairs]), take(bottom, [j for _, j in pairs])
    a, b = left["value"], right["value"]
    limits = [
        np.where(np.isnan(part[side]), part["value"], part[side])
        for part in (left, right)
        for side in ("ci_low", "ci_high")
    ]
    n = np.minimum(np.where(exact[0], np.inf, left["n"]), np.where(exact[1], np.inf, right["n"]))
    n = np.where(np.isinf(n), right["n"], n)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(b > 0, a / b, np.nan)
    low, high = stats.mover_ratio(a, limits[0], limits[1], b, limits[2], limits[3])
    sampled = not all(exact)
    low, high = (np.where(sampled & (a > 0), limit, np.nan) for limit in (low, high))
    with np.errstate(divide="ignore", invalid="ignore"):
        most = np.where((limits[1] > 0) & (limits[2] > 0), limits[1] / limits[2], np.nan)
    nothing = sampled & (a == 0) & (b > 0)
    low, high = np.where(nothing, 0.0, low), np.where(nothing, 0.0 if exact[0] else most, high)
    first, second = kpi.scale * low + kpi.offset, kpi.scale * high + kpi.offset
    reason = np.where(left["null_reason"] != None, left["null_reason"], right["null_reason"])  # noqa: E711
    reason[(b == 0) & (reason == None)] = "zero_denominator"  # noqa: E711 - elementwise
    reason[(n < kpi.smallest_n) & (reason == None)] = "suppressed_small_n"  # noqa: E711 - elementwise
    numbers = {
        "value": kpi.scale * value + kpi.offset,
        "numerator": a,
        "denominator": b,
        "n": n,
        "missing": left["missing"] + right["missing"],
        "ci_low": first if kpi.scale >= 0 else second,
        "ci_high": second if kpi.scale >= 0 else first,
        "ci_method": "mover",
        "null_reason": reason,
    }
    return {**{name: left[name] for name in KEYS}, **without_value(numbers)}


def _keys(block: Block) -> Iterator[tuple[Any, ...]]:
    return zip(*(block[name].tolist() for name in KEYS), strict=True)
