"""What the last step of a night does for the people in the data."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from cja_pipeline.privacy.finish import finish_erasures
from cja_pipeline.privacy.retention import expire_rows
from cja_pipeline.settings import Settings
from cja_pipeline.warehouse import Warehouse


@dataclass(frozen=True)
class Night:
    """`erased` people, and in how many places a search still found one of them."""

    erased: int
    residue: int


def finish_night(settings: Settings, wh: Warehouse) -> Night:
    """Limits of age of the pipeline's own tables, the record of processing, and the end of erasures."""
    from cja_pipeline.privacy.processing import write_processing

    moment = wh.scalar("SELECT as_of FROM config.params")
    expire_rows(wh, moment or dt.datetime.now(dt.UTC).replace(tzinfo=None))
    write_processing(settings.reports_dir)
    certificates = finish_erasures(settings, wh)
    return Night(len(certificates), sum(len(one.residue) for one in certificates))
