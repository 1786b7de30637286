"""The event log -> funnel, transitions, paths and a dozen KPIs by day, for all groups of customers."""

from __future__ import annotations

import pandas as pd

from cja_pipeline.trials.rivals.pandas_script.common import business_date

SEGMENTS = ["all", "new", "returning", "mobile", "desktop"]
STEPS = ["visit", "product_view", "add_to_cart", "begin_checkout", "add_payment_info", "purchase"]
STAGES = ["awareness", "consideration", "purchase", "retention", "advocacy"]
SHOWN = ["visit", "product_view", "search", "add_to_cart", "begin_checkout", "add_payment_info", "ticket"]
MONTH = pd.Timedelta(days=30)
UNKNOWN = "(no known touch)"


def figures(
    points: pd.DataFrame,
    visits: pd.DataFrame,
    bought: pd.DataFrame,
    spells: pd.DataFrame,
    until: pd.Timestamp,
) -> dict[str, pd.DataFrame]:
    """The tables by name."""
    first_order = bought.groupby("customer_id")["ordered_at"].min()
    people = visits[~visits["is_bot"] & visits["device"].notna()]
    used = people.groupby(["customer_id", "device"]).size().reset_index(name="visits")
    used = used.sort_values(["customer_id", "visits", "device"], ascending=[True, False, True])
    device = used.drop_duplicates("customer_id").set_index("customer_id")["device"]
    marks = _attempts(points, bought, first_order)
    spells = spells.assign(bought_before=spells["entered_at"] > spells["customer_id"].map(first_order))
    journeys = _journeys(marks, until)
    moves = pd.concat([_stage_moves(spells, points, until), _step_moves(marks, journeys)], ignore_index=True)
    return {
        "funnel": _funnel(_grouped(marks, device), _grouped(spells, device)),
        "paths": _paths(_grouped(journeys, device)),
        "transitions": _transitions(_grouped(moves, device)),
        "kpi_values": _kpis(visits[~visits["is_bot"]], visits, bought, until),
    }


def _grouped(rows: pd.DataFrame, device: pd.Series[str]) -> pd.DataFrame:
    """The rows once per group of customers that they count for (column ``segment``)."""
    mine = rows["customer_id"].map(device)
    when = rows["bought_before"].map({True: "returning", False: "new"})
    parts = [rows.assign(segment="all"), rows.assign(segment=when)]
    parts += [rows[mine == one].assign(segment=one) for one in ("mobile", "desktop")]
    return pd.concat(parts, ignore_index=True)


def _attempts(
    points: pd.DataFrame, bought: pd.DataFrame, first_order: pd.Series[pd.Timestamp]
) -> pd.DataFrame:
    """Touches and orders, numbered by purchase attempt."""
    touches = points[points["touchpoint_type"].isin(SHOWN)]
    visit = touches["touchpoint_type"] == "visit"
    touches = touches.assign(
        touch_id=touches["touchpoint_id"],
        is_order=False,
        value=float("nan"),
        item=touches["touchpoint_type"].mask(visit, touches["channel"]),
    )
    sold = bought.assign(
        touch_id="order:" + bought["order_id"],
        occurred_at=bought["ordered_at"],
        is_order=True,
        touchpoint_type="purchase",
        item="purchase",
        value=bought["net_revenue"],
    )
    columns = ["touch_id", "customer_id", "occurred_at", "is_order", "touchpoint_type", "item", "value"]
    marks = pd.concat([touches[columns], sold[columns]], ignore_index=True)
    marks = marks.sort_values(["customer_id", "occurred_at", "is_order", "touch_id"], ignore_index=True)
    before = marks.shift()
    opens = marks["customer_id"] != before["customer_id"]
    opens |= before["is_order"].fillna(False).astype(bool)
    opens |= marks["occurred_at"].dt.floor("s") - before["occurred_at"].dt.floor("s") > MONTH
    marks["attempt"] = opens.cumsum()
    marks["bought_before"] = marks["occurred_at"] > marks["customer_id"].map(first_order)
    return marks


def _funnel(marks: pd.DataFrame, spells: pd.DataFrame) -> pd.DataFrame:
    steps = marks[marks["touchpoint_type"].isin(STEPS)].copy()
    steps["step"] = steps["touchpoint_type"].map({name: i for i, name in enumerate(STEPS, start=1)})
    steps = steps[["segment", "customer_id", "step", "occurred_at"]].sort_values("occurred_at")
    stages = spells.assign(step=spells["stage"].map({name: i for i, name in enumerate(STAGES, start=1)}))
    found = []
    for mode, days, reached, count in (
        ("best_chain", 30, _best_chain(steps), 6),
        ("first_entry", 30, _first_entry(steps), 6),
        ("any", 0, steps, 6),
        ("stages", 0, stages, 5),
    ):
        there = reached[["segment", "customer_id", "step"]].drop_duplicates()
        before = there.assign(step=there["step"] + 1).merge(there, on=["segment", "customer_id", "step"])
        grid = pd.MultiIndex.from_product([SEGMENTS, range(1, count + 1)], names=["segment", "step"])
        table = pd.DataFrame({"mode": mode, "window_days": days}, index=grid)
        table["customers"] = there.groupby(["segment", "step"]).size().reindex(grid, fill_value=0)
        table["previous"] = table.groupby("segment")["customers"].shift()
        both = before.groupby(["segment", "step"]).size().reindex(grid, fill_value=0)
        table["rate"] = both / table["previous"].where(table["previous"] > 0)
        found.append(table.reset_index())
    return pd.concat(found, ignore_index=True)


def _best_chain(steps: pd.DataFrame) -> pd.DataFrame:
    """Steps in order within the window, from any start: the latest start leaves the most time."""
    key = ["segment", "customer_id"]
    chain = steps[steps["step"] == 1].assign(since=lambda rows: rows["occurred_at"])
    found = [chain]
    for step in range(2, 7):
        open_chains = chain[[*key, "occurred_at", "since"]]
        chain = pd.merge_asof(steps[steps["step"] == step], open_chains, on="occurred_at", by=key)
        chain = chain[chain["occurred_at"] - chain["since"] <= MONTH]
        found.append(chain)
    return pd.concat(found, ignore_index=True)


def _first_entry(steps: pd.DataFrame) -> pd.DataFrame:
    """Steps in order within the window of the first start."""
    key = ["segment", "customer_id"]
    chain = steps[steps["step"] == 1].groupby(key, as_index=False).agg(at=("occurred_at", "min"))
    chain["since"] = chain["at"]
    found = [chain.assign(step=1)]
    for step in range(2, 7):
        met = steps[steps["step"] == step].merge(chain, on=key)
        met = met[(met["occurred_at"] >= met["at"]) & (met["occurred_at"] - met["since"] <= MONTH)]
        chain = met.groupby([*key, "since"], as_index=False).agg(at=("occurred_at", "min"))
        found.append(chain.assign(step=step))
    return pd.concat(found, ignore_index=True)


def _journeys(marks: pd.DataFrame, until: pd.Timestamp) -> pd.DataFrame:
    """One row per purchase attempt with outcome and path."""
    touched = marks[~marks["is_order"]].drop_duplicates(["attempt", "item"])
    place = touched.groupby("attempt").cumcount()
    path = touched[place < 9].groupby("attempt")["item"].agg(" > ".join)
    long = touched.loc[place == 9, "attempt"]
    path = path.mask(path.index.isin(long), path + " > …")
    rows = marks.groupby("attempt").agg(
        customer_id=("customer_id", "first"),
        ended_at=("occurred_at", "max"),
        is_bought=("is_order", "any"),
        value=("value", "sum"),
        bought_before=("bought_before", "all"),
    )
    idle = until - rows["ended_at"].dt.floor("s") > MONTH
    rows["outcome"] = idle.map({True: "exit", False: "open"}).mask(rows["is_bought"], "purchase")
    rows["path"] = path
    rows["path"] = rows["path"].fillna(UNKNOWN)
    return rows.reset_index()


def _paths(journeys: pd.DataFrame) -> pd.DataFrame:
    key = ["segment", "outcome", "path"]
    counted = journeys.groupby(key, as_index=False).agg(
        journeys=("attempt", "size"), customers=("customer_id", "nunique")
    )
    counted = counted.sort_values(
        ["segment", "outcome", "journeys", "path"], ascending=[True, True, False, True]
    )
    place = counted.groupby(["segment", "outcome"]).cumcount()
    counted["shown"] = (place < 50) & (counted["customers"] >= 5)
    rows = journeys.merge(counted[[*key, "shown"]], on=key)
    rows["path"] = rows["path"].where(rows["shown"], "(other paths)")
    return rows.groupby(key, as_index=False).agg(
        journeys=("attempt", "size"), customers=("customer_id", "nunique"), value=("value", "sum")
    )


def _stage_moves(spells: pd.DataFrame, points: pd.DataFrame, until: pd.Timestamp) -> pd.DataFrame:
    last = spells["customer_id"].map(points.groupby("customer_id")["occurred_at"].max())
    idle = (until - last.dt.floor("s") > MONTH).map({True: "exit", False: "open"})
    after = spells.groupby("customer_id")["stage"].shift(-1).fillna(idle)
    rows = spells[["customer_id", "bought_before"]].assign(grain="stage")
    starts = rows[spells["spell"] == 1].assign(from_stage="start", to_stage=spells["stage"])
    return pd.concat([rows.assign(from_stage=spells["stage"], to_stage=after), starts])


def _step_moves(marks: pd.DataFrame, journeys: pd.DataFrame) -> pd.DataFrame:
    steps = marks[~marks["is_order"]]
    steps = steps[(steps["item"] != steps["item"].shift()) | (steps["attempt"] != steps["attempt"].shift())]
    steps = steps.drop(columns="bought_before").merge(
        journeys[["attempt", "outcome", "bought_before"]], on="attempt"
    )
    rows = steps[["customer_id", "bought_before"]].assign(grain="touchpoint")
    after = steps.groupby("attempt")["item"].shift(-1).fillna(steps["outcome"])
    first = ~steps["attempt"].duplicated()
    alone = journeys.loc[journeys["path"] == UNKNOWN, ["customer_id", "bought_before", "outcome"]]
    alone = alone.rename(columns={"outcome": "to_stage"}).assign(grain="touchpoint", from_stage="start")
    starts = rows[first].assign(from_stage="start", to_stage=steps["item"])
    return pd.concat([rows.assign(from_stage=steps["item"], to_stage=after), starts, alone])


def _transitions(moves: pd.DataFrame) -> pd.DataFrame:
    key = ["segment", "grain", "from_stage"]
    found = moves.groupby([*key, "to_stage"], as_index=False).agg(
        customers=("customer_id", "nunique"), n=("customer_id", "size")
    )
    return found.assign(rate=found["n"] / found.groupby(key)["n"].transform("sum"))


def _kpis(
    people: pd.DataFrame, visits: pd.DataFrame, bought: pd.DataFrame, until: pd.Timestamp
) -> pd.DataFrame:
    first = min(visits["business_date"].min(), bought["business_date"].min())
    last = business_date(pd.Series([until]))[0] - pd.Timedelta(days=1)
    days = pd.date_range(first, last)
    by_day, sold = people.groupby("business_date"), bought.groupby("business_date")
    visited, count = by_day.size(), sold.size()
    first_orders = bought[bought["is_first_order"]].groupby("business_date")["customer_id"].nunique()

    def share(test: pd.Series[bool]) -> tuple[pd.Series, pd.Series]:
        return test.groupby(people["business_date"]).sum(), visited

    figures: dict[str, tuple[pd.Series, pd.Series | None]] = {
        "sessions": (visited, None),
        "visitors": (by_day["customer_id"].nunique(), None),
        "bounce_rate": share(~people["engaged"]),
        "session_duration": (by_day["duration_seconds"].sum(), visited),
        "pages_per_session": (by_day["page_views"].sum(), visited),
        "product_view_rate": share(people["product_views"] > 0),
        "add_to_cart_rate": share(people["carts"] > 0),
        "conversion_rate": share(people["order_id"].notna()),
        "orders": (count, None),
        "net_revenue": (sold["net_revenue"].sum(), None),
        "gross_revenue": (sold["gross_revenue"].sum(), None),
        "average_order_value": (sold["net_revenue"].sum(), sold["net_revenue"].count()),
        "buyers": (sold["customer_id"].nunique(), None),
        "new_customers": (first_orders, None),
    }
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "kpi_id": kpi,
                    "period_start": days,
                    "numerator": top.reindex(days, fill_value=0).to_numpy(float),
                    "denominator": None
                    if bottom is None
                    else bottom.reindex(days, fill_value=0).to_numpy(float),
                }
            )
            for kpi, (top, bottom) in figures.items()
        ],
        ignore_index=True,
    )
