"""What is measured every night about who is who, and whether it is within the limits of the configuration.

On any data there are only proxies: the tail of customer sizes, how precise identifiers are, how many links
are refused, how many records change their customer. In a simulated shop the truth is known too (``truth``).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import RootModel

from cja_pipeline.config import StrictModel, load_config
from cja_pipeline.customers import config
from cja_pipeline.customers.identity.names import NameBook
from cja_pipeline.customers.identity.scored.model import current
from cja_pipeline.customers.identity.scored.precision import ENOUGH, measure_precision
from cja_pipeline.customers.identity.truth import true_figures
from cja_pipeline.warehouse import Warehouse

TABLE = "customers.identity_quality"
CROWD = 10  # records from which a customer counts as crowded
KNOWN = "kind NOT IN ('visitor', 'author')"


class Limit(StrictModel):
    """From which value on a person should look (warn), or nothing is built on it (block)."""

    better: Literal["up", "down"]
    warn: float | None = None
    block: float | None = None

    def status(self, value: float | None) -> str:
        """ok, warn or block; ok where nothing could be measured."""
        if value is None:
            return "ok"
        for name in ("block", "warn"):
            limit = getattr(self, name)
            if limit is not None and (value < limit if self.better == "up" else value > limit):
                return name
        return "ok"


class Limits(RootModel[dict[str, Limit]]):
    """``identity_quality.yml``."""


@dataclass(frozen=True)
class Figure:
    """A measured figure: what, about which item ('' for the whole), its value, the cases it rests on."""

    measure: str
    item: str
    value: float | None
    n: int


def measure_identity(wh: Warehouse, models: Path | None, truth: Path | None) -> dict[str, float]:
    """Measure the identity tables; replaces the rows of this night in identity_quality.

    Args:
        models: folder of the installation's models. truth: folder of a simulated shop's truth, or None.

    Returns:
        The figures about the whole, for the run's report.
    """
    figures = [*_sizes(wh), *_links(wh), *_precision(wh, models), *_churn(wh), *_devices(wh)]
    if truth is not None:
        figures += [Figure(*told) for told in true_figures(wh, truth)]
    _store(wh, figures, whole=True)
    return {f"identity_{f.measure}": f.value for f in figures if not f.item and f.value is not None}


def measure_view(wh: Warehouse) -> dict[str, float]:
    """Measure what identity did for the customer view, from silo_report; adds to the rows of this night."""
    rows = wh.sql("SELECT report, item, other_item, cases, part, share FROM customers.silo_report").fetchall()
    shares = {(report, item, other): (share, cases) for report, item, other, cases, _, share in rows}
    known, visits = shares.get(("sessions", "known", ""), (0.0, 0))
    several = [told for key, told in shares.items() if key[0] == "departments" and key[1] in ("2", "3+")]
    everyone = max((cases for report, *_, cases, _, _ in rows if report == "departments"), default=0)
    figures = [
        Figure("identified_sessions", "", known if visits else None, visits),
        Figure("several_departments", "", sum(s for s, _ in several) if everyone else None, everyone),
    ]
    figures += [
        Figure("unmatched", f"{item} without {other}", share, cases)
        for (report, item, other), (share, cases) in sorted(shares.items())
        if report == "pairs"
    ]
    _store(wh, figures, whole=False)
    return {f.measure: f.value for f in figures if not f.item and f.value is not None}


def _sizes(wh: Warehouse) -> list[Figure]:
    customers, largest, crowded = wh.sql(
        f"SELECT count(*), coalesce(max(n), 0), count(*) FILTER (n > {CROWD}) FROM"
        f" (SELECT count(*) AS n FROM customers.identity_links WHERE {KNOWN} GROUP BY customer_id)"
    ).fetchall()[0]
    return [
        Figure("largest_customer", "", float(largest), customers),
        Figure("crowded_customers", "", crowded / customers if customers else None, customers),
    ]


def _links(wh: Warehouse) -> list[Figure]:
    verdicts = dict(wh.sql("SELECT verdict, count(*) FROM customers.identity_edges GROUP BY 1").fetchall())
    for verdict in ("accepted", "refused", "vetoed", "unlinked"):
        verdicts.setdefault(verdict, 0)
    refused, accepted = verdicts["refused"] + verdicts["vetoed"], verdicts["accepted"]
    judged = refused + accepted
    return [
        Figure("refused_links", "", refused / judged if judged else None, judged),
        Figure("unlinked_by_people", "", float(verdicts["unlinked"]), judged),
    ]


def _precision(wh: Warehouse, models: Path | None) -> list[Figure]:
    """How often a shared value means one person, without labels, and how far that is from the model's."""
    model = current(models)
    measured = measure_precision(wh, NameBook(config.identity().names, model.first_names))
    found = []
    for kind, share in measured.precision.items():
        pairs = measured.pairs[kind]
        if pairs >= ENOUGH:
            found.append(Figure("precision", kind, share, pairs))
            # a rate from few pairs swings by itself
            change = abs(share - model.precision[kind]) if pairs >= 20 * ENOUGH else None
            found.append(Figure("precision_change", kind, change, pairs))
    return found


def _churn(wh: Warehouse) -> list[Figure]:
    merges, splits, moved = wh.sql(
        "SELECT count(*) FILTER (event = 'merge'), count(*) FILTER (event = 'split'),"
        " coalesce(sum(records), 0) FROM customers.identity_log"
        " WHERE logged_at = (SELECT as_of FROM config.params)"
    ).fetchall()[0]
    records = wh.count("customers.identity_links")
    return [
        Figure("id_churn", "", moved / records if records else None, records),
        Figure("merges", "", float(merges), records),
        Figure("splits", "", float(splits), records),
    ]


def _devices(wh: Warehouse) -> list[Figure]:
    rules = dict(wh.sql("SELECT rule, count(*) FROM customers.visitor_map GROUP BY rule").fetchall())
    total = sum(rules.values())
    owned = rules.get("sole", 0) + rules.get("dominant", 0)
    return [Figure("attached_devices", "", owned / total if total else None, total)]


def _store(wh: Warehouse, figures: list[Figure], *, whole: bool) -> None:
    limits = load_config("identity_quality.yml", Limits).root
    moment: dt.datetime = wh.scalar("SELECT as_of FROM config.params")
    wh.ensure(TABLE)
    with wh.transaction():
        again = "" if whole else f" AND measure IN ({', '.join(sorted({repr(f.measure) for f in figures}))})"
        wh.execute(f"DELETE FROM {TABLE} WHERE measured_at = ?{again}", [moment])
        for figure in figures:
            limit = limits.get(figure.measure)
            status = limit.status(figure.value) if limit else ""
            row = [moment, figure.measure, figure.item, figure.value, figure.n]
            bounds = [limit.warn, limit.block] if limit else [None, None]
            wh.execute(f"INSERT INTO {TABLE} VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [*row, *bounds, status])
