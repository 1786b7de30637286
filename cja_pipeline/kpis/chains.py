"""SQL of ordered, windowed funnels: which steps each subject reached, in order and in time.

One text serves the public function over anyone's events and the warehouse's funnel. The source relation has
the key columns, `ts` (BIGINT, microseconds), `code` (1-based number of the event) and `tie` (unique order of
rows of equal time and code). Rows of equal time count in the order of the steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

Counting = Literal["best_chain", "first_entry", "any"]
NO_LIMIT = 2**62


def chain_query(
    source: str, keys: Sequence[str], steps: Sequence[int], window: int | None, counting: Counting
) -> str:
    """SELECT with one row per subject: keys, ``entry_i`` and ``took_i`` (microseconds) for every step i.

    ``entry_i`` is when the chain that reached step i began (null if not reached; the latest such chain), and
    ``took_i`` how long the quickest chain took to get there.

    Args:
        source: name of the source relation.
        keys: its key columns.
        steps: the event code of each step; a code may occur more than once.
        window: microseconds from first to last step, None for no limit.
        counting: best_chain (any start may succeed), first_entry (only the first start counts) or
            any (the step at all, in no order and without a window).
    """
    build = {"best_chain": _best_chain, "first_entry": _first_entry, "any": _any_order}[counting]
    return build(source, ", ".join(keys), list(steps), NO_LIMIT if window is None else int(window))


def summary_query(chains: str, group: Sequence[str], steps: int, window: int | None, horizon: str) -> str:
    """SELECT with one row per group and, for every step, ``users_i``, ``both_i`` (also at the step before),
    ``median_i`` (seconds) and ``immature_i``.

    A subject is immature at step i when it stands at step i - 1 and its window still runs at `horizon`
    (an SQL expression in microseconds).
    """
    limit = NO_LIMIT if window is None else int(window)
    columns = list(group)
    for i in range(1, steps + 1):
        columns.append(f"count(entry_{i}) AS users_{i}")
        columns.append(f"median(took_{i}) / 1e6 AS median_{i}")
        both = f"entry_{i}" if i == 1 else f"CASE WHEN entry_{i - 1} IS NOT NULL THEN entry_{i} END"
        columns.append(f"count({both}) AS both_{i}")
        running = "0"
        if i > 1 and limit < NO_LIMIT:
            running = f"count(CASE WHEN entry_{i} IS NULL AND entry_{i - 1} + {limit} > {horizon} THEN 1 END)"
        columns.append(f"{running} AS immature_{i}")
    by = f" GROUP BY {', '.join(group)}" if group else ""
    return f"SELECT {', '.join(columns)} FROM ({chains}) AS chains{by}"


def _best_chain(source: str, keys: str, steps: list[int], window: int) -> str:
    # Carry the LATEST start of a chain that has come so far: it leaves the most time for the steps to come.
    before = (
        f"OVER (PARTITION BY {keys} ORDER BY ts, code, tie ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
    )
    query = f"SELECT {keys}, ts, code, tie, CASE WHEN code = {steps[0]} THEN ts END AS s1 FROM {source}"
    for i, code in enumerate(steps[1:], start=2):
        carried = ", ".join(f"s{j}" for j in range(1, i))
        query = (
            f"SELECT {keys}, ts, code, tie, {carried}, "
            f"CASE WHEN code = {code} AND ts - open_chain <= {window} THEN open_chain END AS s{i} "
            f"FROM (SELECT *, max(s{i - 1}) {before} AS open_chain FROM ({query}) AS q{i}) AS r{i}"
        )
    found = ", ".join(f"max(s{i}) AS entry_{i}, min(ts - s{i}) AS took_{i}" for i in range(1, len(steps) + 1))
    return f"SELECT {keys}, {found} FROM ({query}) AS marked GROUP BY {keys}"


def _first_entry(source: str, keys: str, steps: list[int], window: int) -> str:
    ctes = [
        f"placed AS (SELECT {keys}, ts, code, "
        f"row_number() OVER (PARTITION BY {keys} ORDER BY ts, code, tie) AS place FROM {source})",
        f"f1 AS (SELECT {keys}, min(place) AS place_1, min(ts) AS ts_1 FROM placed "
        f"WHERE code = {steps[0]} GROUP BY {keys})",
    ]
    for i, code in enumerate(steps[1:], start=2):
        ctes.append(
            f"f{i} AS (SELECT {keys}, min(place) AS place_{i}, min(ts) AS ts_{i} FROM placed "
            f"JOIN f{i - 1} USING ({keys}) JOIN (SELECT {keys}, ts_1 FROM f1) AS entered USING ({keys}) "
            f"WHERE code = {code} AND place > place_{i - 1} AND ts - entered.ts_1 <= {window} "
            f"GROUP BY {keys})"
        )
    columns = [keys, "ts_1 AS entry_1", "CAST(0 AS BIGINT) AS took_1"]
    joins = ""
    for i in range(2, len(steps) + 1):
        columns.append(f"CASE WHEN ts_{i} IS NOT NULL THEN ts_1 END AS entry_{i}, ts_{i} - ts_1 AS took_{i}")
        joins += f" LEFT JOIN f{i} USING ({keys})"
    return f"WITH {', '.join(ctes)} SELECT {', '.join(columns)} FROM f1{joins}"


def _any_order(source: str, keys: str, steps: list[int], _window: int) -> str:
    found = ", ".join(
        f"max(CASE WHEN code = {code} THEN ts END) AS entry_{i}, CAST(NULL AS BIGINT) AS took_{i}"
        for i, code in enumerate(steps, start=1)
    )
    return f"SELECT {keys}, {found} FROM {source} GROUP BY {keys}"
