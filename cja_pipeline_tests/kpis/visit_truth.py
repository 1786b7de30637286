"""Web visits by brute force from the simulator's truth, with and without those of people who refuse consent.

The truth's own KPIs count by the consent of the device. The pipeline also leaves out what a customer did
after the CRM says that they refuse, wherever it can recognise them: on a store's tablet after a login, or on
their own device in the middle of a visit.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from cja_pipeline.warehouse import Warehouse

# Crawlers and attackers are known from the truth. One night fetched the whole history, so that it saw the
# newest version of each contact, which speaks for the time since the contact was made. A visit is that of the
# person who logged in during it, else of the device's user; a device is recognised after a login or an order
# on it. Clocks of devices are a little off: what comes before a device's first visit belongs to that visit.
VISITS = """
with truth as (
    select visit_id, person_id, cookie, robot,
        case when lag(visit_id) over device is null then timestamp '1900-01-01'
            else started_at end as from_at,
        lead(started_at, 1, timestamp '9999-12-31') over device as until_at
    from '{world}/truth/sessions.parquet'
    window device as (partition by cookie order by started_at)
),
logins as (
    select value as login_id, person_id from '{world}/truth/identifiers.parquet' where kind = 'login'
),
refusals as (
    select i.person_id, make_timestamp(c.created_at) as from_at
    from '{world}/hubspot/contacts.parquet' c
    join '{world}/truth/identifiers.parquet' i on i.kind = 'contact' and i.value = c.id
    where make_timestamp(c.visible_from) <= timestamp '{night}'
    qualify row_number() over (partition by c.id order by c.visible_from desc) = 1
        and c.properties ->> 'consent_analytics' = 'false'
),
recognised as (
    select cookie, person_id from truth join '{world}/truth/orders.parquet' o using (visit_id, person_id)
    union
    select e.visitor_id, l.person_id from validated.web_events e join logins l using (login_id)
),
events as (
    select e.visitor_id, e.event_id, e.occurred_at, e.event_name, coalesce(e.engagement_ms, 0) as engaged_ms,
        e.order_id in (select order_number from '{world}/truth/orders.parquet' where not is_test) as is_order,
        t.person_id, l.person_id as logged_in,
        lag(e.occurred_at) over (partition by e.visitor_id order by e.occurred_at, e.event_id) as before_at
    from validated.web_events e
    join truth t on t.cookie = e.visitor_id and e.occurred_at >= t.from_at and e.occurred_at < t.until_at
    left join logins l using (login_id)
    where t.robot not in ('crawler', 'credential_bot')
),
cut as (
    select *, count(*) filter (where before_at is null or occurred_at > before_at + interval 30 minute)
        over (partition by visitor_id order by occurred_at, event_id) as visit
    from events
),
named as (
    select *, coalesce(
        arg_min(logged_in, occurred_at) over (partition by visitor_id, visit), person_id
    ) as visitor
    from cut
)
select min(occurred_at) as started_at,
    bool_or(event_name = 'purchase' and is_order) as sold,
    count(*) filter (where event_name = 'page_view') >= 2 or sum(engaged_ms) >= 10000 as attentive
from named n
where not {honoured} or not exists (
    select 1 from refusals r join recognised k using (person_id)
    where r.person_id = n.visitor and k.cookie = n.visitor_id and n.occurred_at >= r.from_at
)
group by visitor_id, visit
"""


def visits_by_day(night: Path, night_at: str, zone: str, *, honoured: bool) -> pd.DataFrame:
    """Visits, those with an order and engaged ones of every day of the shop; columns sessions, sold, engaged.

    `night_at` (UTC) is when the CRM was read; `honoured` leaves out those who refuse consent.
    """
    with Warehouse(night / "warehouse.duckdb") as wh:
        visits = wh.df(VISITS.format(world=night / "world", night=night_at, honoured=honoured))
    visits["at"] = visits["started_at"].dt.tz_localize("UTC").dt.tz_convert(zone).dt.date
    visits["sessions"] = 1
    visits["engaged"] = visits["sold"] | visits["attentive"]
    return visits.groupby("at")[["sessions", "sold", "engaged"]].sum()
