"""One step from the records of today to people: everything that did not move is taken over from last time."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

from cja_pipeline import __version__
from cja_pipeline.customers.config import Identity
from cja_pipeline.customers.identity import candidates
from cja_pipeline.customers.identity.groups import regroup
from cja_pipeline.customers.identity.intake import Intake
from cja_pipeline.customers.identity.keys import Keyring
from cja_pipeline.customers.identity.names import NameBook
from cja_pipeline.customers.identity.pairs import renew
from cja_pipeline.customers.identity.scored.model import Model
from cja_pipeline.customers.identity.scored.train import first_names, train
from cja_pipeline.customers.identity.unlink import Decision, apply
from cja_pipeline.customers.identity.values import judge
from cja_pipeline.tables import files_digest
from cja_pipeline.warehouse import Warehouse

STATE = ("identity_records", "identity_keys", "identity_values", "identity_pairs", "identity_clusters")
CODE = ("*.py", "*.sql", "scored/*.py")


@dataclass(frozen=True)
class Update:
    """moved: records added, changed or gone. touched: records compared anew. reached: records grouped anew.
    whole: whether everything was built from nothing."""

    moved: int
    touched: int
    reached: int
    whole: bool


def update(
    wh: Warehouse,
    select: str,
    rules: Identity,
    keyring: Keyring,
    model: Model,
    moment: dt.datetime,
    unlinked: Sequence[Decision] = (),
) -> Update:
    """Bring the people in the warehouse up to date with the records that `select` gives.

    Records that moved since the last run, and what they concern, are compared and grouped again; the result
    is exactly that of building everything, which happens where rules, model, key or code are others than last
    time.

    Args:
        select: a SELECT with ``intake.RECORD_COLUMNS`` (all VARCHAR, record_key distinct).
        moment: time of this run (UTC, naive), remembered with what it found first.
        unlinked: pairs of records that a person declared two people.
    """
    intake = Intake(wh, rules, keyring, frozenset(model.default_dates))
    book = NameBook(rules.names, model.first_names)
    with wh.transaction():
        whole = _forget_if_outdated(wh, rules, keyring, model)
        moved = intake.read(select)
        intake.write(whole=whole)
        judge(wh, rules, book, whole=whole)
        candidates.find(wh, rules, book, model.blocks, vetoes=model.clean_names, whole=whole)
        renew(wh, rules, model, moment, whole=whole)
        apply(wh, unlinked)
        wh.execute("INSERT INTO seeds SELECT node FROM unlinked_moved")
        regroup(wh, rules, model, book, whole=whole)
        return Update(moved, _count(wh, "touched"), _count(wh, "reached"), whole)


def _count(wh: Warehouse, table: str) -> int:
    return int(wh.scalar(f"SELECT count(*) FROM {table}"))


def _forget_if_outdated(wh: Warehouse, rules: Identity, keyring: Keyring, model: Model) -> bool:
    """Forget the last run if it was made by other rules, code, another model or key; returns whether."""
    made_by = {
        "rules": hashlib.sha256(rules.model_dump_json().encode()).hexdigest()[:16],
        "model": model.version,
        "secret": keyring.of("state", "identity"),
        "code": _code(),
    }
    wh.ensure("customers.identity_state")
    last = dict(wh.sql("SELECT name, value FROM customers.identity_state").fetchall())
    if last == made_by:
        return False
    for table in STATE:
        wh.ensure(f"customers.{table}")
        wh.execute(f"DELETE FROM customers.{table}")
    wh.execute("DELETE FROM customers.identity_state")
    for item in made_by.items():
        wh.execute("INSERT INTO customers.identity_state VALUES (?, ?)", list(item))
    return True


@cache
def _code() -> str:
    """What reads and compares records besides rules and model: these modules, and the libraries they ask."""
    here = Path(__file__).parent
    code = files_digest(path for pattern in CODE for path in here.glob(pattern))
    return f"{__version__} {version('phonenumbers')} {version('splink')} {code}"


def learn(wh: Warehouse, select: str, rules: Identity, keyring: Keyring) -> Model:
    """Learn a model from the records that `select` gives, in a warehouse that holds no identity yet."""
    intake = Intake(wh, rules, keyring, frozenset())
    intake.read(select)
    intake.write(whole=True)
    judge(wh, rules, NameBook(rules.names, first_names(wh)), whole=True)
    return train(wh, rules)
