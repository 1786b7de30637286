"""A receipt in words, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cja_pipeline.console import plain
from cja_pipeline.kpis.kpi_entry import Kpi

if TYPE_CHECKING:
    from pathlib import Path

    from cja_pipeline.kpis.explain import Receipt

SHOWN = 5
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
    value, low, high = (amount(kpi, published[name], published) for name in ("value", "ci_low", "ci_high"))
    if published["value"] is None:
        value += f" ({published['null_reason']})"
    elif published["ci_low"] is not None and published["ci_high"] is not None:
        value += f", 95 % interval {low} to {high}"
    return f"{kpi.label}{slice_}, {when}: {value}"


def amount(kpi: Kpi, value: float | None, published: dict[str, Any]) -> str:
    """A value as people write it."""
    if value is None:
        return "no value"
    if kpi.format == "percent":
        return f"{100 * value:.2f} %"
    if kpi.format == "count":
        return f"{value:,.0f}"
    unit = {"money": published["currency"], "seconds": "s", "days": "days"}.get(kpi.format)
    return f"{value:,.2f} {unit}" if unit else f"{value:,.2f}"


def save_rows(receipt: Receipt, path: Path) -> int:
    """Write all rows behind the number as CSV, those of all parts of a derived KPI; returns how many."""
    import pandas as pd

    parts = [part.rows.assign(kpi_id=part.kpi.id) for part in _counted(receipt)]
    rows = pd.concat(parts, ignore_index=True)
    rows.to_csv(path, index=False)
    return len(rows)


def _counted(receipt: Receipt) -> list[Receipt]:
    """The receipts that have rows: this one, or what a derived KPI is made of in the end."""
    return [one for part in receipt.parts for one in _counted(part)] if receipt.parts else [receipt]


def _rows(receipt: Receipt) -> Iterator[str]:
    kpi, rows, published = receipt.kpi, receipt.rows, receipt.published
    verdict = "agrees with" if receipt.agrees else "DIFFERS from"
    again = amount(kpi, receipt.recomputed, published)
    if published["definition_hash"] != receipt.definition["definition_hash"]:
        yield "The definition has changed since the number was published; what follows is by the new one."
    for part in receipt.parts:
        value = amount(part.kpi, part.recomputed, part.published)
        count = sum(len(one.rows) for one in _counted(part))
        yield f"{part.kpi.label} ({part.kpi.id}): {value} from {count:,} rows"
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


def _pairs(found: dict[str, Any]) -> list[str]:
    known = {key: one for key, one in found.items() if one is not None and key not in (*TOLD, "description")}
    return [f"{key:16} {plain(one)}" for key, one in known.items()]


def _input(table: dict[str, Any]) -> str:
    rows = "not there" if table["rows"] is None else f"{table['rows']:,} rows"
    if "checks" not in table:
        return f"{table['table']}: {rows}"
    failed = f"{table['checks_failed']} FAILED" if table["checks_failed"] else "none failed"
    return f"{table['table']}: {rows}; {table['checks']} checks, {failed} (run {table['run_id']})"
