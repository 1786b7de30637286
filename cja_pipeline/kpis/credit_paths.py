"""The warehouse's paths to an order (and to none) as numbers, ready for the credit models."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cja_pipeline.kpis.journey_params import model_text
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Touches:
    """Numbered touches, sorted by path; ordered paths come first. A cell is a channel with a campaign."""

    path: Any
    channel: Any
    cell: Any
    days: Floats
    after_cart: Any
    gains: Floats  # of each path: orders, revenue, first orders, worth of new customers; shape (4, paths)
    ends: Floats  # journeys that each path stands for, ordered or not
    ordered: int  # the first so many paths ended in an order
    channels: list[str]
    cells: pd.DataFrame  # channel, campaign
    channel_of_cell: Any
    month: Any  # first day of the month in which each path ended

    @property
    def ordered_touches(self) -> int:
        import numpy as np

        return int(np.searchsorted(self.path, self.ordered))

    def of_month(self, month: dt.date) -> Touches:
        """Only the paths that ended in this month; channels and cells stay numbered as they are."""
        import numpy as np

        chosen = self.month == np.datetime64(month)
        kept = chosen[self.path]
        upto = self.ordered_touches
        return replace(
            self,
            path=(np.cumsum(chosen) - 1)[self.path[kept]],
            channel=self.channel[kept],
            cell=self.cell[kept[:upto]],
            days=self.days[kept[:upto]],
            after_cart=self.after_cart[kept[:upto]],
            gains=self.gains[:, chosen],
            ends=self.ends[chosen],
            ordered=int(chosen[: self.ordered].sum()),
            month=self.month[chosen],
        )

    def orders_by_cell(self) -> tuple[Floats, Floats]:
        """Orders that met each cell, and the share of them whose cart was filled before they did."""
        import numpy as np

        cells = len(self.cells)
        pair, place = np.unique(
            self.path[: self.ordered_touches] * max(cells, 1) + self.cell, return_inverse=True
        )
        late = np.ones(len(pair), dtype=bool)
        np.logical_and.at(late, place, self.after_cart)
        orders = np.bincount(pair % max(cells, 1), minlength=cells).astype(float)
        return orders, np.bincount(pair % max(cells, 1), late, minlength=cells) / np.maximum(orders, 1)


def read_touches(wh: Warehouse) -> Touches:
    """Numbers instead of texts, and journeys without an order compressed to distinct channel paths."""
    import numpy as np
    import pandas as pd

    wh.stage("credit_touches", model_text("credit_touches"))
    bought = wh.df(
        "SELECT dense_rank() OVER (ORDER BY journey_id) - 1 AS path, * EXCLUDE (journey_id) "
        "FROM credit_touches WHERE ordered ORDER BY path, position"
    )
    # chr(31) separates: no channel name holds it
    lost = wh.df(
        "SELECT path, month, count(*) AS n FROM (SELECT min(month) AS month, "
        "string_agg(channel, chr(31) ORDER BY position) AS path FROM credit_touches "
        "WHERE NOT ordered GROUP BY journey_id) AS journeys GROUP BY path, month ORDER BY path, month"
    )
    wh.execute("DROP TABLE credit_touches")
    lost_items = [path.split(chr(31)) for path in lost["path"]]
    flat = [item for items in lost_items for item in items]
    codes, channels = pd.factorize(
        np.r_[bought["channel"].to_numpy(object), np.array(flat, object)], sort=True
    )
    ordered = int(bought["path"].max()) + 1 if len(bought) else 0
    path = np.r_[
        bought["path"].to_numpy(np.int64),
        ordered + np.repeat(np.arange(len(lost_items)), [len(items) for items in lost_items]),
    ].astype(np.int64)
    cell, cells = pd.factorize(pd.MultiIndex.from_frame(bought[["channel", "campaign"]]), sort=True)
    # the first touch of a path tells what holds for the path
    per_path = bought.loc[~bought["path"].duplicated()]
    gains = np.zeros((4, ordered + len(lost_items)))
    gains[0, :ordered] = 1.0
    gains[1, :ordered] = per_path["value"].to_numpy(float)
    gains[2, :ordered] = per_path["is_new"].astype(float)
    gains[3, :ordered] = per_path["worth"].fillna(0.0).astype(float)
    frame = pd.DataFrame(list(cells), columns=["channel", "campaign"])
    return Touches(
        path=path,
        channel=codes.astype(np.int64),
        cell=cell,
        days=bought["days"].to_numpy(float),
        after_cart=bought["after_cart"].to_numpy(bool),
        gains=gains,
        ends=np.r_[np.ones(ordered), lost["n"].to_numpy(float)],
        ordered=ordered,
        channels=list(channels),
        cells=frame,
        channel_of_cell=np.searchsorted(np.asarray(channels), frame["channel"].to_numpy(object)),
        month=np.concatenate([per_path["month"], lost["month"]]).astype("datetime64[D]"),
    )
