"""Tonight's publication: announced, tried again while the serving database is away, and pending until done.

The announcement is a file in the home folder. It is written before the serving database is touched and
removed when the warehouse remembers what was published; so it is there exactly as long as readers of the
database may not have the night that the warehouse holds, whatever has died in between.
"""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from cja_pipeline.crashpoints import crashpoint
from cja_pipeline.customers import inputs as customers
from cja_pipeline.journey_maps.atomic import write_atomically
from cja_pipeline.journey_maps.publish import PublishError, publish
from cja_pipeline.keyed import Input, Keyed
from cja_pipeline.settings import Settings
from cja_pipeline.warehouse import Warehouse

PENDING = "publish.pending"
ATTEMPTS = 5
FIRST_WAIT, LONGEST_WAIT = 1.0, 15.0
CUSTOMERS = Keyed(
    "journey_maps.customers",
    "customer_id",
    [
        customers.CUSTOMERS.rows,
        Input("kpis.customer_value", "t.customer_id"),
        Input("kpis.customer_segments", "t.customer_id"),
    ],
)


def publish_tonight(warehouse: Warehouse, settings: Settings) -> dict[str, int]:
    """Publish all tables; returns rows by name. Connection losses, deadlocks and serialization failures are
    tried again as whole transactions.

    Raises:
        PublishError: the database stayed away or refuses. The publication is then pending: the next run makes
            up for it, or ``cja doctor --fix`` at once.
    """
    announcement = settings.home / PENDING
    since = pending_since(settings.home) or f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M:%S}"
    write_atomically(announcement, json.dumps({"since": since}).encode())
    crashpoint("publish:begun")
    again = Retrying(
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_exponential_jitter(multiplier=FIRST_WAIT, max=LONGEST_WAIT),
        retry=retry_if_exception(lambda error: isinstance(error, PublishError) and error.passing),
        retry_error_callback=_give_up,
    )
    rows: dict[str, int] = again(publish, warehouse, settings.published_url)
    crashpoint("publish:remembered")
    announcement.unlink(missing_ok=True)
    return rows


def pending_since(home: Path) -> str | None:
    """Since when (UTC, text) a publication is pending, or None if readers have what the warehouse holds."""
    try:
        return str(json.loads((home / PENDING).read_text())["since"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return "an unknown time"


def _give_up(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    raise PublishError(
        f"{error}. The publication is pending: tonight's figures are in the warehouse and on the page, "
        "readers of the database keep the last night. The next run publishes; `cja doctor --fix` does it at "
        "once.",
        passing=True,
    ) from error
