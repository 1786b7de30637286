"""Credit by removal: how many orders a Markov chain of channels loses when a channel is taken out.

States are the last k channels of a path (order k), with repeats of a channel collapsed. The removal effect of
a channel is 1 - P(order without ever meeting it) / P(order), computed exactly (no simulation): for order 1
from the fundamental matrix, for higher orders by iterating X <- mask * (Q X + r) for all channels at once.
Sources: Anderl et al. 2016, "Mapping the customer journey"; Kemeny & Snell 1960 (absorbing chains).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Numbers = NDArray[np.int64]

TOLERANCE = 1e-13


class Chain:
    """The moves of a set of paths; weights may change from call to call (bootstrap), the moves do not.

    Args:
        path, channel: numbers of path and channel of each touch, sorted by path and position.
            Every path has a touch.
        channels: number of channels. order: 1 or more.
    """

    def __init__(self, path: Numbers, channel: Numbers, *, channels: int, order: int = 1) -> None:
        import numpy as np

        self.channels, self.order = channels, order
        fresh = np.r_[True, (path[1:] != path[:-1]) | (channel[1:] != channel[:-1])][: len(path)]
        path, channel = path[fresh], channel[fresh]
        first = np.r_[True, path[1:] != path[:-1]][: len(path)]
        position = np.arange(len(path)) - np.maximum.accumulate(np.where(first, np.arange(len(path)), 0))
        # a state is a number in base channels + 1: the newest channel in the lowest digit, 0 before the start
        code, digit = np.zeros(len(path), dtype=np.int64), 1
        for back in range(min(order, len(path))):
            earlier = np.r_[np.zeros(back, dtype=np.int64), channel[: len(channel) - back] + 1]
            code += np.where(position >= back, earlier, 0) * digit
            digit *= channels + 1
        came_from = np.where(first, 0, np.r_[0, code[:-1]][: len(code)])
        states, numbered = _number(np.r_[0, code, came_from], digit)
        self.states = len(states)
        self.newest = np.where(states > 0, (states - 1) % (channels + 1), -1)  # channel of each state
        target, source = numbered[1 : 1 + len(code)], numbered[1 + len(code) :]
        self.move_path = path
        moves, self.move = _number(source * self.states + target, self.states**2)
        self.source, self.target = moves // self.states, moves % self.states
        self.end_state = target[np.r_[path[1:] != path[:-1], True][: len(path)]]  # last state of each path

    def removal_effects(self, ends: Floats, gains: Floats) -> tuple[Floats, Floats]:
        """Removal effect of every channel and P(gain), for each kind of gain.

        Args:
            ends: journeys that took each path, with or without an order; shape (paths,).
            gains: orders (or money, or new customers) of each path; shape (kinds, paths).

        Returns:
            Effects of shape (kinds, channels), 0 where there is no gain; gain per journey, shape (kinds,).
        """
        import numpy as np
        from scipy.sparse import csr_matrix

        flow = np.bincount(self.move, ends[self.move_path], minlength=len(self.source))
        absorbed = np.bincount(self.end_state, ends, minlength=self.states)
        leaving = np.bincount(self.source, flow, minlength=self.states) + absorbed
        safe = np.where(leaving > 0, leaving, 1.0)
        reward = np.array([np.bincount(self.end_state, g, minlength=self.states) for g in gains]) / safe
        move = csr_matrix((flow / safe[self.source], (self.source, self.target)), (self.states,) * 2)
        if self.order == 1:
            return self._closed_form(move.toarray(), reward)
        return self._iterate(move, reward)

    def _closed_form(self, move: Floats, reward: Floats) -> tuple[Floats, Floats]:
        import numpy as np

        visits = np.linalg.inv(np.eye(self.states) - move)
        gain = visits @ reward.T  # (states, kinds)
        start = gain[0]
        effects = np.zeros((reward.shape[0], self.channels))
        for state in range(1, self.states):
            # P(gain through c) = P(ever at c) * P(gain from c)
            through = visits[0, state] / visits[state, state] * gain[state]
            effects[:, self.newest[state]] = np.divide(
                through, start, out=np.zeros_like(through), where=start > 0
            )
        return effects, start

    def _iterate(self, move: object, reward: Floats) -> tuple[Floats, Floats]:
        import numpy as np

        kinds = reward.shape[0]
        # one column per removed channel, and a last one with nothing removed
        mask = np.ones((self.states, self.channels + 1))
        mask[np.flatnonzero(self.newest >= 0), self.newest[self.newest >= 0]] = 0.0
        effects, start = np.zeros((kinds, self.channels)), np.zeros(kinds)
        for kind in range(kinds):
            r = reward[kind][:, None]
            x = mask * r
            unit = max(float(r.max(initial=0.0)), 1e-300)
            while True:
                following = mask * (move @ x + r)
                change = float(np.abs(following - x).max()) / unit
                x = following
                if change < TOLERANCE:
                    break
            start[kind] = x[0, -1]
            if start[kind] > 0:
                effects[kind] = np.clip(1 - x[0, :-1] / start[kind], 0.0, None)
        return effects, start


def _number(values: Numbers, limit: int) -> tuple[Numbers, Numbers]:
    """Distinct values in order, and the place of each value among them; by counting where `limit` allows."""
    import numpy as np

    if limit > 2**22:
        return np.unique(values, return_inverse=True)
    distinct = np.flatnonzero(np.bincount(values, minlength=limit))
    places = np.zeros(limit, dtype=np.int64)
    places[distinct] = np.arange(len(distinct))
    return distinct, places[values]


def credit(effects: Floats, totals: Floats) -> Floats:
    """Totals shared in proportion to removal effects; shape (kinds, channels), each row sums to its total."""
    import numpy as np

    weight = np.maximum(effects, 0.0)
    whole = weight.sum(axis=1, keepdims=True)
    return np.divide(weight, whole, out=np.zeros_like(weight), where=whole > 0) * np.asarray(totals)[:, None]
