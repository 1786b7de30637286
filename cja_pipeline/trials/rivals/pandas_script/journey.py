"""Visits, orders, mails and feedback -> orders, the one event log with its stages, customers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cja_pipeline.trials.rivals.pandas_script.common import business_date, cents
from cja_pipeline.trials.rivals.pandas_script.visits import refused

SHOP = {
    "view_item": "product_view", "view_search_results": "search", "add_to_cart": "add_to_cart",
    "begin_checkout": "begin_checkout", "add_payment_info": "add_payment_info", "sign_up": "sign_up",
    "share": "share",
}  # fmt: skip
SOLD = {"web": "purchase", "store": "store_order", "phone": "phone_order"}
SHOP_CHANNEL = {"web": "Direct", "store": "Store", "phone": "Phone", "other": "Other"}
SAID = {"comment": "Organic Social", "ticket": "Support"}
ORDERED = [*SOLD.values(), "other_order"]
SIGNALS = ["search", "add_to_cart", "begin_checkout", "email_clicked", "sign_up", "comment"]
ASKED = ["ticket", "nps", "csat", "ces"]
STAGE = {
    "order": "purchase", "checkout": "purchase", "promoter": "advocacy", "recommends": "advocacy",
    "praises": "advocacy", "comes_back": "retention", "mail_to_customer": "retention", "service": "retention",
    "first_contact": "awareness",
}  # fmt: skip
LOG = [
    "touchpoint_id", "customer_id", "occurred_at", "touchpoint_type", "channel", "campaign", "device",
    "session_id", "order_id", "value", "score",
]  # fmt: skip


def _of_kind(links: pd.DataFrame, kind: str) -> pd.Series[str]:
    return links[links["kind"] == kind].set_index("id")["customer_id"]


def orders(events: pd.DataFrame, acts: pd.DataFrame, sold: pd.DataFrame, links: pd.DataFrame) -> pd.DataFrame:
    """Orders that count, in euros."""
    bought = events[(events["event_name"] == "purchase") & events["order_id"].notna()]
    reports = bought["order_id"].value_counts()
    first = bought.assign(hidden=bought["visitor_id"].isna()).sort_values(
        ["hidden", "occurred_at", "event_id"]
    )
    seen = first.drop_duplicates("order_id")[["order_id", "event_id"]]
    traced = ["event_id", "session_id", "customer_id", "occurred_at", "value", "currency"]
    seen = seen.merge(acts[traced], on="event_id", how="left").set_index("order_id")
    crm = sold[~sold["is_void"]].copy()
    for kind, column in (("contact", "contact_id"), ("order", "crm_order_id")):
        owner = crm[column].map(_of_kind(links, kind))
        crm["customer_id"] = owner if "customer_id" not in crm else crm["customer_id"].fillna(owner)
    crm["customer_id"] = crm["customer_id"].fillna(crm["order_id"].map(seen["customer_id"]))
    crm["session_id"] = crm["order_id"].map(seen["session_id"])
    crm["sales_channel"] = crm["sales_channel"].fillna("web")
    crm["in_crm"] = True
    alone = seen[seen["customer_id"].notna() & ~seen.index.isin(sold["order_id"])].reset_index()
    alone = alone.rename(columns={"occurred_at": "ordered_at", "value": "gross"})
    alone = alone.assign(discount=0.0, refund=0.0, sales_channel="web", in_crm=False, exchange_rate=np.nan)
    columns = [
        "order_id", "customer_id", "ordered_at", "gross", "discount", "refund", "currency", "exchange_rate",
        "sales_channel", "session_id", "in_crm",
    ]  # fmt: skip
    rows = pd.concat([crm[columns], alone[columns]], ignore_index=True)
    rows = rows[rows["customer_id"].notna()]
    rate = rows["exchange_rate"].where(rows["exchange_rate"] > 0).mask(rows["currency"] == "EUR", 1.0)
    rows["gross_revenue"], rows["discount"] = cents(rows["gross"] * rate), cents(rows["discount"] * rate)
    rows["refund"] = cents(rows["refund"] * rate)
    rows["net_revenue"] = (rows["gross_revenue"] - rows["discount"] - rows["refund"]).round(2)
    rows["business_date"] = business_date(rows["ordered_at"])
    rows["in_web"] = rows["order_id"].isin(reports.index)
    rows["web_reports"] = rows["order_id"].map(reports).fillna(0).astype(int)
    rows = rows.sort_values(["customer_id", "ordered_at", "order_id"])
    rows["is_first_order"] = ~rows["customer_id"].duplicated()
    return rows.drop(columns=["gross", "currency", "exchange_rate"])


def touchpoints(
    acts: pd.DataFrame,
    visits: pd.DataFrame,
    bought: pd.DataFrame,
    mailed: pd.DataFrame,
    feedback: pd.DataFrame,
    contacts: pd.DataFrame,
    links: pd.DataFrame,
    said_no: pd.DataFrame,
    until: pd.Timestamp,
) -> pd.DataFrame:
    """Every contact with a customer in order, with state and stage."""
    people = visits[~visits["is_bot"]]
    of_visit = visits.set_index("session_id")
    visited = people.assign(touchpoint_id="visit:" + people["session_id"], touchpoint_type="visit")
    visited = visited.rename(columns={"started_at": "occurred_at"}).drop(columns="order_id")
    done = acts[acts["event_name"].isin(SHOP) & acts["session_id"].isin(people["session_id"])]
    done = done.drop(columns=["order_id", "campaign"]).assign(
        touchpoint_id="web:" + done["event_id"],
        touchpoint_type=done["event_name"].map(SHOP),
        channel=done["session_id"].map(of_visit["channel"]),
        campaign=done["session_id"].map(of_visit["campaign"]),
    )
    sold = bought.assign(
        touchpoint_id="order:" + bought["order_id"],
        occurred_at=bought["ordered_at"],
        touchpoint_type=bought["sales_channel"].map(SOLD).fillna("other_order"),
        channel=bought["session_id"]
        .map(of_visit["channel"])
        .fillna(bought["sales_channel"].map(SHOP_CHANNEL)),
        campaign=bought["session_id"].map(of_visit["campaign"]),
        device=bought["session_id"].map(of_visit["device"]),
        value=bought["net_revenue"],
    )
    sent = mailed.assign(
        touchpoint_id="mail:" + mailed["event_id"],
        customer_id=mailed["profile_id"].map(_of_kind(links, "profile")),
        touchpoint_type="email_" + mailed["event_type"],
        channel="Email",
    )
    sent = sent[sent["customer_id"].notna()]
    sent = sent[~(sent["event_type"].isin(["opened", "clicked"]) & refused(sent, said_no))]
    said = feedback[feedback["customer_id"].notna()]
    said = said.assign(
        touchpoint_id="feedback:" + said["feedback_id"],
        touchpoint_type=said["kind"],
        channel=said["kind"].map(SAID).fillna("Survey"),
        score=said["score"].fillna(said["sentiment"]),
    )
    frames = [visited, done, sold, sent, said, _referrals(contacts, links, until)]
    rows = pd.concat([frame.reindex(columns=LOG) for frame in frames], ignore_index=True)
    rows = rows.sort_values(["customer_id", "occurred_at", "touchpoint_id"], ignore_index=True)
    rows["sequence"] = rows.groupby("customer_id").cumcount() + 1
    rows["nth"] = rows.groupby(["customer_id", "touchpoint_type"]).cumcount() + 1
    kind = rows["touchpoint_type"]
    signal = kind.isin(SIGNALS) | ((kind == "product_view") & (rows["nth"] >= 2))
    rows["state"] = np.select(
        [_before(rows, kind.isin(ORDERED)), _before(rows, signal)], ["customer", "considering"], "new"
    )
    rows["rule_id"] = _rule(kind, rows["state"], rows["nth"], rows["score"])
    rows["stage"] = rows["rule_id"].map(STAGE).fillna("consideration")
    rows["business_date"] = business_date(rows["occurred_at"])
    return rows.drop(columns=["nth", "score"])


def _before(rows: pd.DataFrame, what: pd.Series[bool]) -> pd.Series[bool]:
    """Whether it happened to the customer before this row."""
    return what.astype(int).groupby(rows["customer_id"]).cumsum() - what > 0


def _referrals(contacts: pd.DataFrame, links: pd.DataFrame, until: pd.Timestamp) -> pd.DataFrame:
    """Contacts who came with a code, as touchpoints of who owns it."""
    newest = contacts.sort_values(["updated_at", "pulled_at", "file"]).drop_duplicates(
        "contact_id", keep="last"
    )
    owner = newest[newest["referral_code"].notna()].groupby("referral_code")["contact_id"].min()
    friends = newest[newest["created_at"] <= until]
    friends = friends.assign(inviter=friends["referred_by_code"].map(owner))
    friends = friends[friends["inviter"].notna() & (friends["inviter"] != friends["contact_id"])]
    people = _of_kind(links, "contact")
    friends = friends.assign(
        customer_id=friends["inviter"].map(people), friend=friends["contact_id"].map(people)
    )
    friends = friends.dropna(subset=["customer_id", "friend"])
    friends = friends[friends["customer_id"] != friends["friend"]].sort_values(
        ["friend", "created_at", "contact_id"]
    )
    number = (friends.groupby("friend").cumcount() + 1).astype("str")
    return friends.assign(
        touchpoint_id="referral:" + friends["friend"] + ":" + number,
        occurred_at=friends["created_at"],
        touchpoint_type="referral",
        channel="Referral program",
    )


def _rule(kind: pd.Series, state: pd.Series, nth: pd.Series, score: pd.Series) -> np.ndarray:
    customer, new = state == "customer", state == "new"
    rules = {
        "order": kind.isin(ORDERED),
        "checkout": kind.isin(["begin_checkout", "add_payment_info"]),
        "promoter": (kind == "nps") & (score >= 9),
        "recommends": kind.isin(["share", "referral"]),
        "praises": (kind == "comment") & customer & (score >= 0.5),
        "comes_back": kind.isin(["visit", "product_view", "search", "add_to_cart", "sign_up"]) & customer,
        "mail_to_customer": kind.str.startswith("email") & customer,
        "service": kind.isin([*ASKED, "comment"]) & customer,
        "looks_closer": (kind == "product_view") & (nth >= 2) & new,
        "compares": kind.isin(["search", "add_to_cart", "email_clicked", "sign_up", "comment"]) & new,
        "asks_before_buying": kind.isin(ASKED),
        "still_considering": state == "considering",
    }
    return np.select([test.to_numpy(bool) for test in rules.values()], list(rules), "first_contact")


def stage_spells(points: pd.DataFrame) -> pd.DataFrame:
    """Runs of touchpoints in one stage."""
    same_customer = points["customer_id"] == points["customer_id"].shift()
    entry = ~(same_customer & (points["stage"] == points["stage"].shift()))
    run = entry.cumsum()
    spells = points[entry].assign(touchpoints=run.value_counts().sort_index().to_numpy())
    spells["spell"] = spells.groupby("customer_id").cumcount() + 1
    spells["exited_at"] = spells.groupby("customer_id")["occurred_at"].shift(-1)
    spells = spells.rename(columns={"occurred_at": "entered_at", "touchpoint_id": "entry_touchpoint_id"})
    columns = [
        "customer_id",
        "stage",
        "entered_at",
        "exited_at",
        "entry_touchpoint_id",
        "rule_id",
        "spell",
        "touchpoints",
    ]
    return spells[columns]


def customers(
    links: pd.DataFrame,
    points: pd.DataFrame,
    visits: pd.DataFrame,
    bought: pd.DataFrame,
    feedback: pd.DataFrame,
    spells: pd.DataFrame,
) -> pd.DataFrame:
    """One row per customer."""
    anonymous = links["kind"].isin(["visitor", "author"])
    active = links["last_seen_at"].where(links["kind"].isin(["visitor", "author", "login", "order"]))
    rows = links.assign(known=~anonymous, active=active).groupby("customer_id").agg(
        is_known=("known", "any"), first_seen_at=("first_seen_at", "min"), last_seen_at=("active", "max")
    )  # fmt: skip
    met = points.groupby("customer_id")
    seen = met["occurred_at"].agg(["min", "max"])
    rows["first_seen_at"] = pd.concat([rows["first_seen_at"], seen["min"]], axis=1).min(axis=1)
    rows["last_seen_at"] = pd.concat([rows["last_seen_at"], seen["max"]], axis=1).max(axis=1)
    rows["stage"] = spells.groupby("customer_id")["stage"].last()
    ordered = visits.sort_values(["started_at", "session_id"])
    first = ordered.groupby("customer_id")["channel"].first()
    rows["acquisition_channel"] = first.reindex(rows.index).fillna(met["channel"].first())
    rows["sessions"] = (~visits["is_bot"]).groupby(visits["customer_id"]).sum()
    sold = bought.groupby("customer_id").agg(
        orders=("order_id", "size"),
        net_revenue=("net_revenue", "sum"),
        first_order_at=("ordered_at", "min"),
        last_order_at=("ordered_at", "max"),
    )
    rows = rows.join(sold)
    rows["touchpoints"] = met.size()
    scores = feedback[(feedback["kind"] == "nps") & feedback["score"].notna()]
    rows["last_nps"] = (
        scores.sort_values(["occurred_at", "feedback_id"]).groupby("customer_id")["score"].last()
    )
    open_ticket = (feedback["kind"] == "ticket") & (feedback["status"] == "open")
    rows["open_tickets"] = open_ticket.groupby(feedback["customer_id"]).sum()
    counts = ["sessions", "orders", "net_revenue", "touchpoints", "open_tickets"]
    rows[counts] = rows[counts].fillna(0)
    return rows.reset_index()
