"""Quality and cost of identity beside other ways of joining, on a world of known people."""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cja_pipeline.machine import apart

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from cja_pipeline.warehouse import Warehouse

NIGHT_SHARE = 0.003  # records that are new in a night
# one thread: where two share a core, the CPU seconds of both say how long they waited for each other
LIMITS: dict[str, Any] = {"memory_limit": "1800MB", "threads": 1}
SECRET = b"benchmark"
EPOCH = dt.datetime(2026, 1, 1)  # noqa: DTZ001  times of a run do not matter here
NAIVE = "components of equal values"
KINDS = ("crm_id", "login_id", "loyalty_id", "email", "email_sha256", "phone")
Row = dict[str, Any]


def run(persons: int, seed: int = 7, *, baselines: bool = True) -> dict[str, Any]:
    """Measure on a world of so many people; every part runs in a process of its own.

    Returns:
        ``methods``: one row per method (quality figures, cookies, CPU seconds, peak memory). ``ours``: cost
        by stage, what the night after costs, whether it equals a run from nothing. ``world``: its size and
        noise.
    """
    from cja_pipeline.customers.identity.bench.splink_alone import measure_splink

    with tempfile.TemporaryDirectory(prefix="cja-identity-") as name:
        folder = Path(name)
        world = apart(_world, folder, persons, seed)
        naive = apart(_naive, folder)
        ours = apart(_ours, folder)
        methods = [naive, ours.pop("row")]
        if baselines:
            methods += apart(_others, folder)
            methods.append(apart(measure_splink, folder))
    ours["cpu_times_naive"] = round(ours["full_cpu_seconds"] / max(naive["cpu_seconds"], 0.01), 2)
    return {"methods": methods, "ours": ours, "world": world}


def _world(folder: Path, persons: int, seed: int) -> dict[str, Any]:
    from cja_pipeline.machine import Meter
    from cja_pipeline.simulator.identity_world import make_world

    meter = Meter()
    world = make_world(persons, seed)
    world.records.assign(
        row=range(len(world.records)), person=world.persons, household=world.households[world.persons]
    ).to_parquet(folder / "records.parquet")
    world.links.to_parquet(folder / "links.parquet")
    world.devices.to_parquet(folder / "devices.parquet")
    return {
        "persons": persons,
        "records": len(world.records),
        "cookies": len(world.devices),
        "cookies_linked": int((world.devices["logins"] > 0).sum()),
        "seed": seed,
        "cpu_seconds": round(meter.read().cpu_seconds, 1),
        "noise": world.noise,
    }


def _naive(folder: Path) -> Row:
    """What graphs of equal values do: lower case, trimmed, connected, cookies included."""
    import pandas as pd

    from cja_pipeline.customers.identity.bench import measures
    from cja_pipeline.customers.identity.bench.baselines import connected
    from cja_pipeline.machine import Meter

    meter = Meter()
    records = pd.read_parquet(folder / "records.parquet", columns=["row", "record_key", *KINDS])
    parts = []
    for kind in KINDS:
        known = records[kind].dropna()
        parts.append(pd.DataFrame({"record": known.index, "value": kind + known.str.strip().str.lower()}))
    rows = pd.Series(records.index, index=records["record_key"])
    links = pd.read_parquet(folder / "links.parquet", columns=["visitor_id", "record_key"])
    parts.append(pd.DataFrame({"record": rows[links["record_key"]].to_numpy(), "value": links["visitor_id"]}))
    uses = pd.concat(parts, ignore_index=True)
    uses["value"] = pd.factorize(uses["value"])[0]
    labels = connected(len(records), uses)
    cost = meter.read()
    return measures.measured(NAIVE, folder, labels, cost.cpu_seconds, cost.peak_mb)


def _ours(folder: Path) -> dict[str, Any]:
    import numpy as np

    from cja_pipeline.customers import config
    from cja_pipeline.customers.identity.bench import measures
    from cja_pipeline.customers.identity.keys import Keyring
    from cja_pipeline.customers.identity.update import learn, update
    from cja_pipeline.machine import Meter
    from cja_pipeline.warehouse import Warehouse

    rules, keyring = config.identity(), Keyring(SECRET)
    meter = Meter()
    with Warehouse(folder / "train.duckdb", **LIMITS) as wh:
        model = learn(wh, _select(folder), rules, keyring)
    training = meter.read()
    (folder / "train.duckdb").unlink()
    with Warehouse(folder / "ours.duckdb", **LIMITS) as wh:
        most = f"WHERE hash(record_key) % 100000 >= {round(NIGHT_SHARE * 100_000)}"
        meter = Meter()
        update(wh, _select(folder, most), rules, keyring, model, EPOCH)
        _cookies(wh, folder)
        full = meter.read()
        meter = Meter()
        night = update(wh, _select(folder), rules, keyring, model, EPOCH)
        _cookies(wh, folder)
        next_night = meter.read()
        labels, cookies = _found(wh, folder)
        pairs = wh.count("customers.identity_pairs")
        again = Keyring(SECRET + b"2")  # another key: everything is built from nothing
        update(wh, _select(folder), rules, again, model, EPOCH)
        whole, _ = _found(wh, folder)
        reach = measures.reachable(wh, folder)
    row = measures.measured("cja_pipeline", folder, labels, full.cpu_seconds, full.peak_mb, cookies)
    return {
        "row": row,
        "reachable_recall": reach,
        "recall_of_reachable": row["recall"] / reach,
        "training_cpu_seconds": round(training.cpu_seconds, 1),
        "training_peak_mb": round(training.peak_mb),
        "full_cpu_seconds": round(full.cpu_seconds, 1),
        "peak_mb": round(full.peak_mb),
        "peak_gb_per_million_records": round(full.peak_mb / 1024 / (len(labels) / 1e6), 2),
        "pairs_kept": pairs,
        "night_records_moved": night.moved,
        "night_records_compared": night.touched,
        "night_cpu_seconds": round(next_night.cpu_seconds, 1),
        "night_share_of_full": round(next_night.cpu_seconds / full.cpu_seconds, 3),
        "night_equals_full": bool(np.array_equal(labels, whole)),
        "precision_measured": model.precision,
        "blocks": len(model.blocks),
        "model": model.version,
        "machine_merges": measures.machine_merges(folder, labels),
    }


def _select(folder: Path, where: str = "") -> str:
    from cja_pipeline.customers.identity.intake import RECORD_COLUMNS

    missing = {"merged_crm_ids", "mobile", "country"}
    columns = ", ".join(f"CAST(NULL AS VARCHAR) AS {c}" if c in missing else c for c in RECORD_COLUMNS)
    return f"SELECT {columns} FROM read_parquet('{folder}/records.parquet') {where}"


def _cookies(wh: Warehouse, folder: Path) -> None:
    from cja_pipeline.customers import config
    from cja_pipeline.customers.identity.devices import attach, is_bot

    rules = config.identity().devices
    wh.execute(
        f"CREATE OR REPLACE TEMP TABLE devices AS SELECT visitor_id, {is_bot(rules)} AS is_bot"
        f" FROM read_parquet('{folder}/devices.parquet')"
    )
    wh.execute(
        "CREATE OR REPLACE TEMP TABLE votes AS SELECT l.visitor_id, c.cluster AS label, l.weight FROM"
        f" read_parquet('{folder}/links.parquet') l JOIN customers.identity_records r USING (record_key)"
        " JOIN customers.identity_clusters c USING (node)"
    )
    attach(wh, rules)


def _found(wh: Warehouse, folder: Path) -> tuple[np.ndarray, pd.DataFrame]:
    labels = wh.df(
        f"SELECT c.cluster FROM read_parquet('{folder}/records.parquet') p JOIN customers.identity_records r"
        " USING (record_key) JOIN customers.identity_clusters c USING (node) ORDER BY p.row"
    )["cluster"].to_numpy()
    return labels, wh.df("SELECT visitor_id, label FROM owners WHERE label IS NOT NULL")


def _others(folder: Path) -> list[Row]:
    """The baselines on normalised values, junk left out, each with the cost of its own joining only."""
    import pandas as pd

    from cja_pipeline.customers.identity.bench import baselines, measures
    from cja_pipeline.customers.identity.refine import components
    from cja_pipeline.machine import Meter
    from cja_pipeline.warehouse import Warehouse

    with Warehouse(folder / "ours.duckdb", **LIMITS) as wh:
        uses = wh.df(
            "SELECT p.row AS record, k.kind, CAST(k.key AS VARCHAR) AS value, p.seen, p.row AS event,"
            " false AS visit"
            " FROM customers.identity_keys k JOIN customers.identity_records r USING (node)"
            f" JOIN read_parquet('{folder}/records.parquet') p USING (record_key) UNION ALL"
            " SELECT p.row, 'cookie', l.visitor_id, greatest(l.seen, p.seen), -1, true"
            f" FROM read_parquet('{folder}/links.parquet') l"
            f" JOIN read_parquet('{folder}/records.parquet') p USING (record_key)"
        )
        total = wh.count("customers.identity_records")
        pairs = wh.df(
            "SELECT p.row AS a, q.row AS b FROM customers.identity_pairs e"
            " JOIN customers.identity_records x ON x.node = e.node JOIN customers.identity_records y ON"
            " y.node = e.other"
            f" JOIN read_parquet('{folder}/records.parquet') p ON p.record_key = x.record_key"
            f" JOIN read_parquet('{folder}/records.parquet') q ON q.record_key = y.record_key"
            " WHERE e.rule <> 'score' OR e.weight >= 4.25"
        )
    uses["value"] = pd.factorize(uses["kind"] + uses["value"])[0]
    uses = measures.with_visits(uses)
    found = []
    for name, join in (
        ("components of normalised values", baselines.connected),
        ("the same with caps per value", baselines.capped),
        ("Segment-like limits", baselines.segment_like),
        ("Adobe-like unique namespaces", baselines.adobe_like),
    ):
        meter = Meter()
        labels = join(total, uses)
        cost = meter.read()
        found.append(
            measures.measured(
                name, folder, labels, cost.cpu_seconds, cost.peak_mb, measures.by_share(uses, labels, folder)
            )
        )
    meter = Meter()
    labels = components(total, pairs["a"].to_numpy(), pairs["b"].to_numpy())
    cost = meter.read()
    name = "Splink's scores, components at p >= .95"
    return [*found, measures.measured(name, folder, labels, cost.cpu_seconds, cost.peak_mb)]
