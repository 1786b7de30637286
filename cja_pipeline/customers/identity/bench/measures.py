"""What the benchmark measures: quality against the truth, cookies, what can be found at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from cja_pipeline.warehouse import Warehouse

Row = dict[str, Any]


def measured(
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


def reachable(wh: Warehouse, folder: Path) -> float:
    """Share of the true pairs that records of the person connect: by a shared identifier that is no junk, or
    by name together with birth date or home. No method can find more without guessing."""
    import pandas as pd

    from cja_pipeline.customers.identity.bench.baselines import connected
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


def machine_merges(folder: Path, labels: np.ndarray) -> int:
    """Groups in which two people meet who have a kiosk, a machine or a junk value in common and nothing else:
    neither home nor surname, nor another address, number or key."""
    import itertools

    import pandas as pd

    from cja_pipeline.simulator.identity_names import JUNK_EMAILS, JUNK_LOGINS, JUNK_PHONES

    junk = {*JUNK_EMAILS, *JUNK_LOGINS, *JUNK_PHONES}
    own = ["household", "last_name", "email", "phone", "login_id", "crm_id"]
    records = pd.read_parquet(folder / "records.parquet", columns=["record_key", "person", *own])
    records["group"] = labels
    devices = pd.read_parquet(folder / "devices.parquet", columns=["visitor_id", "owner"])
    links = pd.read_parquet(folder / "links.parquet", columns=["visitor_id", "record_key"])
    used = links[links["visitor_id"].isin(devices.loc[devices["owner"] < 0, "visitor_id"])]
    rows = pd.Series(records.index, index=records["record_key"])
    found = [
        pd.DataFrame({"row": rows[used["record_key"]].to_numpy(), "through": used["visitor_id"].to_numpy()})
    ]
    for column in ("email", "phone", "login_id"):
        mine = records[records[column].isin(junk)]
        found.append(pd.DataFrame({"row": mine.index, "through": mine[column].to_numpy()}))
    carriers = pd.concat(found, ignore_index=True).join(records[["group", "person"]], on="row")
    people = carriers.groupby(["through", "group"])["person"].nunique()
    merges = 0
    for through, group in people[people > 1].index:
        suspects = carriers[(carriers["through"] == through) & (carriers["group"] == group)][
            "person"
        ].unique()
        inside = records[records["group"] == group]
        known = {
            person: {
                (column, str(value).strip().casefold())
                for column in own
                for value in inside.loc[inside["person"] == person, column].dropna()
                if value not in junk
            }
            for person in inside["person"].unique()
        }
        merges += any(not known[a] & known[b] for a, b in itertools.combinations(suspects, 2))
    return merges


def with_visits(uses: pd.DataFrame) -> pd.DataFrame:
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


def by_share(uses: pd.DataFrame, labels: np.ndarray, folder: Path) -> pd.DataFrame:
    """Cookies given to the group with most of their visits, as those systems would report them."""
    import pandas as pd

    links = pd.read_parquet(folder / "links.parquet")
    rows = pd.read_parquet(folder / "records.parquet", columns=["record_key"])["record_key"]
    place = pd.Series(rows.index, index=rows)
    votes = links.assign(label=labels[place[links["record_key"]].to_numpy()])
    votes = votes.groupby(["visitor_id", "label"], as_index=False)["weight"].sum()
    votes = votes.sort_values(["visitor_id", "weight", "label"], ascending=[True, False, True])
    return votes.drop_duplicates("visitor_id")[["visitor_id", "label"]]
