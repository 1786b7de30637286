"""The books on the quality page: where every row went, and orders three ways, as steps of a waterfall."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from cja_pipeline.journey_maps.formats import NOTHING
from cja_pipeline.journey_maps.labels import Labels
from cja_pipeline.journey_maps.redact import clean
from cja_pipeline.quality import drawings
from cja_pipeline.quality.figures import Figures
from cja_pipeline.quality.hops import USED

CENT = 0.005
Entry = tuple[str, str, str, int]  # kind, style, name, rows


def headline_counts(figures: Figures, words: Labels) -> dict[str, str]:
    """The figures of the page's second sentence."""
    totals = _totals(figures)
    form = words.formats
    held = sum(totals[name] for name in ("refused", "rejected", "quarantined", "late"))
    return {
        "offered": form.number(totals["offered"]),
        "valid": form.number(totals["valid"]),
        "held": form.number(held),
        "repeated": form.number(totals["repeated"]),
        "rest": form.number(abs(_rest(totals)) + abs(_unused(figures, totals))),
    }


def books(figures: Figures, words: Labels) -> dict[str, Any] | None:
    """All tables together: from what the vendors offered to what the customer view uses."""
    if not figures.ledger:
        return None
    totals, name = _totals(figures), lambda key: words(f"quality.book_{key}")
    entries: list[Entry] = [("total", "go", name("offered"), totals["offered"])]
    for key in ("refused", "rejected", "quarantined", "late"):
        entries.append(("step", "loss", name(key), -totals[key]))
    entries.append(("step", "grey", name("repeated"), -totals["repeated"]))
    entries.append(("rest", "loss", name("rest"), _rest(totals)))
    entries.append(("total", "go", name("valid"), totals["valid"]))
    if figures.reasons:
        by_reason: dict[str, int] = defaultdict(int)
        for row in figures.reasons:
            by_reason[row["reason"]] += row["records"]
        used = by_reason.pop(USED, 0)
        for reason, records in sorted(by_reason.items(), key=lambda item: (-item[1], item[0])):
            entries.append(("step", "grey", clean(words.name("quality", f"reason_{reason}"), 80), -records))
        entries.append(("rest", "loss", name("rest"), _unused(figures, totals)))
        entries.append(("total", "go", name("used"), used))
    return _drawn(entries, words)


def by_table(figures: Figures, words: Labels) -> dict[str, Any] | None:
    """Per table what became of its rows, as shares of those offered and as figures."""
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in figures.ledger:
        part = found[row["table_name"].removeprefix("validated.")]
        if row["stage"] == "validated":
            part["offered"] += row["offered"]
            part["held"] += row["rejected"] + row["quarantined"] + row["late"]
            part["repeated"] += row["duplicate"]
            part["valid"] += row["valid"]
        elif row["stage"] == "customers":
            part["left_out"] += row["rejected"] + row["duplicate"]
            part["used"] += row["valid"]
    if not found:
        return None
    names = ("used", "left_out", "repeated", "held")
    rows, twin = [], []
    for table, part in found.items():
        offered = part["offered"] or 1
        if not part["used"] and not part["left_out"]:
            part["used"] = part["valid"]
        rows.append({
            "name": table.replace("_", " "),
            "offered": words.formats.short(part["offered"]),
            "parts": [(one, drawings.draw.pct(part[one] / offered)) for one in names if part[one]],
            "held": words.formats.percent(part["held"] / offered),
        })  # fmt: skip
        twin.append(
            [table.replace("_", " "), *(words.formats.number(part[key]) for key in ("offered", *names))]
        )
    heads = [words(f"quality.{key}") for key in ("table", "book_offered", *(f"part_{one}" for one in names))]
    return {"rows": rows, "twin": {"heads": heads, "rows": twin}}


def money_steps(figures: Figures, words: Labels) -> dict[str, Any] | None:
    """Orders three ways: each step with its orders and its money; the bars show the money."""
    if not figures.waterfall:
        return None
    form, currency = words.formats, figures.waterfall[0]["currency"]
    bars = drawings.waterfall([
        ("total" if row["kind"] == "total" else "step", _style(row), float(row["money"]))
        for row in figures.waterfall
    ])  # fmt: skip
    rows = []
    for row, bar in zip(figures.waterfall, bars, strict=True):
        money, step, signed = float(row["money"]), row["kind"] == "step", row["kind"] != "total"
        fine = not row["orders"] and abs(money) <= CENT
        rows.append({
            "kind": row["kind"],
            "name": words.name("quality", f"order_{row['step'] if row['kind'] != 'rest' else 'rest'}"),
            "n": form.number(row["orders"], signed=signed) if row["orders"] or not step else NOTHING,
            "money": form.money(money, currency, signed=signed) if money or not step else NOTHING,
            "bar": bar,
            "fine": row["kind"] == "rest" and fine,
            "wrong": row["kind"] == "rest" and not fine,
        })  # fmt: skip
    heads = [words(f"quality.{key}") for key in ("step", "orders_n", "money")]
    return {
        "rows": [row for row in rows if row["kind"] != "step" or {row["n"], row["money"]} != {NOTHING}],
        "twin": {"heads": heads, "rows": [[row["name"], row["n"], row["money"]] for row in rows]},
    }


def _style(row: dict[str, Any]) -> str:
    if row["kind"] == "total":
        return "go"
    return "loss" if row["kind"] == "rest" else "gain" if row["money"] > 0 else "grey"


def _totals(figures: Figures) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for row in figures.ledger:
        if row["stage"] == "landed":
            found["offered"] += row["offered"]
            found["refused"] += row["rejected"]
            found["repeated"] += row["duplicate"]
        elif row["stage"] == "validated":
            for name in ("rejected", "quarantined", "late", "valid"):
                found[name] += row[name]
            found["repeated"] += row["duplicate"]
    return found


def _rest(totals: dict[str, int]) -> int:
    """Offered rows that no entry explains."""
    gone = sum(totals[name] for name in ("refused", "rejected", "quarantined", "late", "repeated"))
    return totals["valid"] + gone - totals["offered"]


def _unused(figures: Figures, totals: dict[str, int]) -> int:
    """Valid rows that the customer view neither uses nor leaves out for a reason."""
    return sum(row["records"] for row in figures.reasons) - totals["valid"] if figures.reasons else 0


def _drawn(entries: list[Entry], words: Labels) -> dict[str, Any]:
    bars = drawings.waterfall([
        ("total" if kind == "total" else "step", style, float(rows)) for kind, style, _, rows in entries
    ])  # fmt: skip
    rows = [
        {
            "kind": kind,
            "name": name,
            "n": words.formats.number(count, signed=kind != "total") if count or kind != "step" else NOTHING,
            "bar": bar,
            "fine": kind == "rest" and not count,
            "wrong": kind == "rest" and bool(count),
        }
        for (kind, _, name, count), bar in zip(entries, bars, strict=True)
    ]
    heads = [words("quality.step"), words("quality.rows")]
    shown = [row for row in rows if row["kind"] != "step" or row["n"] != NOTHING]
    return {"rows": shown, "twin": {"heads": heads, "rows": [[row["name"], row["n"]] for row in rows]}}
