"""Numbers that stand on one page must add up: the sums that a map has to satisfy before it is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cja_pipeline.journey_maps.rows import STAGES, Map, Row, read_map

if TYPE_CHECKING:
    import pandas as pd

MONEY_SLACK = 0.005  # relative; credit is floating point, orders are decimal
SHARE_SLACK = 0.005


class SumError(ValueError):
    """Figures of the map do not add up; the message lists every sum that fails, without customer data."""


def reconcile(journey_map: pd.DataFrame) -> list[str]:
    """Every sum that fails, in words; an empty list means that the page is consistent.

    Checked per segment: customers of a stage = go on + still there + leave; the next stage receives who goes
    on; shares of touchpoints sum to one; what flows into a path node equals what flows out of it; credit over
    channels equals its total, and that total equals net revenue of the same orders; intervals hold their
    value; counts and shares are not negative. Suppressed and rounded figures are left out.
    """
    faults: list[str] = []
    for segment in sorted(str(name) for name in journey_map["segment"].dropna().unique()):
        page = read_map(journey_map, segment)
        for fault in (*_volumes(page), *_shares(page), *_flows(page), *_credit(page), *_intervals(page)):
            faults.append(f"{segment}: {fault}")
    return faults


def require_sums(journey_map: pd.DataFrame) -> None:
    """Raise SumError unless every sum holds."""
    faults = reconcile(journey_map)
    if faults:
        raise SumError("the journey map does not add up: " + "; ".join(faults[:10]))


def _exact(row: Row | None) -> float | None:
    return None if row is None or row.status in ("suppressed", "rounded") else row.value


def _volumes(page: Map) -> list[str]:
    faults = []
    for index, stage in enumerate(STAGES):
        rows = {row.item: row for row in page.section("volume", stage)}
        parts = [_exact(rows.get(item)) for item in ("go_on", "open", "leave")]
        whole = _exact(rows.get("reached"))
        if whole is not None and None not in parts:
            total = sum(part for part in parts if part is not None)
            if abs(total - whole) > 0.5:
                faults.append(f"{stage}: {whole:.0f} customers, but {total:.0f} go on, stay or leave")
        if index + 1 < len(STAGES):
            received = _exact(page.find("volume", "reached", STAGES[index + 1]))
            sent = _exact(rows.get("go_on"))
            if sent is not None and received is not None and abs(sent - received) > 0.5:
                faults.append(f"{stage}: {sent:.0f} go on, but the next stage has {received:.0f}")
    return faults


def _shares(page: Map) -> list[str]:
    faults = []
    for stage in STAGES:
        rows = page.section("touchpoint", stage)
        shares = [row.share for row in rows if row.share is not None and row.status != "suppressed"]
        if rows and len(shares) == len(rows) and abs(sum(shares) - 1) > SHARE_SLACK:
            faults.append(f"{stage}: shares of touchpoints sum to {sum(shares):.3f}")
    return faults


def _flows(page: Map) -> list[str]:
    nodes = {row.item: row for row in page.section("path") if row.item.startswith("node/")}
    inward: dict[str, float] = {}
    outward: dict[str, float] = {}
    for row in page.section("path"):
        if row.item.startswith("link/") and row.value is not None:
            outward[row.label] = outward.get(row.label, 0.0) + row.value
            inward[row.text] = inward.get(row.text, 0.0) + row.value
    faults = []
    for code, row in nodes.items():
        whole = _exact(row)
        for name, sums in (("into", inward), ("out of", outward)):
            if whole is not None and code in sums and abs(sums[code] - whole) > 0.5:
                faults.append(f"path {code}: {whole:.0f}, but {sums[code]:.0f} flow {name} it")
    return faults


def _credit(page: Map) -> list[str]:
    rows = page.section("attribution")
    total = next((row for row in rows if row.item == "total"), None)
    if total is None or total.value is None:
        return []
    faults = []
    parts = [row.value for row in rows if row.item != "total"]
    given = sum(part for part in parts if part is not None)
    if None not in parts and abs(given - total.value) > max(1.0, MONEY_SLACK * abs(total.value)):
        faults.append(f"credit by channel sums to {given:.2f}, its total is {total.value:.2f}")
    if total.target is not None and abs(total.value - total.target) > max(
        1.0, MONEY_SLACK * abs(total.target)
    ):
        faults.append(f"credited {total.value:.2f}, net revenue of the same orders is {total.target:.2f}")
    return faults


def _intervals(page: Map) -> list[str]:
    faults = []
    for row in page:
        where = f"{row.section}/{row.item}" + (f" ({row.stage})" if row.stage else "")
        if row.low is not None and row.high is not None and row.low > row.high:
            faults.append(f"{where}: the interval is upside down")
        if row.share is not None and row.section != "value" and not -1e-9 <= row.share <= 1 + 1e-9:
            faults.append(f"{where}: a share of {row.share:.3f}")
        if row.n is not None and row.n < 0:
            faults.append(f"{where}: a count of {row.n}")
    return faults
