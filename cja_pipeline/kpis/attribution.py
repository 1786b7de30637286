"""Who deserves the credit: orders and revenue shared among the channels of the paths that led to them.

`attribute` works on anyone's table of paths; `build_attribution` applies the same models to the warehouse.
Rules and Markov chains describe how orders came about. They do not prove that a channel caused them.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cja_pipeline.kpis.attribution_build import UNATTRIBUTED, build_attribution
from cja_pipeline.kpis.credit_rules import RULES, touch_weights
from cja_pipeline.kpis.markov import Chain, credit

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MODELS", "UNATTRIBUTED", "attribute", "build_attribution"]

MODELS = (*RULES[:-1], "markov_1", "markov_2", "markov_3", "shapley")


def attribute(
    paths: pd.DataFrame,
    models: Sequence[str] | str = MODELS,
    *,
    direct: str = "Direct",
    half_life_days: float = 7.0,
) -> pd.DataFrame:
    """Share conversions and their value among channels, by each model.

    Args:
        paths: one row per path (distinct or not) with the columns
            ``path``: channels in order, as a list or as text joined by " > ";
            ``conversions``: how many journeys of this path converted;
            ``value`` (optional): their total value;
            ``nulls`` (optional): how many journeys of this path ended without converting (Markov uses them);
            ``days_before`` (optional): for each touch the days until the conversion, as the path is written;
            without it time_decay takes touches as one day apart, the last one at the conversion.
        models: one or more of first, last, last_non_direct, linear, position (40/20/40), time_decay,
            shapley, markov_k with k = 1, 2, 3 (``markov`` is markov_1).
        direct: the channel that last_non_direct looks past (upper or lower case).
        half_life_days: of time_decay.

    Returns:
        ``model, channel, conversions, value, share, removal_effect`` (Markov only), in the order of `models`
        and then by conversions. Credits of a model sum to all conversions and all value; a path without
        touches is credited to "Unattributed".
    Raises:
        ValueError: a column is missing or holds no numbers, counts are negative or unknown, a path is neither
            list nor text, or a model is unknown.
    """
    import numpy as np
    import pandas as pd

    models = [models] if isinstance(models, str) else models
    if not half_life_days > 0:
        raise ValueError(f"half_life_days: expected a positive number of days, got {half_life_days!r}.")
    table = _checked(paths)
    touches = [_split(path) for path in table["path"]]
    empty = np.array([not items for items in touches], dtype=bool)
    gains = table.loc[~empty, ["conversions", "value"]].to_numpy(dtype=float).T
    nulls = table.loc[~empty, "nulls"].to_numpy(dtype=float)
    without = table.loc[empty, ["conversions", "value"]].to_numpy(dtype=float).sum(axis=0)
    known = [items for items in touches if items]
    flat = [item for items in known for item in items]
    channel, names = pd.factorize(np.array(flat, dtype=object), sort=True)
    path = np.repeat(np.arange(len(known)), [len(items) for items in known])
    days = _days(table.loc[~empty], known)
    direct_code = next((i for i, name in enumerate(names) if name.casefold() == direct.casefold()), -1)

    frames = []
    for model in models:
        effect = np.full(len(names), np.nan)
        if model.startswith("markov"):
            chain = Chain(path, channel, channels=len(names), order=_order(model))
            effects, _ = chain.removal_effects(gains[0] + nulls, gains)
            shared, effect = credit(effects, gains.sum(axis=1)), effects[0]
        else:
            if model == "time_decay" and "days_before" not in paths:
                warnings.warn(
                    "time_decay: no column days_before; touches count as one day apart", stacklevel=2
                )
            weight = touch_weights(model, path, channel, days, direct=direct_code, half_life=half_life_days)
            shared = np.array([np.bincount(channel, weight * g[path], minlength=len(names)) for g in gains])
        frame = pd.DataFrame(
            {"channel": names, "conversions": shared[0], "value": shared[1], "removal_effect": effect}
        )
        if without.any():
            frame.loc[len(frame)] = [UNATTRIBUTED, without[0], without[1], np.nan]
        frame.insert(0, "model", model)
        frames.append(frame.sort_values(["conversions", "channel"], ascending=[False, True]))
    result = pd.concat(frames, ignore_index=True)
    total = table["conversions"].sum()
    result["share"] = result["conversions"] / total if total else np.nan
    return result[["model", "channel", "conversions", "value", "share", "removal_effect"]]


def _order(model: str) -> int:
    order = model.removeprefix("markov").removeprefix("_") or "1"
    if order not in ("1", "2", "3", "4"):
        raise ValueError(f"unknown model {model!r}; expected one of {', '.join(MODELS)}")
    return int(order)


def _checked(paths: pd.DataFrame) -> pd.DataFrame:
    if not hasattr(paths, "columns"):
        raise ValueError("expected a DataFrame with the columns path and conversions.")
    missing = [column for column in ("path", "conversions") if column not in paths]
    if missing:
        raise ValueError(f"the paths lack the columns {missing}; expected path and conversions.")
    table = paths.reset_index(drop=True).copy()
    for column in ("value", "nulls"):
        if column not in table:
            table[column] = 0.0
    for column in ("conversions", "nulls", "value"):
        try:
            table[column] = table[column].astype(float)
        except (TypeError, ValueError):
            raise ValueError(f"{column}: expected numbers, got {table[column].iloc[0]!r}.") from None
    counts = table[["conversions", "nulls"]]
    if (
        not counts.apply(lambda column: column.between(0, float("inf"), inclusive="left")).all(axis=None)
        or not table["value"].abs().lt(float("inf")).all()
    ):
        raise ValueError("conversions and nulls must be finite and not negative, value must be finite.")
    return table


def _split(path: object) -> list[str]:
    if isinstance(path, str):
        return [item.strip() for item in path.split(">") if item.strip()]
    if path is None or (isinstance(path, float) and path != path):
        return []
    if not hasattr(path, "__iter__"):
        raise ValueError(
            f'path: expected channels as a list or as text such as "Email > Direct", got {path!r}.'
        )
    return [str(item) for item in path]


def _days(table: pd.DataFrame, known: list[list[str]]) -> Any:
    import numpy as np

    if "days_before" not in table:
        parts = [np.arange(float(len(items)))[::-1] for items in known]
        return np.concatenate(parts or [np.zeros(0)])
    try:
        days = [
            [float(day) for day in (value.split(">") if isinstance(value, str) else np.atleast_1d(value))]
            for value in table["days_before"]
        ]
    except (TypeError, ValueError):
        days = [[float("nan")]]
    if any(not 0 <= day < float("inf") for each in days for day in each):
        raise ValueError("days_before: expected the days from each touch to the conversion, 0 or more.")
    if any(len(a) != len(b) for a, b in zip(days, known, strict=True)):
        raise ValueError("days_before: expected one number for each touch of the path.")
    return np.concatenate([np.asarray(d) for d in days] or [np.zeros(0)])
