"""A receipt in words, for a terminal."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cja_pipeline.console import plain
from cja_pipeline.kpis.catalogue import load_catalogue
from cja_pipeline.kpis.explain import NoSuchNumberError, Receipt
from cja_pipeline.kpis.kpi_entry import Kpi

if TYPE_CHECKING:
    from cja_pipeline.kpis.objectives import Objective

SHOWN = 5
WITHHELD = (
    "the number is of fewer people than smallest_n, so it is withheld, as in the published table, and so "
    "are the rows that would give it away."
)
# said in the first line
TOLD = ("kpi_id", "stage", "label", "grain", "period_start", "period_end", "dimension", "dimension_value")


def sections(receipt: Receipt) -> Iterator[tuple[str, list[str]]]:
    """Titles with their lines; the first title is the number itself."""
    published, kpi = receipt.published, receipt.kpi
    yield headline(receipt), [kpi.description]
    yield "Definition", _pairs(receipt.definition)
    yield "Published", _pairs(published)
    yield "Inputs", [_input(table) for table in receipt.tables]
    if not receipt.parts:
        yield "SQL", receipt.sql.split("\n")
    yield "Rows", list(_rows(receipt))


def headline(receipt: Receipt) -> str:
    """The number with its period, slice and interval."""
    published, kpi = receipt.published, receipt.kpi
    name, value = published["dimension"], published["dimension_value"]
    slice_ = "" if name == "all" else f", {name} {plain(value)}"
    start, end = published["period_start"], published["period_end"]
    when = str(start) if start == end else f"{start} to {end}"
    value, low, high = (
        amount(kpi, published[name], published["currency"]) for name in ("value", "ci_low", "ci_high")
    )
    if published["value"] is None:
        value += f" ({published['null_reason']})"
    elif published["ci_low"] is not None and published["ci_high"] is not None:
        value += f", 95 % interval {low} to {high}"
    return f"{kpi.label}{slice_}, {when}: {value}"


def amount(
    kpi: Kpi, value: float | None, currency: str | None, *, digits: int = 2, change: bool = False
) -> str:
    """A value as people write it; a change has a sign, and between two percentages it is in points."""
    if value is None:
        return "no value"
    sign = "+" if change else ""
    if kpi.format == "percent":
        return f"{100 * value:{sign}.{digits}f} {'pt' if change else '%'}"
    if kpi.format == "count":
        return f"{value:{sign},.0f}"
    unit = {"money": currency, "seconds": "s", "days": "days"}.get(kpi.format)
    return f"{value:{sign},.{digits}f}{f' {unit}' if unit else ''}"


def target_text(kpi: Kpi, goal: Objective, currency: str) -> str:
    """A target in words: the number in the KPI's unit, for what, whose, since when."""
    # a total is scaled to other periods, a rate holds for all of them
    grain = f"per {goal.grain}" if kpi.additive or kpi.kind == "distinct" else "at every grain"
    where = "" if goal.is_whole else f", {goal.dimension} {goal.dimension_value}"
    return (
        f"{amount(kpi, goal.target, currency)} {grain}{where}, from {goal.effective_from} "
        f"({goal.owner}: {goal.objective})"
    )


def slice_of(kpi_id: str, text: str) -> tuple[str, str]:
    """``device=mobile`` as dimension and value.

    Raises:
        KeyError: there is no such KPI. NoSuchNumberError: it is no slice.
    """
    catalogue = load_catalogue()
    split = ", ".join(catalogue.dimensions(catalogue[kpi_id])) or "nothing"
    dimension, sign, value = text.partition("=")
    if not sign:
        raise NoSuchNumberError(
            f"{text!r} is no slice: expected a dimension and its value such as device=mobile; "
            f"{kpi_id} is split by {split}."
        )
    return dimension, value


def refuse_unwritable(path: Path) -> None:
    """Try whether a file can be written there, before the work for it is done.

    Raises:
        OSError: it cannot; the message names the file, the cause and the cure.
    """
    try:
        with path.open("ab") if path.exists() else tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise OSError(
            f"{path} cannot be written: {path.parent}: {error.strerror}. Name a file in a folder that is "
            "there and that you may write to."
        ) from error


def save_rows(receipt: Receipt, path: Path) -> int:
    """Write all rows behind the number as CSV, those of all parts of a derived KPI; returns how many.

    Raises:
        NoSuchNumberError: it is withheld, and the rows would give it away. OSError: the file cannot be
            written.
    """
    import pandas as pd

    if any(one.withheld for one in (receipt, *_counted(receipt))):
        raise NoSuchNumberError(f"{path} is not written: {WITHHELD}")
    parts = [part.rows.assign(kpi_id=part.kpi.id) for part in _counted(receipt)]
    rows = pd.concat(parts, ignore_index=True)
    rows.to_csv(path, index=False)
    return len(rows)


def _counted(receipt: Receipt) -> list[Receipt]:
    """The receipts that have rows: this one, or what a derived KPI is made of in the end."""
    return [one for part in receipt.parts for one in _counted(part)] if receipt.parts else [receipt]


def _rows(receipt: Receipt) -> Iterator[str]:
    kpi, rows, published = receipt.kpi, receipt.rows, receipt.published
    if receipt.withheld:
        yield f"None are shown: {WITHHELD}"
        return
    verdict = "agrees with" if receipt.agrees else "DIFFERS from"
    again = amount(kpi, receipt.recomputed, published["currency"])
    if published["definition_hash"] != receipt.definition["definition_hash"]:
        yield "The definition has changed since the number was published; what follows is by the new one."
    for part in receipt.parts:
        yield f"{part.kpi.label} ({part.kpi.id}): {_part(part)}"
    if receipt.parts:
        yield f"The parts give {again}, which {verdict} the published value."
        return
    people = receipt.definition["unit"] == "customer"
    whose = f" of {rows['kpi_unit'].nunique():,} customers" if people else ""
    yield f"{len(rows):,} rows{whose}; counted anew they give {again}, which {verdict} the published value."
    if kpi.shift_days:
        yield f"Each row is counted {kpi.shift_days} days after its own day, when its window has closed."
    if len(rows):
        shown = rows.head(SHOWN).drop(columns=["unit"], errors="ignore")
        yield from plain(shown.to_string(index=False)).split("\n")
    if len(rows) > SHOWN:
        yield f"and {len(rows) - SHOWN:,} more; --rows FILE writes all of them."


def _part(part: Receipt) -> str:
    if part.withheld:
        return f"no value ({part.published['null_reason']})"
    count = sum(len(one.rows) for one in _counted(part))
    return f"{amount(part.kpi, part.recomputed, part.published['currency'])} from {count:,} rows"


def _pairs(found: dict[str, Any]) -> list[str]:
    known = {key: one for key, one in found.items() if one is not None and key not in (*TOLD, "description")}
    return [f"{key:16} {plain(one)}" for key, one in known.items()]


def _input(table: dict[str, Any]) -> str:
    rows = "not there" if table["rows"] is None else f"{table['rows']:,} rows"
    if "checks" not in table:
        return f"{table['table']}: {rows}"
    failed = f"{table['checks_failed']} FAILED" if table["checks_failed"] else "none failed"
    return f"{table['table']}: {rows}; {table['checks']} checks, {failed} (run {table['run_id']})"
