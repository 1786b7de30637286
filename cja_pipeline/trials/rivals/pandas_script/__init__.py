"""The outputs by pandas alone, as vectorised as pandas allows; one Parquet file per output."""

from __future__ import annotations

from pathlib import Path

from cja_pipeline.trials.rivals.given import Given


def build(given: Given, folder: Path) -> None:
    """Read the landed files, write ``<output>.parquet`` into `folder`."""
    import pandas as pd

    from cja_pipeline.trials.rivals.pandas_script.events import web_events
    from cja_pipeline.trials.rivals.pandas_script.figures import figures
    from cja_pipeline.trials.rivals.pandas_script.journey import customers, orders, stage_spells, touchpoints
    from cja_pipeline.trials.rivals.pandas_script.records import contact_versions, crm_orders, mails
    from cja_pipeline.trials.rivals.pandas_script.visits import activity, channels, refusals, sessions

    def handed(table: str) -> pd.DataFrame:
        return pd.read_parquet(given.handed / f"{table}.parquet")

    def keep(table: str, frame: pd.DataFrame) -> pd.DataFrame:
        frame.to_parquet(folder / f"{table}.parquet", index=False)
        return frame

    until = pd.Timestamp(given.observed_until)
    links = handed("identity_links")
    links["id"] = links["record_key"].str.partition(":")[2]
    contacts = contact_versions(given.landing)
    sold = crm_orders(given.landing)
    said_no = refusals(contacts, links)
    events = keep("web_events", web_events(given.landing))
    acts = activity(events, links, handed("visitor_map"), said_no)
    visits = keep("sessions", sessions(acts, channels(acts), sold))
    bought = keep("orders", orders(events, acts, sold, links))
    del events
    feedback = handed("feedback")
    mailed = mails(given.landing)
    points = keep(
        "touchpoints", touchpoints(acts, visits, bought, mailed, feedback, contacts, links, said_no, until)
    )
    del acts
    spells = keep("stage_spells", stage_spells(points))
    keep("customers", customers(links, points, visits, bought, feedback, spells))
    for table, frame in figures(points, visits, bought, spells, until).items():
        keep(table, frame)
