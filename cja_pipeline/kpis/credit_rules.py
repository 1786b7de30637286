"""Credit by rule: how each model shares one order among the touches of its path.

All functions work on touches sorted by path and position: ``path`` numbers the path of each touch from 0. The
result has one weight per touch; the weights of a path sum to 1. Sources: Google Ads API (position 40/20/40,
time decay with a half-life of a week); Zhao et al. 2018 (Shapley value where a path needs all its channels).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Numbers = NDArray[np.int64]

RULES = ("first", "last", "last_non_direct", "linear", "position", "time_decay", "shapley")


def touch_weights(
    model: str, path: Numbers, channel: Numbers, days: Floats, *, direct: int = -1, half_life: float = 7.0
) -> Floats:
    """Share of each touch in its path's order.

    Args:
        model: one of `RULES`.
        path, channel: numbers of path and channel of each touch, touches in order.
        days: days between touch and order (only time_decay looks at it).
        direct: number of the channel that last_non_direct looks past, unless the path has nothing else.
        half_life: days after which a touch counts half.
    """
    import numpy as np

    if len(path) == 0:
        return np.zeros(0)
    size = np.bincount(path)[path]
    start = np.flatnonzero(np.r_[True, path[1:] != path[:-1]])
    position = np.arange(len(path)) - np.repeat(start, np.diff(np.r_[start, len(path)]))
    if model == "first":
        return (position == 0).astype(float)
    if model == "last":
        return (position == size - 1).astype(float)
    if model == "linear":
        return 1.0 / size
    if model == "last_non_direct":
        # the last touch that is not direct: rank direct touches behind all others
        worth = np.where(channel == direct, position - size, position)
        best = np.full(int(path.max()) + 1, np.iinfo(np.int64).min)
        np.maximum.at(best, path, worth)
        return (worth == best[path]).astype(float)
    if model == "position":
        end = (position == 0) | (position == size - 1)
        weight = np.where(end, 0.4, 0.2 / np.maximum(size - 2, 1))
        return np.where(size == 1, 1.0, np.where(size == 2, 0.5, weight))
    if model == "time_decay":
        # relative to the newest touch of the path, so that old paths do not underflow
        newest = np.full(int(path.max()) + 1, np.inf)
        np.minimum.at(newest, path, days)
        weight = np.exp2(-(days - newest[path]) / half_life)
        return weight / np.bincount(path, weight)[path]
    if model == "shapley":
        # every distinct channel of the path gets the same; its touches share that
        _, pair = np.unique(path * (int(channel.max()) + 1) + channel, return_inverse=True)
        first_of_pair = np.zeros(len(path), dtype=bool)
        first_of_pair[np.unique(pair, return_index=True)[1]] = True
        channels = np.bincount(path, first_of_pair)
        return 1.0 / (channels[path] * np.bincount(pair)[pair])
    raise ValueError(f"unknown model {model!r}; expected one of {', '.join(RULES)}")
