"""How well and at what cost people are found, beside how others would find them, on a world of known"
" people."""

from __future__ import annotations

import datetime as dt
import multiprocessing
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from cja_pipeline.warehouse import Warehouse

NIGHT_SHARE = 0.003  # records that are new in a night
MEMORY = "2GB"
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
    with tempfile.TemporaryDirectory(prefix="cja-identity-") as name:
        folder = Path(name)
        world = _apart(_world, folder, persons, seed)
        naive = _apart(_naive, folder)
        ours = _apart(_ours, folder)
        methods = [naive, ours.pop("row")]
        if baselines:
            methods += _apart(_others, folder)
    ours["cpu_times_naive"] = round(ours["full_cpu_seconds"] / max(naive["cpu_seconds"], 0.01), 2)
    return {"methods": methods, "ours": ours, "world": world}


def _apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """Run in a fresh process, so that memory is measured for this part alone."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


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

    from cja_pipeline.customers.identity.baselines import connected
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
    return _measured(NAIVE, folder, labels, cost.cpu_seconds, cost.peak_mb)


def _ours(folder: Path) -> dict[str, Any]:
    import numpy as np

    from cja_pipeline.customers import config
    from cja_pipeline.customers.identity.keys import Keyring
    from cja_pipeline.customers.identity.update import learn, update
    from cja_pipeline.machine import Meter
    from cja_pipeline.warehouse import Warehouse

    rules, keyring = config.identity(), Keyring(SECRET)
    meter = Meter()
    with Warehouse(folder / "train.duckdb", memory_limit=MEMORY) as wh:
        model = learn(wh, _select(folder), rules, keyring)
    training = meter.read()
    (folder / "train.duckdb").unlink()
    with Warehouse(folder / "ours.duckdb", memory_limit=MEMORY) as wh:
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
        reach = _reachable(wh, folder)
    row = _measured("cja_pipeline", folder, labels, full.cpu_seconds, full.peak_mb, cookies)
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
        "machine_merges": _machine_merges(folder, labels),
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


def _measured(
    name: str, folder: Path, labels: np.ndarray, cpu: float, peak: float, cookies: pd.DataFrame | None = None
) -> Row:
    import pandas as pd

    from cja_pipeline.customers.identity.measure import majority, quality

    person = pd.read_parquet(folder / "records.parquet", columns=["person"])["person"]
    found = pd.Series(labels)
    told = quality(found, person)
    row: Row = {
        "method": name,
        "precision": told.precision,
        "recall": told.recall,
        "f1": told.f1,
        "bcubed_f1": told.bcubed_f1,
        "over_merged": told.over_merged,
        "split": told.split,
        "largest": told.largest,
        "cookies_right": None,
        "cookies_wrong": None,
        "cookies_hidden": None,
        "cpu_seconds": round(cpu, 2),
        "peak_mb": round(peak),
    }
    if cookies is not None:
        row |= _cookie_quality(folder, cookies.set_index("visitor_id")["label"], majority(found, person))
    return row


def _cookie_quality(folder: Path, given: pd.Series, person_of: pd.Series) -> dict[str, float]:
    """Shares of the cookies with a login or order, machines left out.

    right: given to who uses it most. hidden: given to a user of a shared device whose main user never said
    who he is, which nobody can know. wrong: given to anybody else. The rest is given to nobody.
    """
    import pandas as pd

    devices = pd.read_parquet(folder / "devices.parquet").set_index("visitor_id")
    devices = devices[(devices["logins"] > 0) & (devices["owner"] >= 0)]
    records = pd.read_parquet(folder / "records.parquet", columns=["record_key", "person", "household"])
    links = pd.read_parquet(folder / "links.parquet", columns=["visitor_id", "record_key"])
    links = links.merge(records[["record_key", "person"]], on="record_key")
    links = links.merge(devices["owner"], left_on="visitor_id", right_index=True)
    said = set(links.loc[links["person"] == links["owner"], "visitor_id"])
    person = given.map(person_of).reindex(devices.index)
    household = person.map(records.drop_duplicates("person").set_index("person")["household"])
    right = person == devices["owner"]
    hidden = ~right & ~devices.index.isin(said) & (household == devices["home"])
    wrong = person.notna() & ~right & ~hidden
    return {
        "cookies_right": float(right.mean()),
        "cookies_wrong": float(wrong.mean()),
        "cookies_hidden": float(hidden.mean()),
    }


def _reachable(wh: Warehouse, folder: Path) -> float:
    """Share of the true pairs that records of the person connect: by a shared identifier that is no junk, or
    by name together with birth date or home. No method can find more without guessing."""
    import pandas as pd

    from cja_pipeline.customers.identity.baselines import connected
    from cja_pipeline.customers.identity.measure import quality

    known = wh.df(
        "SELECT p.row AS record, concat(p.person, k.kind, k.key) AS value FROM customers.identity_carriers k"
        f" JOIN customers.identity_records r USING (node) JOIN read_parquet('{folder}/records.parquet') p"
        " USING (record_key) UNION ALL SELECT row, concat(person, 'born') FROM"
        f" read_parquet('{folder}/records.parquet') WHERE first_name IS NOT NULL AND last_name IS NOT NULL"
        " AND birth_date IS NOT NULL UNION ALL SELECT row, concat(person, 'home') FROM"
        f" read_parquet('{folder}/records.parquet') WHERE first_name IS NOT NULL AND last_name IS NOT NULL"
        " AND postcode IS NOT NULL"
    )
    known["value"] = pd.factorize(known["value"])[0]
    person = pd.read_parquet(folder / "records.parquet", columns=["person"])["person"]
    return quality(pd.Series(connected(len(person), known)), person).recall


def _machine_merges(folder: Path, labels: np.ndarray) -> int:
    """Groups with two or more people who have nothing in common but a kiosk, a machine or a junk value."""
    import pandas as pd

    from cja_pipeline.simulator.identity_names import JUNK_EMAILS, JUNK_LOGINS, JUNK_PHONES

    records = pd.read_parquet(
        folder / "records.parquet", columns=["record_key", "person", "email", "phone", "login_id"]
    )
    junk = (
        records["email"].isin(JUNK_EMAILS)
        | records["phone"].isin(JUNK_PHONES)
        | records["login_id"].isin(JUNK_LOGINS)
    )
    devices = pd.read_parquet(folder / "devices.parquet")
    machines = devices.loc[devices["owner"] < 0, "visitor_id"]
    links = pd.read_parquet(folder / "links.parquet")
    used = links[links["visitor_id"].isin(machines)]
    rows = pd.Series(records.index, index=records["record_key"])
    found = pd.DataFrame(
        {"row": rows[used["record_key"]].to_numpy(), "through": used["visitor_id"].to_numpy()}
    )
    for column in ("email", "phone", "login_id"):
        mine = records[junk & records[column].isin([*JUNK_EMAILS, *JUNK_PHONES, *JUNK_LOGINS])]
        found = pd.concat([found, pd.DataFrame({"row": mine.index, "through": mine[column].to_numpy()})])
    found["group"] = labels[found["row"].to_numpy()]
    found["person"] = records["person"].to_numpy()[found["row"].to_numpy()]
    people = found.groupby(["through", "group"])["person"].nunique()
    return int((people > 1).sum())


def _others(folder: Path) -> list[Row]:
    """The baselines on normalised values, junk left out, each with the cost of its own joining only."""
    import pandas as pd

    from cja_pipeline.customers.identity import baselines
    from cja_pipeline.customers.identity.refine import components
    from cja_pipeline.machine import Meter
    from cja_pipeline.warehouse import Warehouse

    with Warehouse(folder / "ours.duckdb", memory_limit=MEMORY) as wh:
        uses = wh.df(
            "SELECT p.row AS record, k.kind, k.key AS value, p.seen, p.row AS event, false AS visit"
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
    uses = _visits(uses)
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
            _measured(name, folder, labels, cost.cpu_seconds, cost.peak_mb, _by_share(uses, labels, folder))
        )
    meter = Meter()
    labels = components(total, pairs["a"].to_numpy(), pairs["b"].to_numpy())
    cost = meter.read()
    name = "Splink's scores, components at p >= .95"
    return [*found, _measured(name, folder, labels, cost.cpu_seconds, cost.peak_mb)]


def _visits(uses: pd.DataFrame) -> pd.DataFrame:
    """A visit with a login is an event of its own: the cookie, and the strongest identifier of the record."""
    import pandas as pd

    strength = {"login_id": 0, "crm_id": 1, "email": 2, "phone": 3, "loyalty_id": 4}
    own = uses[~uses["visit"]]
    best = own.assign(rank=own["kind"].map(strength)).sort_values(["record", "rank", "value"])
    best = best.drop_duplicates("record").set_index("record")
    visits = uses[uses["visit"]]
    numbers = pd.RangeIndex(len(visits)) + int(uses["event"].max()) + 1
    visits = visits.assign(event=numbers)
    known = visits["record"].isin(best.index)
    carried = best.loc[visits.loc[known, "record"], ["kind", "value"]]
    logins = visits[known].assign(kind=carried["kind"].to_numpy(), value=carried["value"].to_numpy())
    return pd.concat([own, visits, logins], ignore_index=True)


def _by_share(uses: pd.DataFrame, labels: np.ndarray, folder: Path) -> pd.DataFrame:
    """Cookies given to the group with most of their visits, as those systems would report them."""
    import pandas as pd

    links = pd.read_parquet(folder / "links.parquet")
    rows = pd.read_parquet(folder / "records.parquet", columns=["record_key"])["record_key"]
    place = pd.Series(rows.index, index=rows)
    votes = links.assign(label=labels[place[links["record_key"]].to_numpy()])
    votes = votes.groupby(["visitor_id", "label"], as_index=False)["weight"].sum()
    votes = votes.sort_values(["visitor_id", "weight", "label"], ascending=[True, False, True])
    return votes.drop_duplicates("visitor_id")[["visitor_id", "label"]]
