"""Versions of CRM records: a record is a list of states, each visible from the moment it was written."""

from __future__ import annotations

import datetime as dt
from typing import Any

from .columns import DAY

Version = dict[str, Any]


def iso(moment: int) -> str:
    """ISO time of UTC microseconds with milliseconds and Z, as the CRM writes it."""
    stamp = dt.datetime.fromtimestamp(moment // 1_000_000, dt.UTC)
    return f"{stamp:%Y-%m-%dT%H:%M:%S}.{moment // 1000 % 1000:03d}Z"


def course(
    id_: str, created: int, contact: str | None, state: dict[str, Any], changes: list, finish: int
) -> list[Version]:
    """Versions from a first state and later changes; simultaneous changes fold into one version."""
    result: list[Version] = []
    for moment, change in sorted(changes, key=lambda item: item[0]):
        state = state | change
        moment = max(moment - moment % 1000, created)
        if moment >= finish + 5 * DAY:
            break
        if result and result[-1]["visible_from"] == moment:
            result[-1]["properties"] = state
        else:
            result.append(
                {
                    "id": id_,
                    "visible_from": moment,
                    "created_at": created,
                    "archived": False,
                    "gone": False,
                    "contact_id": contact,
                    "properties": state,
                }
            )
    return result
