"""Sections `friction` and `opportunity`: where visits are lost, what it costs, what to do first."""

from __future__ import annotations

from typing import Any

from cja_pipeline.journey_maps.labels import Labels
from cja_pipeline.journey_maps.rows import STAGES, Rows
from cja_pipeline.journey_maps.sections.context import Context, day, number, text, whole
from cja_pipeline.journey_maps.suppress import SUPPRESS

MOST = 6
DEVICES = ("mobile", "desktop")  # groups that losses are split by
Loss = dict[str, Any]


def losses(context: Context) -> list[Loss]:
    """Rows of ``kpis.friction`` with at least 20 customers, proven and costly ones first.

    A group of customers by device sees the losses of its device; the other groups see all.
    """
    if not context.has("kpis.friction"):
        return []
    found = context.df(
        "SELECT * FROM kpis.friction WHERE customers >= $least"
        " ORDER BY rank, step, dimension, dimension_value",
        least=SUPPRESS,
    ).to_dict("records")
    if context.segment in DEVICES:
        found = [
            row
            for row in found
            if row["dimension"] == "device" and text(row["dimension_value"]) == context.segment
        ]
    return found


def friction(context: Context, rows: Rows, found: list[Loss]) -> None:
    """The costliest losses with interval, in money per month where they last, in all where they are over;
    proven ones in colour, the rest as context."""
    for place, row in enumerate(_by_cost(found)[:MOST]):
        money, low, high = per_month(row)
        rows.add(
            "friction",
            code(row),
            position=place,
            stage=text(row["stage"]) if text(row["stage"]) in STAGES else "",
            label=name(row, context.words),
            text=_when(row, context.words),
            value=money,
            low=low,
            high=high,
            n=whole(row["sessions"]),
            share=number(row["observed_rate"]),
            target=number(row["expected_rate"]),
            unit="money",
            currency=text(row["currency"]),
            status="proven" if is_proven(row) else _why_not(row),
            evidence=text(row["evidence"]),
            owner=text(row["owner"]),
            series={"q": number(row["q_value"]), "kind": text(row["kind"])},
            period_start=day(row["period_start"]),
            period_end=day(row["period_end"]),
        )


def opportunities(context: Context, rows: Rows, found: list[Loss]) -> None:
    """The largest proven loss per stage as money per month, and which of them to fix first."""
    standing = [row for row in _by_cost(found) if is_proven(row) and not is_incident(row)]
    chosen = [next((row for row in standing if row["stage"] == stage), None) for stage in STAGES]
    known = [row for row in chosen if row is not None]
    first = max(known, key=lambda row: (number(row["lost_per_month"]) or 0.0, code(row)), default=None)
    for stage, row in zip(STAGES, chosen, strict=True):
        if row is None:
            continue
        money, low, high = per_month(row)
        rows.add(
            "opportunity",
            code(row),
            stage=stage,
            label=action(row, context.words),
            value=money,
            low=low,
            high=high,
            n=whole(row["sessions"]),
            unit="money",
            currency=text(row["currency"]),
            status=confidence(row) + (" first" if row is first else ""),
            evidence=text(row["evidence"]),
            owner=text(row["owner"]),
        )


def _by_cost(found: list[Loss]) -> list[Loss]:
    return sorted(found, key=lambda row: (not is_proven(row), -(per_month(row)[0] or 0.0), code(row)))


def _when(row: Loss, words: Labels) -> str:
    """``each month``, or the days of what is over."""
    if not is_incident(row):
        return words("friction.lasting")
    dates = words.formats.dates(day(row["period_start"]), day(row["period_end"]), short=True)
    return words("friction.once", period=dates)


def _why_not(row: Loss) -> str:
    """Why a loss counts as context: the status that the table gives, or an interval that holds zero."""
    status = text(row["status"])
    return status if status in ("related", "audience") else "unclear"


def is_incident(row: Loss) -> bool:
    """Whether the loss is over: it lasted some days and has no price per month."""
    return text(row["kind"]) == "incident"


def is_proven(row: Loss) -> bool:
    """Proven after correction for all cells looked at, and the interval excludes zero."""
    return text(row["status"]) == "proven" and (number(row["lost_low"]) or 0.0) > 0


def per_month(row: Loss) -> tuple[float | None, float | None, float | None]:
    """Loss per month with its interval, which is scaled as the loss itself is."""
    whole_loss, month = number(row["lost_revenue"]), number(row["lost_per_month"])
    scale = month / whole_loss if month is not None and whole_loss else 1.0
    low, high = number(row["lost_low"]), number(row["lost_high"])
    return month, None if low is None else low * scale, None if high is None else high * scale


def confidence(row: Loss) -> str:
    """high: lower end at least half of the loss and q below 0.1 %; medium: at least a quarter; else low."""
    loss, low = number(row["lost_revenue"]) or 0.0, number(row["lost_low"]) or 0.0
    q = number(row["q_value"])
    if loss > 0 and low >= loss / 2 and q is not None and q < 0.001:
        return "high"
    return "medium" if loss > 0 and low >= loss / 4 else "low"


def code(row: Loss) -> str:
    """A stable code of the loss: kind, step, dimension, value, first day."""
    parts = (row["kind"], row["step"], row["dimension"], row["dimension_value"], day(row["period_start"]))
    return "/".join(str(part) for part in parts)


def where(row: Loss, words: Labels) -> str:
    """``on phones``, ``in Safari``, ``coming from Paid search``."""
    dimension, value = text(row["dimension"]), text(row["dimension_value"])
    if dimension == "device" and f"device.{value}" in words.words:
        return words(f"device.{value}")
    if dimension in ("", "all"):
        return words("dimension.all")
    shown = words.name("channel", value, value) if dimension == "channel" else value[:60]
    if dimension == "landing_page" and value == "/":
        shown = words("dimension.home")
    pattern = f"dimension.{dimension}"
    return words(pattern, value=shown) if pattern in words.words else f"{dimension} {shown}"


def name(row: Loss, words: Labels) -> str:
    """``Checkouts on phones``."""
    return f"{words.name('step', text(row['step']))} {where(row, words)}"


def action(row: Loss, words: Labels) -> str:
    """What to do about a loss after this step, where it happens."""
    key = f"action.{text(row['step'])}"
    pattern = key if key in words.words else "action.other"
    return words(pattern, where=where(row, words), step=words.name("step", text(row["step"])))
