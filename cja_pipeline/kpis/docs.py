"""The catalogue as a document: every KPI with formula, unit, window, interval and owner."""

from __future__ import annotations

from cja_pipeline.kpis.catalogue import Catalogue
from cja_pipeline.kpis.describe import formula, interval_of, unit_of
from cja_pipeline.kpis.kpi_entry import Kpi
from cja_pipeline.kpis.kpi_sources import load_sources
from cja_pipeline.kpis.objectives import Objective, load_objectives

INTRODUCTION = """\
# The KPIs

Made from `config/kpis/*.yml` by `cja kpis --markdown`; with `CJA_CONFIG` set it holds your own KPIs, too. The
same is in the published table `kpi_catalogue`, and `cja explain kpi ID` shows how one number came about.
`cja explain change ID --day D` tells which nights changed a past number, and why, in parts that add up.

- Every KPI is computed by day, week, month and trailing 28 days (unless it says otherwise), as a whole and by
  the slices named. People are counted anew for each period and slice, so their counts cannot be added up.
- Money is net of discounts and refunds, in the shop's currency; a refund counts on the day of its order.
- A number that cannot be had is null with a reason: `zero_denominator`, `suppressed_small_n` (fewer units
  than the smallest n), `immature` (a window is still running), `incomplete` (data missing), `missing_rate`.
- Intervals are 95 %. `wilson`: independent customers; `wilson_clustered`, `delta`, `gamma`: visits, orders or
  answers of one customer belong together; `poisson`, `compound_poisson`: totals; `nps`; `woodruff`:
  quantiles; `greenwood`: Kaplan-Meier; `mover`: a ratio of two KPIs; `delta_model`: with the uncertainty of
  the value model; `none`: reported by a platform or paid, so taken as exact.
- A status is given by the interval, not by the number: ahead or behind only if all of it is.
- A whole day, week or month that was published and comes out differently is in `restatements`, with what each
  reason changed, in this order: `late` data, `refund` (cancellations, too), `corrected` or withdrawn by its
  source, `erased` on request, `identity` (customers merged, split or recognised), `later` behaviour of the
  same customers, another `rule`. After each reason everything is counted anew, so the parts add up. Rows of
  `remember_days` (35) days are remembered for this; older numbers may change without a reason on record.
"""


def catalogue_markdown(catalogue: Catalogue) -> str:
    """The document, stage by stage, in the order of the catalogue."""
    goals: dict[str, list[Objective]] = {}
    for objective in load_objectives():
        goals.setdefault(objective.kpi, []).append(objective)
    parts, stage = [INTRODUCTION], None
    for kpi in catalogue:
        if kpi.stage != stage:
            stage = kpi.stage
            parts.append(f"\n## {str(stage).capitalize()}\n")
        parts.append(_entry(catalogue, kpi, goals.get(kpi.id, [])))
    sources = "".join(f"| {name} | {each.description} |\n" for name, each in load_sources().items())
    parts.append(f"\n## What is counted\n\n| source | rows |\n|---|---|\n{sources}")
    return "".join(parts)


def facts(catalogue: Catalogue, kpi: Kpi) -> dict[str, str]:
    """What there is to know about one KPI, in words."""
    found = {
        "Formula": f"`{formula(kpi)}`",
        "Source": str(kpi.source) if kpi.source else " and ".join(part.id for part in catalogue.parts(kpi)),
        "Unit": unit_of(kpi),
        "Window": _window(kpi),
        "Interval": interval_of(kpi),
        "Smallest n": str(kpi.smallest_n) if kpi.smallest_n else "",
        "Slices": ", ".join(catalogue.dimensions(kpi)) or "none",
        "Grains": ", ".join(catalogue.grains(kpi)) if len(catalogue.grains(kpi)) < 4 else "",
        "Better": {"up": "higher", "down": "lower"}.get(kpi.better, ""),
        "Owner": str(kpi.owner),
        "Version": str(kpi.version) if kpi.version > 1 else "",
    }
    return {name: text for name, text in found.items() if text}


def _window(kpi: Kpi) -> str:
    if kpi.kind == "survival":
        return f"{kpi.at:g} days, those still running censored"
    if kpi.window_days:
        dated = "reported on the day it closes" if kpi.dated == "window_end" else "from the row's day"
        return f"{kpi.window_days} days, {dated}"
    return f"rows at least {kpi.maturity_days} days old" if kpi.maturity_days else ""


def _entry(catalogue: Catalogue, kpi: Kpi, goals: list[Objective]) -> str:
    lines = [f"- {name}: {text}\n" for name, text in facts(catalogue, kpi).items()]
    for goal in goals:
        where = "" if goal.is_whole else f" for {goal.dimension} {goal.dimension_value}"
        lines.append(
            f"- Target{where}: {goal.target:g} from {goal.effective_from} ({goal.objective}; {goal.owner})\n"
        )
    return f"\n### {kpi.label} (`{kpi.id}`)\n\n{kpi.description}\n\n{''.join(lines)}"
