"""The benchmark's figures as tables for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cja_pipeline.console import print_table, wide_console
from cja_pipeline.customers.identity.bench.bars import Bar

if TYPE_CHECKING:
    from cja_pipeline.customers.identity.bench.public import Measured

QUALITY = {
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "bcubed_f1": "B³ F1",
    "over_merged": "over-merged",
    "split": "split",
    "largest": "largest",
}
COST = {
    "cookies_right": "cookies right",
    "cookies_wrong": "wrong",
    "cookies_hidden": "cannot know",
    "cpu_seconds": "CPU s",
    "peak_mb": "peak MB",
}


def show(found: dict[str, Any], bars: list[Bar]) -> None:
    """Print a run: methods side by side, the bars, our own further figures, and the world's noise."""
    console, world = wide_console(), found["world"]
    title = (
        f"{world['persons']:,} people, {world['records']:,} records, {world['cookies']:,} cookies, "
        f"seed {world['seed']}"
    )
    for columns in (QUALITY, COST):
        rows = [
            [row["method"], *(_number(row[name], seconds=name == "cpu_seconds") for name in columns)]
            for row in found["methods"]
        ]
        print_table(console, ["method", *columns.values()], rows, title=title)
        title = "cookies and cost"
    rows = [
        [
            bar.name,
            _number(bar.measured),
            f"{'≤' if bar.at_most else '≥'} {bar.limit:.4g}",
            "met" if bar.met else "MISSED",
        ]
        for bar in bars
    ]
    print_table(console, ["bar", "measured", "limit", ""], rows, title="bars")
    console.print("cja_pipeline", style="bold")
    for name, value in found["ours"].items():
        console.print(f"  {name.replace('_', ' ')}: {_text(value)}", soft_wrap=True, highlight=False)
    console.print("The world's noise (assumed, not measured; identity_noise.yml)", style="bold")
    for name, value in world["noise"].items():
        console.print(f"  {name}: {_text(value)}", soft_wrap=True, highlight=False)


def show_public(measured: list[Measured]) -> None:
    """Print how well each labelled table was resolved."""
    rows = [
        [
            one.name,
            f"{one.quality.records:,}",
            *(_number(one.quality.as_dict()[name]) for name in QUALITY),
            one.cpu_seconds,
        ]
        for one in measured
    ]
    print_table(wide_console(), ["table", "rows", *QUALITY.values(), "CPU s"], rows)


def _number(value: Any, *, seconds: bool = False) -> str:
    """Shares with four digits, seconds and factors with two, counts whole."""
    if value is None:
        return ""
    if not isinstance(value, float):
        return f"{value:,}"
    return f"{value:,.4f}" if abs(value) <= 1 and not seconds else f"{value:,.2f}"


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(part)}" for name, part in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)
