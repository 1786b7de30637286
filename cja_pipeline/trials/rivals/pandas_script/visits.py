"""Clean web events -> visits of customers, with the channel that brought them."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd

from cja_pipeline.customers.channels import channel_rules
from cja_pipeline.trials.rivals.pandas_script.common import business_date, cents

DAY = pd.Timedelta(days=1)


def refusals(contacts: pd.DataFrame, links: pd.DataFrame) -> pd.DataFrame:
    """customer_id, since, until: when a customer had said no to being analysed, by any contact."""
    stated = contacts[contacts["granted"].notna()].merge(
        links[links["kind"] == "contact"], left_on="contact_id", right_on="id"
    )
    stated = stated.sort_values(["contact_id", "updated_at", "granted"], ascending=[True, True, False])
    before = stated.groupby("contact_id")["granted"].shift()
    changes = stated[before.isna() | (stated["granted"] != before).fillna(True)].copy()
    first = before.reindex(changes.index).isna()
    changes["since"] = changes["updated_at"].mask(first, changes["created_at"].fillna(changes["updated_at"]))
    changes = changes.sort_values(["contact_id", "since"])
    changes["until"] = changes.groupby("contact_id")["since"].shift(-1)
    return changes.loc[~changes["granted"].astype(bool), ["customer_id", "since", "until"]]


def refused(rows: pd.DataFrame, said_no: pd.DataFrame) -> pd.Series[bool]:
    """Whether each row (customer_id, occurred_at) happened while its customer had said no."""
    of_them = rows.loc[rows["customer_id"].isin(said_no["customer_id"]), ["customer_id", "occurred_at"]]
    met = of_them.reset_index().merge(said_no, on="customer_id")
    during = (met["occurred_at"] >= met["since"]) & ~(met["occurred_at"] >= met["until"])
    return pd.Series(rows.index.isin(met.loc[during, "index"]), rows.index)


def activity(
    events: pd.DataFrame, links: pd.DataFrame, devices: pd.DataFrame, said_no: pd.DataFrame
) -> pd.DataFrame:
    """Events of devices that may be analysed, with visit and customer."""
    acts = events[events["visitor_id"].notna()].sort_values(
        ["visitor_id", "occurred_at", "event_id"], ignore_index=True
    )
    device = acts["visitor_id"]
    new_device = device != device.shift()
    acts["event_number"] = acts.groupby("visitor_id").cumcount() + 1
    starts = new_device | (acts["occurred_at"].diff() > pd.Timedelta(minutes=30))
    run = starts.cumsum()
    run_at = acts.loc[starts, "occurred_at"].reset_index(drop=True).reindex(run - 1).set_axis(acts.index)
    part = (acts["occurred_at"] - run_at) // DAY
    acts["visit"] = (starts | (part != part.shift())).cumsum()
    logins = acts[acts["login_id"].notna()].merge(
        links[links["kind"] == "login"], left_on="login_id", right_on="id"
    )
    votes = logins.groupby(["visit", "customer_id"]).agg(
        votes=("event_id", "size"), first=("event_number", "min")
    )
    votes = votes.reset_index().sort_values(["visit", "votes", "first"], ascending=[True, False, True])
    logged_in = votes.drop_duplicates("visit").set_index("visit")["customer_id"]
    opening = ~acts["visit"].duplicated()
    visits = acts.loc[opening, ["visit", "visitor_id"]].assign(
        run_at=run_at[opening], part=part[opening], is_first_visit=acts.loc[opening, "event_number"] == 1
    )
    visits = visits.merge(devices[["visitor_id", "visitor_key", "customer_id", "rule"]], on="visitor_id")
    by_login = visits["visit"].map(logged_in).mask(visits["rule"] == "bot")
    visits["customer_id"] = by_login.fillna(visits["customer_id"])
    visits["customer_rule"] = visits["rule"].mask(by_login.notna(), "login")
    visits["session_id"] = [
        hashlib.md5(f"{key}|{_moment(at)}|{part}|s1".encode(), usedforsecurity=False).hexdigest()
        for key, at, part in zip(visits["visitor_key"], visits["run_at"], visits["part"], strict=True)
    ]
    columns = ["visit", "session_id", "customer_id", "customer_rule", "is_first_visit"]
    acts = acts.merge(visits[columns], on="visit")
    acts["value"] = cents(acts["value"])
    acts["host"] = acts["referrer"].str.split("/").str[2]
    allowed = acts["consent"].fillna(True).astype(bool) & ~refused(acts, said_no)
    return acts[allowed]


def _moment(at: pd.Timestamp) -> str:
    text = at.isoformat(sep=" ")
    return text.rstrip("0") if "." in text else text


def channels(acts: pd.DataFrame) -> pd.DataFrame:
    """Channel and names of every combination of tags, host and click id."""
    parts = ["source", "medium", "campaign", "host", "click_id"]
    found, rules = acts[parts].drop_duplicates().fillna(""), channel_rules()
    traffic = [rules.traffic("|".join(row)) for row in found.itertuples(index=False, name=None)]
    found["key"] = found[parts].agg("|".join, axis=1)
    return found[["key"]].assign(
        channel=[rules.channel(one.source, one.medium, one.campaign) for one in traffic],
        source=[one.source for one in traffic],
        medium=[one.medium for one in traffic],
        campaign=[one.campaign for one in traffic],
        is_informative=[one.is_informative for one in traffic],
    )


def sessions(acts: pd.DataFrame, known: pd.DataFrame, sold: pd.DataFrame) -> pd.DataFrame:
    """One row per visit."""
    name, order = acts["event_name"], acts["order_id"]
    tested = set(sold.loc[sold["is_test"], "order_id"])
    ordered = order.where((name == "purchase") & ~order.isin(tested))
    counted = pd.DataFrame(
        {
            "session_id": acts["session_id"],
            "customer_id": acts["customer_id"],
            "customer_rule": acts["customer_rule"],
            "is_new_visitor": acts["is_first_visit"],
            "occurred_at": acts["occurred_at"],
            "device": acts["device"],
            "country": acts["country"],
            "page": acts["page_path"],
            "page_views": name == "page_view",
            "product_views": name == "view_item",
            "searches": name == "view_search_results",
            "carts": name == "add_to_cart",
            "checkouts": name == "begin_checkout",
            "order_id": ordered,
            "engagement_seconds": acts["engagement_ms"].astype("Float64").fillna(0).astype("float64"),
            "was_engaged": acts["session_engaged"].fillna(False).astype(bool),
        }
    )
    parts = ["source", "medium", "campaign", "host", "click_id"]
    key = acts[parts[0]].fillna("")
    for part in parts[1:]:
        key = key + "|" + acts[part].fillna("")
    counted["key"] = key.where(key.map(known.set_index("key")["is_informative"]))
    # rows are in the order of the device: first and last are of the rows that have a value
    visits = counted.groupby("session_id", sort=False).agg(
        customer_id=("customer_id", "first"),
        customer_rule=("customer_rule", "first"),
        is_new_visitor=("is_new_visitor", "first"),
        started_at=("occurred_at", "min"),
        ended_at=("occurred_at", "max"),
        device=("device", "first"),
        country=("country", "first"),
        landing_page=("page", "first"),
        exit_page=("page", "last"),
        events=("page_views", "size"),
        page_views=("page_views", "sum"),
        product_views=("product_views", "sum"),
        searches=("searches", "sum"),
        carts=("carts", "sum"),
        checkouts=("checkouts", "sum"),
        orders=("order_id", "nunique"),
        order_id=("order_id", "first"),
        engagement_seconds=("engagement_seconds", "sum"),
        was_engaged=("was_engaged", "any"),
        key=("key", "first"),
    )
    visits = visits.reset_index().merge(known.drop(columns="is_informative"), on="key", how="left")
    visits["channel"] = visits["channel"].fillna("Direct")
    visits["business_date"] = business_date(visits["started_at"])
    visits["engagement_seconds"] /= 1000
    seconds = visits["ended_at"].astype("int64") // 1000 - visits["started_at"].astype("int64") // 1000
    visits["duration_seconds"] = seconds / 1000
    visits["engaged"] = (
        visits["was_engaged"]
        | (visits["engagement_seconds"] >= 10)
        | (visits["page_views"] >= 2)
        | (visits["orders"] > 0)
    )
    whole = (
        visits["ended_at"].astype("int64") // 1_000_000 - visits["started_at"].astype("int64") // 1_000_000
    )
    measured = bool((acts["engagement_ms"] > 0).any())
    visits["is_bot"] = (
        (visits["customer_rule"] == "bot")
        | (visits["page_views"] > 400)
        | (measured & (visits["page_views"] >= 30) & (visits["engagement_seconds"] < 1))
        | (visits["events"] > 120 * np.maximum(1.0, whole / 60))
    )
    return visits.drop(columns=["was_engaged", "key"])
