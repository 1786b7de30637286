"""Numbers that stand on one page must add up: the sums that a map has to satisfy before it is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cja_pipeline.journey_maps.rows import STAGES, Map, Row, read_map

if TYPE_CHECKING:
    import pandas as pd

MONEY_SLACK = 1e-4  # relative; credit is floating point, orders are decimal
SHARE_SLACK = 1e-4


class SumError(ValueError):
    """Figures of the map do not add up; the message lists every sum that fails, without customer data."""


def reconcile(journey_map: pd.DataFrame) -> list[str]:
    """Every sum that fails, in words; an empty list means that the page is consistent.

    Checked per segment: customers of a stage = go on + still there + leave; the next stage receives who goes
    on; shares are those of their counts and sum to one; what flows into a path node equals what flows out of
    it, and all attempts that begin also end; the callout is the share of its node; credit of channels equals
    its total, and that total equals net revenue of the same orders; a loss has one price in the headline, the
    opportunities and the friction drawing, and the one to fix first is the largest; a ratio is that of its
    parts; no more checks pass than there are; intervals are the right way round. Suppressed and rounded
    figures are left out.
    """
    faults: list[str] = []
    for segment in sorted(str(name) for name in journey_map["segment"].dropna().unique()):
        page = read_map(journey_map, segment)
        faults += [f"{segment}: {fault}" for rule in RULES for fault in rule(page)]
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
        for item in ("go_on", "open", "leave"):
            part, row = _exact(rows.get(item)), rows.get(item)
            if part is not None and whole and row is not None and not _same(row.share, part / whole):
                faults.append(f"{stage}: the share of {item} is not that of its customers")
    return faults


def _shares(page: Map) -> list[str]:
    faults = []
    for stage in STAGES:
        rows = page.section("touchpoint", stage)
        shares = [row.share for row in rows if row.share is not None and row.status != "suppressed"]
        if rows and len(shares) == len(rows) and abs(sum(shares) - 1) > SHARE_SLACK:
            faults.append(f"{stage}: shares of touchpoints sum to {sum(shares):.3f}")
        total = sum(row.value or 0.0 for row in rows)
        for row in rows:
            if row.value is not None and total and not _same(row.share, row.value / total):
                faults.append(f"{stage}: the share of touchpoint {row.item[:40]} is not that of its contacts")
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
    begin = sum(row.value or 0.0 for code, row in nodes.items() if code not in inward)
    end = sum(row.value or 0.0 for code, row in nodes.items() if code not in outward)
    if abs(begin - end) > 0.5:
        faults.append(f"{begin:.0f} attempts begin, but {end:.0f} end")
    return faults + _callout(page, nodes)


def _callout(page: Map, nodes: dict[str, Row]) -> list[str]:
    """The callout names a share of the attempts with a cart: it is that of the drawing."""
    row = page.find("path", "callout")
    loss = next((node for code, node in nodes.items() if row and code.endswith(f"/{row.label}")), None)
    if row is None or loss is None or loss.value is None or not row.n:
        return []
    cart = nodes.get("node/2/add_to_cart")
    if cart is not None and cart.value != row.n:
        return [f"path callout: of {row.n} attempts, but {cart.value} have a cart"]
    return [] if _same(row.share, loss.value / row.n) else ["path callout: not the share of its node"]


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


def _prices(page: Map) -> list[str]:
    """A loss costs the same wherever it stands."""
    faults = []
    prices = {row.item: row.value for row in page.section("friction")}
    named = [(row.item, row.value) for row in page.section("opportunity")]
    headline = page.find("header", "headline")
    if headline is not None and headline.evidence:
        named.append((headline.evidence, headline.value))
    for item, price in named:
        known = prices.get(item, price)
        if price is not None and known is not None and abs(price - known) > 0.005:
            faults.append(f"{item}: {price:.2f} in one place, {known:.2f} in another")
    chances = [row for row in page.section("opportunity") if row.value is not None]
    first = [row.value for row in chances if row.status.endswith("first")]
    if first and first[0] != max(row.value or 0.0 for row in chances):
        faults.append("what to fix first is not the largest opportunity")
    return faults


def _ratios(page: Map) -> list[str]:
    return [
        f"value {row.item[:40]}: its ratio is not value over cost"
        for row in page.section("value")
        if row.value is not None and row.target and row.share is not None
        if not _same(row.share, row.value / row.target)
    ]


def _health(page: Map) -> list[str]:
    return [
        f"health {row.item}: {row.value:.0f} of {row.target:.0f}"
        for row in page.section("health")
        if row.value is not None and row.target is not None and row.value > row.target
    ]


def _same(one: float | None, other: float) -> bool:
    """Whether two ratios agree but for rounding; one that is not given agrees."""
    return one is None or abs(one - other) <= 1e-4 * max(1.0, abs(other))


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


RULES = (_volumes, _shares, _flows, _credit, _prices, _ratios, _health, _intervals)
