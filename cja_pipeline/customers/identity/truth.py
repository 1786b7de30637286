"""Who is who in a simulated shop, and how well the night found out. Nothing but measurement reads this."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cja_pipeline.customers import config
from cja_pipeline.customers.identity.measure import cookie_quality, majority, quality
from cja_pipeline.customers.identity.refine import components
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

RECORD_KINDS = ("contact", "profile", "login")


def truth_folder(world: Path) -> Path | None:
    """The truth of the simulated shop, if all sources are simulated; with one real vendor there is none."""
    from cja_pipeline.sources.registry import load_sources

    folder = world / "truth"
    told = (folder / "identifiers.parquet").exists()
    return folder if told and all(source.is_mock for source in load_sources().values()) else None


def true_figures(wh: Warehouse, truth: Path) -> list[tuple[str, str, float | None, int]]:
    """measure, item, value, cases: pairs of records, records, and devices, against the truth."""
    records = _records(wh, truth)
    if records.empty:
        return []
    person, found = records["person"], records["customer_id"]
    told = quality(found, person)
    visitors, owner = _devices(wh, truth)
    cookies = cookie_quality(visitors, majority(found, person), owner)
    n = told.records
    return [
        ("true_precision", "", told.precision, n),
        ("true_recall", "", told.recall, n),
        ("true_recall_reachable", "", *_of_reachable(wh, records)),
        ("true_f1", "", told.f1, n),
        ("true_bcubed_f1", "", told.bcubed_f1, n),
        ("true_over_merged", "", told.over_merged, n),
        ("true_split", "", told.split, n),
        ("true_largest_customer", "", float(told.largest), n),
        ("true_cookies_right", "", _known(cookies["right"]), int(cookies["attached"])),
        ("true_cookies_wrong", "", _known(cookies["wrong"]), int(cookies["attached"])),
    ]


def _known(share: float) -> float | None:
    return None if share != share else share


def _records(wh: Warehouse, truth: Path) -> pd.DataFrame:
    """node, crm, customer_id and true person of every record whose person the truth names."""
    kinds = ", ".join(f"'{kind}'" for kind in RECORD_KINDS)
    return wh.df(
        "WITH owners AS (SELECT concat(kind, ':', value) AS record_key, min(person_id) AS person"
        f" FROM read_parquet('{truth}/identifiers.parquet') WHERE kind IN ({kinds}) GROUP BY 1 UNION ALL"
        " SELECT concat('order:', o.crm_order_id), min(t.person_id) FROM validated.crm_orders_current o"
        f" JOIN read_parquet('{truth}/orders.parquet') t ON t.order_number = o.order_id GROUP BY 1)"
        " SELECT r.node, CAST(r.crm AS VARCHAR) AS crm, l.customer_id, CAST(w.person AS VARCHAR) AS person"
        " FROM customers.identity_links l JOIN owners w USING (record_key)"
        " JOIN customers.identity_records r USING (record_key)"
        " ORDER BY l.record_key"
    )


def _of_reachable(wh: Warehouse, records: pd.DataFrame) -> tuple[float | None, int]:
    """Recall among pairs that could be found without guessing, and the records it rests on.

    People with two CRM ids are left out where the rules say that two CRM ids are two customers.
    """
    if config.identity().crm_duplicates == "never":
        records = records[records.groupby("person")["crm"].transform("nunique") <= 1]
        records = records.reset_index(drop=True)
    if records.empty:
        return None, 0
    reachable = quality(_reachable(wh, records), records["person"]).recall
    found = quality(records["customer_id"], records["person"]).recall
    return (min(found / reachable, 1.0) if reachable else None), len(records)


def _reachable(wh: Warehouse, records: pd.DataFrame) -> pd.Series:
    """Groups of a person's records that a shared identifier connects, or a name with date or postcode."""
    import pandas as pd

    wh.connection.register("true_people", records[["node", "person"]])
    try:
        told = wh.df(
            "SELECT t.node, concat_ws('|', t.person, kind, key) AS value FROM true_people t"
            " JOIN customers.identity_carriers USING (node) UNION ALL"
            " SELECT t.node, concat_ws('|', t.person, given, last_name, born) FROM true_people t"
            " JOIN customers.identity_records r USING (node)"
            " WHERE given IS NOT NULL AND last_name IS NOT NULL AND born IS NOT NULL UNION ALL"
            " SELECT t.node, concat_ws('|', t.person, given, last_name, postcode) FROM true_people t"
            " JOIN customers.identity_records r USING (node)"
            " WHERE given IS NOT NULL AND last_name IS NOT NULL AND r.postcode IS NOT NULL"
        )
    finally:
        wh.connection.unregister("true_people")
    place = pd.Series(range(len(records)), index=records["node"])
    told = told.assign(row=told["node"].map(place))
    first = told.groupby("value")["row"].transform("min")
    return pd.Series(components(len(records), told["row"].to_numpy(), first.to_numpy()))


def _devices(wh: Warehouse, truth: Path) -> tuple[pd.Series, pd.Series]:
    """Customer of each device that was attached to a known one, and the person who visited most with it."""
    given = wh.df(
        "SELECT visitor_id, customer_id FROM customers.visitor_map WHERE rule IN ('sole', 'dominant')"
    )
    owner = wh.df(
        "SELECT cookie, CAST(min_by(person_id, (-visits, person_id)) AS VARCHAR) AS person FROM"
        " (SELECT cookie, person_id, count(*) AS visits FROM"
        f" read_parquet('{truth}/sessions.parquet') WHERE started_at <= (SELECT as_of FROM config.params)"
        " AND cookie IN (SELECT visitor_id FROM customers.visitor_map WHERE rule IN ('sole', 'dominant'))"
        " GROUP BY cookie, person_id) GROUP BY cookie"
    )
    return given.set_index("visitor_id")["customer_id"], owner.set_index("cookie")["person"]
