"""Customer-journey analytics: four kinds of source in, one customer view, KPIs and a journey map out.

The package mirrors the path of a row, one folder per room:
``sources`` -> ``validated`` -> ``customers`` -> ``kpis`` -> ``journey_maps``.
``simulator`` is the mocked world that stands in for the vendors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__version__ = "0.1.0"


def read(table: str) -> pd.DataFrame:
    """Return a published table (for example ``"customers"`` or ``"kpi_values"``) as a DataFrame.

    Reads the serving database (`CJA_DATABASE_URL`, default the SQLite file in `CJA_HOME`), never the
    warehouse file, so it is safe while a nightly run is writing. Times are UTC.

    Raises:
        KeyError: no published table has that name; the message lists the names.
    """
    from cja_pipeline.journey_maps.publish import read_published

    return read_published(table)
