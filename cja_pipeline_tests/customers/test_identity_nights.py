"""Nights that compare only what moved give exactly what building everything from nothing gives."""

from __future__ import annotations

import datetime as dt
import hashlib
import random
from collections.abc import Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cja_pipeline.customers.config import Identity, identity
from cja_pipeline.customers.identity import pairs
from cja_pipeline.customers.identity.exchange import arrow, fill
from cja_pipeline.customers.identity.intake import RECORD_COLUMNS
from cja_pipeline.customers.identity.keys import Keyring
from cja_pipeline.customers.identity.scored.model import Model, current
from cja_pipeline.customers.identity.unlink import Decision
from cja_pipeline.customers.identity.update import Update, update
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.customers.tables import AS_OF, SECRET

Record = dict[str, str | None]
MAILS = ("anna@web.de", "Anna.Meier@gmail.com", "annameier@gmail.com", "paar@web.de", "test@test.com")


def tight_rules() -> Identity:
    """Limits so low that few records cross them."""
    rules = identity()
    kinds = {k: rule.model_copy(update={"max_people": 2}) for k, rule in rules.identifiers.items()}
    return rules.model_copy(update={"identifiers": kinds, "most_records": 4})


def night(
    wh: Warehouse,
    records: dict[str, Record],
    decisions: Sequence[Decision] = (),
    rules: Identity | None = None,
) -> Update:
    rows = [{"record_key": key, "kind": "record", "source": "t", **record} for key, record in records.items()]
    frame = pd.DataFrame(rows, columns=list(RECORD_COLUMNS), dtype=object)
    typed = {name: pa.array(frame[name].where(frame[name].notna(), None), pa.string()) for name in frame}
    wh.connection.register("people", pa.table(typed))
    try:
        return update(
            wh, "SELECT * FROM people", rules or identity(), Keyring(SECRET), current(None), AS_OF, decisions
        )
    finally:
        wh.connection.unregister("people")


def snapshot(wh: Warehouse) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that a night leaves, but for when it was first seen."""
    tables = ("identity_records", "identity_keys", "identity_values", "identity_clusters")
    found = {name: wh.sql(f"SELECT * FROM customers.{name} ORDER BY ALL").fetchall() for name in tables}
    found["pairs"] = wh.sql("SELECT * EXCLUDE (since) FROM customers.identity_pairs ORDER BY ALL").fetchall()
    return found


def agreement(wh: Warehouse, _: Model, wanted: str) -> None:
    """In place of Splink, where many small nights are played: bits for what two rows have in common."""
    rows = {row["unique_id"]: row for row in arrow(wh, "SELECT * FROM linkage_rows").to_pylist()}
    bits = []
    for pair in arrow(wh, f"SELECT node, other FROM {wanted}").to_pylist():
        a, b = rows[pair["node"]], rows[pair["other"]]
        weight = -6.0
        for name, worth in (("emails", 9), ("phones", 8), ("cards", 9)):
            weight += worth * bool(set(a[name] or ()) & set(b[name] or ()))
        for name, worth in (("first_name", 2), ("last_name", 3), ("birth_date", 6), ("address", 4)):
            weight += 0 if None in (a[name], b[name]) else worth if a[name] == b[name] else -1
        bits.append({**pair, "weight": weight, "is_personal": bool(a["given"] and b["given"])})
    schema = pa.schema(
        [("node", pa.int64()), ("other", pa.int64()), ("weight", pa.float64()), ("is_personal", pa.bool_())]
    )
    fill(wh, "scored", pa.Table.from_pylist(bits, schema=schema))


def sha(value: str) -> str:
    return hashlib.sha256(value.lower().encode()).hexdigest()


POOLS: dict[str, tuple[float, tuple[str, ...]]] = {
    "crm_id": (0.4, (*(str(n) for n in range(12)), "undefined")),
    "merged_crm_ids": (0.1, ("2", "3;1", "7")),
    "login_id": (0.25, ("U1", "U2", "U3", "U4")),
    "loyalty_id": (0.1, ("77", "78")),
    "email": (0.5, MAILS),
    "email_sha256": (0.15, tuple(sha(mail) for mail in MAILS)),
    "phone": (0.4, ("0171 2345678", "030 9876501", "0171 5556667", "0000000000")),
    "first_name": (0.6, ("Anna", "Anni", "Bert", "Berta", "Julian")),
    "last_name": (0.5, ("Meier", "Schulz")),
    "birth_date": (0.3, ("1985-04-03", "1985-03-04", "1951-12-20")),
    "address": (0.3, ("Am Markt 1", "Ringstraße 5")),
    "postcode": (0.2, ("50667",)),
}
KEYS = [f"r{number}" for number in range(30)]


def some_record(rng: random.Random) -> Record:
    return {name: rng.choice(pool) if rng.random() < share else None for name, (share, pool) in POOLS.items()}


@settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**6))
@example(12)
@example(7)
def test_nights_equal_a_run_from_nothing(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Records come, change and go, values cross their limits, people unlink and relink, in any order."""
    monkeypatch.setattr(pairs, "score", agreement)
    rng = random.Random(seed)
    rules, records, wrong = tight_rules(), {}, set()
    records = {key: some_record(rng) for key in rng.sample(KEYS, 22)}
    with Warehouse(":memory:") as nightly:
        for _ in range(5):
            for key in rng.sample(KEYS, rng.randint(1, 4)):
                if key in records and rng.random() < 0.5:
                    del records[key]
                else:
                    records[key] = some_record(rng)
            if rng.random() < 0.5:
                wrong ^= {tuple(sorted(rng.sample(KEYS, 2)))}
            decisions = [Decision(a, b, True, "test", AS_OF) for a, b in sorted(wrong)]
            night(nightly, records, decisions, rules)
            with Warehouse(":memory:") as fresh:
                night(fresh, dict(rng.sample(sorted(records.items()), len(records))), decisions, rules)
                assert snapshot(nightly) == snapshot(fresh)


def test_a_small_night_touches_little_and_equals_a_run_from_nothing() -> None:
    from cja_pipeline.simulator.identity_world import make_world

    world = make_world(400, seed=3).records
    records = {
        row["record_key"]: {k: (None if v != v else v) for k, v in row.items() if k in RECORD_COLUMNS[3:]}
        for row in world.to_dict("records")
    }
    keys = sorted(records)
    late, gone, changed = keys[3], keys[5], keys[7]
    with Warehouse(":memory:") as nightly:
        first = night(nightly, {key: value for key, value in records.items() if key != late})
        assert first.whole
        now = {key: value for key, value in records.items() if key != gone}
        now[changed] = {**now[changed], "email": records[keys[9]]["email"], "first_name": "Hieronymus"}
        second = night(nightly, now)
        assert not second.whole
        assert second.moved == 3
        assert second.touched <= 20
        assert second.reached <= 60
        with Warehouse(":memory:") as fresh:
            night(fresh, now)
            assert snapshot(nightly) == snapshot(fresh)
        third = night(nightly, now)
        assert (third.moved, third.touched, third.reached) == (0, 0, 0)


def test_another_version_of_the_code_builds_everything_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    records = {"r1": {"email": "anna@web.de"}, "r2": {"email": "bert@web.de"}}
    with Warehouse(":memory:") as wh:
        night(wh, records)
        assert not night(wh, records).whole
        monkeypatch.setattr("cja_pipeline.customers.identity.update._code", lambda: "of tomorrow")
        assert night(wh, records).whole
        assert not night(wh, records).whole


def people(wh: Warehouse) -> list[set[str]]:
    rows = wh.sql(
        "SELECT list(record_key) FROM customers.identity_records JOIN customers.identity_clusters"
        " USING (node) GROUP BY cluster"
    ).fetchall()
    return sorted((set(row[0]) for row in rows), key=min)


def test_a_wrong_link_is_undone_and_the_decision_taken_back() -> None:
    anna: Record = {"first_name": "Anna", "last_name": "Meier", "email": "anna@web.de"}
    records = {"a": dict(anna), "b": {"email": "anna@web.de", "phone": "0171 2345678"}, "c": dict(anna)}
    records["d"] = {"phone": "0171 2345678", "first_name": "Anna"}
    wrong = Decision("a", "d", True, "two people", dt.datetime(2026, 1, 1))  # noqa: DTZ001
    with Warehouse(":memory:") as wh:
        night(wh, records)
        assert people(wh) == [{"a", "b", "c", "d"}]
        before = snapshot(wh)
        night(wh, records, [wrong])
        assert not any({"a", "d"} <= group for group in people(wh))
        # another night does not forget it, and new evidence does not overrule it
        records["e"] = {**anna, "phone": "0171 2345678"}
        night(wh, records, [wrong])
        assert not any({"a", "d"} <= group for group in people(wh))
        del records["e"]
        night(wh, records, [])
        assert snapshot(wh) == before


def test_machines_and_junk_join_nobody() -> None:
    """A till's address on 3,000 records, a junk login on 300, names that say nothing: not one person more."""
    records: dict[str, Record] = {
        f"till{n}": {"email": "kasse@partner.example", "crm_id": str(1000 + n) if n % 2 else None}
        for n in range(3000)
    }
    records |= {f"guest{n}": {"login_id": "web-gast", "crm_id": str(9000 + n)} for n in range(300)}
    records |= {f"junk{n}": {"email": "test@test.com", "phone": "0000000000"} for n in range(300)}
    with Warehouse(":memory:") as wh:
        night(wh, records)
        assert len(people(wh)) == len(records)
