"""Groups of customers (lifecycle, behaviour, recency and frequency), what they are worth, and audiences.

An audience lists only people who may be written to; who is left out, and why, is counted beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cja_pipeline.kpis.group_config import FACTS, GROUPED, Group, load_audiences, load_segments
from cja_pipeline.tables import TABLES
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

# Groups of fewer customers are shown together, so that no row is about few people and none can be subtracted.
MIN_CUSTOMERS = 20
NO_ORDER = "No order"
POOL = Group(
    segment="small_groups",
    label="Small groups together",
    description=f"Groups of fewer than {MIN_CUSTOMERS} customers.",
    where="true",
)
RFM = {
    "Champions": "Recent and frequent buyers.",
    "Loyal": "More than one order, recently.",
    "At risk": "Three or more orders, none recently.",
    "Slipping": "Two orders, none recently.",
    "New": "One order, just now.",
    "Promising": "One order, not long ago.",
    "Quiet": "One order, long ago.",
    NO_ORDER: "No order yet.",
}
MEMBERS = """
    SELECT {segment} AS segment, count(*) AS customers, count(CASE WHEN f.orders > 0 THEN 1 END) AS buyers,
        sum(f.orders) AS orders, CAST(sum(f.net_revenue) AS DOUBLE) AS net_revenue,
        sum(CAST(f.net_revenue AS DOUBLE) * CAST(f.net_revenue AS DOUBLE)) AS squares,
        sum(f.clv_12m) AS clv, sum(f.clv_12m_low) AS clv_low, sum(f.clv_12m_high) AS clv_high,
        count(f.clv_12m) AS valued,
        count(CASE WHEN f.email_status = 'reachable' AND f.consent_marketing THEN 1 END) AS contactable
    FROM kpis.customer_facts AS f
    INNER JOIN kpis.customer_segments AS g ON g.customer_id = f.customer_id
    GROUP BY 1 ORDER BY 1
"""
# why somebody must not be written to; null if they may
REASON = """
    CASE
        WHEN email_status IN ('no_address', 'bounced') THEN email_status
        WHEN purpose = 'service' THEN NULL
        WHEN email_status = 'unsubscribed' THEN 'unsubscribed'
        WHEN consent_marketing THEN NULL
        WHEN consent_marketing IS NULL THEN 'consent_unknown'
        ELSE 'consent_denied'
    END
"""
REASONS = ("no_address", "bounced", "unsubscribed", "consent_denied", "consent_unknown")


def build_groups(wh: Warehouse) -> dict[str, int]:
    """Write ``kpis.customer_facts``, ``customer_segments``, ``segment_summary``, ``audiences`` and
    ``audience_summary``.

    Returns:
        Customers in groups, and how many of those that audiences are about may be contacted.
    """
    import pandas as pd

    families = load_segments()
    for table in ("kpis.customer_value", "customers.touchpoints", "customers.orders"):
        wh.ensure(table)
    customers = wh.build(FACTS)
    wh.replace(
        "kpis.customer_segments",
        f"SELECT customer_id, {_case(families.lifecycle)} AS lifecycle, "
        f"{_case(families.behaviour)} AS behaviour, coalesce(rfm_segment, '{NO_ORDER}') AS rfm_segment "
        f"FROM {FACTS}",
    )
    currency = wh.scalar("SELECT currency FROM config.params")
    rfm = [Group(segment="x", label=name, description=text, where="true") for name, text in RFM.items()]
    rfm = [group.model_copy(update={"segment": group.label}) for group in rfm]
    parts = [
        _family(wh, name, groups)
        for name, groups in (
            ("lifecycle", families.lifecycle),
            ("behaviour", families.behaviour),
            ("rfm", rfm),
        )
    ]
    wh.write("kpis.segment_summary", pd.concat(parts, ignore_index=True).assign(currency=currency))
    members, contactable = _audiences(wh)
    return {"customers_grouped": customers, "audience_members": members, "contactable": contactable}


def _case(groups: list[Group]) -> str:
    """SQL of the first group whose condition holds; an unknown condition is one that does not."""
    branches = " ".join(f"WHEN ({group.where}) THEN '{group.segment}'" for group in groups)
    return f"CASE {branches} END"


def _family(wh: Warehouse, family: str, groups: list[Group]) -> pd.DataFrame:
    """One row for each group of a family that has customers; shares add up to 1."""
    import numpy as np

    from cja_pipeline.kpis.stats import ratio_from_moments

    column = "rfm_segment" if family == "rfm" else family
    rows = _pooled(wh.df(MEMBERS.format(segment=f"g.{column}")).set_index("segment"))
    known = {group.segment: group for group in (*groups, POOL)}
    rows = rows.loc[[name for name in known if name in rows.index]]
    size = rows["customers"].astype(float)
    mean = ratio_from_moments(size, rows["net_revenue"], size, rows["squares"], size, rows["net_revenue"])
    revenue, valued = rows["net_revenue"].sum(), rows["valued"].where(rows["valued"] > 0)
    rows = rows.assign(
        family=family,
        segment=rows.index,
        position=range(1, len(rows) + 1),
        label=[known[name].label for name in rows.index],
        description=[known[name].description for name in rows.index],
        rule=[None if family == "rfm" or name == POOL.segment else known[name].where for name in rows.index],
        share=size / size.sum(),
        revenue_share=rows["net_revenue"] / revenue if revenue else np.nan,
        revenue_per_customer=mean.value,
        ci_low=mean.low,
        ci_high=mean.high,
        clv_12m=rows["clv"] / valued,
        clv_12m_low=rows["clv_low"] / valued,
        clv_12m_high=rows["clv_high"] / valued,
    )
    return rows.reset_index(drop=True)[[c for c in TABLES["kpis.segment_summary"].columns if c != "currency"]]


def _pooled(rows: pd.DataFrame) -> pd.DataFrame:
    """Small groups as one row, together with the next larger group if they are still too few."""
    import pandas as pd

    ordered = rows.sort_values(["customers"], kind="stable")
    small = int((ordered["customers"] < MIN_CUSTOMERS).sum())
    while small and small < len(ordered) and ordered["customers"].iloc[:small].sum() < MIN_CUSTOMERS:
        small += 1
    if not small:
        return rows
    pool = ordered.iloc[:small].sum(min_count=1).to_frame(POOL.segment).T.astype(ordered.dtypes)
    return pd.concat([ordered.iloc[small:], pool])


def _audiences(wh: Warehouse) -> tuple[int, int]:
    """Write the lists and their summary; returns members of all audiences and those who may be contacted."""
    import pandas as pd

    audiences = load_audiences()
    chosen = [
        f"SELECT '{each.id}' AS audience, '{each.purpose}' AS purpose, * FROM {GROUPED} AS a "
        f"WHERE ({each.where})"
        for each in audiences
    ]
    nobody = f"SELECT '' AS audience, '' AS purpose, * FROM {GROUPED} AS a WHERE false"
    wh.execute(
        "CREATE OR REPLACE TEMP TABLE audience_members AS SELECT audience, customer_id, language, clv_12m, "
        f"p_active_90d, {REASON} AS reason FROM ({' UNION ALL '.join(chosen) or nobody}) AS members"
    )
    wh.replace(
        "kpis.audiences",
        "SELECT audience, customer_id, language, clv_12m, p_active_90d FROM audience_members "
        "WHERE reason IS NULL",
    )
    counts = wh.sql("SELECT audience, reason, count(*) FROM audience_members GROUP BY ALL").fetchall()
    wh.execute("DROP TABLE audience_members")
    found = {(audience, reason): count for audience, reason, count in counts}
    rows: list[dict[str, Any]] = []
    for each in audiences:
        left_out = {reason: found.get((each.id, reason), 0) for reason in REASONS}
        contactable = found.get((each.id, None), 0)
        rows.append(
            {
                "audience": each.id,
                "label": each.label,
                "purpose": each.purpose,
                "rule": each.where,
                "customers": contactable + sum(left_out.values()),
                "contactable": contactable,
                **left_out,
                "owner": each.owner,
            }
        )
    wh.write(
        "kpis.audience_summary", pd.DataFrame(rows, columns=list(TABLES["kpis.audience_summary"].columns))
    )
    return sum(row["customers"] for row in rows), sum(row["contactable"] for row in rows)
