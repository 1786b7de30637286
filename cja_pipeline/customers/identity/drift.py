"""Whether the data are still those that the model was learnt from; learning it again when they are not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cja_pipeline.customers.config import Identity
from cja_pipeline.customers.identity.names import NameBook
from cja_pipeline.customers.identity.scored.model import Model
from cja_pipeline.customers.identity.scored.precision import ENOUGH, measure_precision
from cja_pipeline.customers.identity.scored.train import train
from cja_pipeline.warehouse import Warehouse

RECORDS = "customers.identity_records"
COLUMNS = ("given", "last_name", "birth_date", "email", "address", "postcode", "city")


@dataclass(frozen=True)
class Drift:
    """One measure of how far the data are from the model's: what it saw, what is now, and the limit."""

    measure: str
    model: float
    now: float
    change: float
    limit: float

    @property
    def over(self) -> bool:
        return self.change > self.limit


def measure_drift(wh: Warehouse, rules: Identity, model: Model) -> list[Drift]:
    """Compare the records in the identity tables with what the model was learnt from; needs no labels."""
    limits = rules.training
    total = wh.count(RECORDS)
    found = []
    measured = measure_precision(wh, NameBook(rules.names, model.first_names))
    for kind, share in measured.precision.items():
        if measured.pairs[kind] >= 20 * ENOUGH:
            before = model.precision[kind]
            found.append(
                Drift(f"precision of {kind}", before, share, abs(share - before), limits.precision_change)
            )
    filled = wh.sql(f"SELECT {', '.join(f'count({name})' for name in COLUMNS)} FROM {RECORDS}").fetchall()[0]
    for name, count in zip(COLUMNS, filled, strict=True):
        before, share = model.filled.get(name, 0.0), count / max(total, 1)
        found.append(
            Drift(f"share of records with {name}", before, share, abs(share - before), limits.filled_change)
        )
    found.append(_names(wh, model, limits.names_change))
    # of fewer records the model expects too little likeness, which costs nothing; of many more, too much
    factor = total / max(model.records, 1)
    found.append(Drift("records, times as many", model.records, total, factor, limits.records_factor))
    return found


def _names(wh: Warehouse, model: Model, limit: float) -> Drift:
    """Total variation between the mix of first names then and now; names that were rare count as one."""
    now = dict(wh.sql(f"SELECT given, count(*) FROM {RECORDS} WHERE given IS NOT NULL GROUP BY 1").fetchall())
    total, before = max(sum(now.values()), 1), max(sum(model.first_names.values()), 1)
    known = {name: count / before for name, count in model.first_names.items()}
    change = sum(abs(share - now.get(name, 0) / total) for name, share in known.items())
    new = sum(count for name, count in now.items() if name not in known) / total
    return Drift("mix of first names", 0.0, (change + new) / 2, (change + new) / 2 if now else 0.0, limit)


def refreshed(wh: Warehouse, rules: Identity, model: Model, folder: Path | None) -> Model | None:
    """A model learnt from the data of now, saved, if they have drifted too far from the old one's; else None.

    Without a folder to save it in, and with too few records to learn from, nothing is learnt.
    """
    if folder is None or wh.count(RECORDS) < rules.training.records_at_least:
        return None
    if not any(drift.over for drift in measure_drift(wh, rules, model)):
        return None
    return retrained(wh, rules, model, folder)


def retrained(wh: Warehouse, rules: Identity, model: Model, folder: Path) -> Model:
    """Learn a model from the records in the identity tables and save it in the folder."""
    made = train(wh, rules, known_dates=model.default_dates)
    made.save(folder)
    return made
