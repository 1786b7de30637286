"""What friction, anomalies and insights find where it is known what was planted, and where nothing was.

The shops are built from seeds that no method was developed on. `judge` compares the findings of one shop with
the truth that its simulator kept; `findings_trial` does so for several shops with and without planted faults.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cja_pipeline.config import shop
from cja_pipeline.kpis.friction import build_friction
from cja_pipeline.kpis.journey_config import journey_config
from cja_pipeline.trials.worlds import build_shop
from cja_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

SEEDS = (301, 302, 303, 304, 305)  # never used while the methods were developed
BUG = "mobile_checkout_bug"
BUG_STEP = "add_payment_info"
# the simulator's phones go on less often from the cart to the order, at no other step and for no other reason
SLOW_STEPS = ("add_to_cart", "begin_checkout", "add_payment_info")
HARVESTER = "channel:Affiliates"
TOP = 3


class _UndoneError(Exception):
    """Leaves a transaction without keeping what it did."""


def findings_trial(
    *, customers: int, seeds: Sequence[int] = SEEDS, progress: Callable[[str], None] | None = None
) -> pd.DataFrame:
    """One row per shop and seed, planted and quiet, as told by `judge`."""
    import pandas as pd

    rows = []
    for seed in seeds:
        for quiet in (False, True):
            with tempfile.TemporaryDirectory(prefix="cja-trial-") as folder:
                path = build_shop(Path(folder), customers=customers, seed=seed, quiet=quiet)
                with Warehouse(path) as wh:
                    told = judge(wh, Path(folder) / "world" / "truth")
            rows.append({"seed": seed, "customers": customers, "quiet": quiet} | told)
            if progress:
                progress(f"seed {seed}, {'quiet' if quiet else 'planted'}: {told}")
    return pd.DataFrame(rows)


def judge(wh: Warehouse, truth: Path) -> dict[str, Any]:
    """Findings of a shop against its truth. Of planted faults (None where none was planted):

    ``bug_found`` (as an incident of its step and days), ``bug_named`` (by its device), ``bug_rank``,
    ``bug_first_day`` (found when only the first complete day is known), ``slow_phones_top`` (a slow step of
    phones among the first ranks, the bug aside), ``harvester_exposed``. Of what was not planted:
    ``false_incidents, false_standing, false_anomalies, false_insights, false_late``, and the
    ``anomaly_series_years`` that were judged.
    """
    import pandas as pd

    windows = _windows(truth)
    friction, insights = wh.read("kpis.friction"), wh.read("kpis.insights")
    proven = friction[friction["status"] == "proven"]
    found: dict[str, Any] = dict.fromkeys(
        ("bug_found", "bug_named", "bug_rank", "bug_first_day", "slow_phones_top", "harvester_exposed")
    )
    mine = pd.Series(False, index=proven.index)
    if BUG in windows:
        first, last = windows[BUG]
        mine = _of_bug(proven, first, last)
        found |= {
            "bug_found": bool(mine.any()),
            "bug_named": bool((mine & (proven["dimension_value"] == "mobile")).any()),
            "bug_rank": int(proven.loc[mine, "rank"].min()) if mine.any() else None,
            "bug_first_day": _first_day(wh, first),
            "harvester_exposed": bool(
                ((insights["status"] == "late_touch") & (insights["feature"] == HARVESTER)).any()
            ),
        }
        others = friction[(friction["kind"] == "standing") & (friction["status"] != "audience")]
        top = others.sort_values("rank").head(TOP)
        slow = (top["dimension_value"] == "mobile") & top["step"].isin(SLOW_STEPS)
        found["slow_phones_top"] = bool(slow.any())
    standing = proven[proven["kind"] == "standing"]
    planted = (standing["dimension"] == "device") & standing["step"].isin(SLOW_STEPS) & bool(windows)
    associated = insights["status"] == "associated"
    late = insights["status"] == "late_touch"
    anomalies = wh.read("kpis.anomalies")
    explained = anomalies["day"].map(lambda day: _inside(day.date(), windows)).astype(bool)
    config = journey_config().anomalies
    series_days = wh.scalar(
        "SELECT sum(greatest(days - ?, 0)) FROM (SELECT count(value) AS days FROM kpis.kpi_values "
        "WHERE grain = 'day' AND dimension IN (SELECT unnest(?)) "
        "GROUP BY kpi_id, dimension, dimension_value)",
        [config.min_history_days, ["all", *config.slices]],
    )
    return found | {
        "false_incidents": int(((proven["kind"] == "incident") & ~mine).sum()),
        "false_standing": int((~planted).sum()),
        # in a shop with effects a channel or a mailing may rightly go with ordering
        "false_insights": int(associated.sum()) if not windows else None,
        "false_late": int((late & ((insights["feature"] != HARVESTER) | (not windows))).sum()),
        "false_anomalies": int((~explained).sum()),
        "anomaly_series_years": round(int(series_days) / 365, 1),
    }


def _windows(truth: Path) -> dict[str, tuple[dt.date, dt.date]]:
    """First and last business day of each planted incident."""
    import pandas as pd

    rows = pd.read_parquet(truth / "incidents.parquet")
    zone, found = shop().time_zone, {}
    for row in rows.to_dict("records"):
        since, until = (pd.Timestamp(row[name]).tz_localize("UTC") for name in ("from", "to"))
        last = max(until - pd.Timedelta(seconds=1), since)
        found[str(row["name"])] = (since.tz_convert(zone).date(), last.tz_convert(zone).date())
    return found


def _inside(day: dt.date, windows: dict[str, tuple[dt.date, dt.date]]) -> bool:
    return any(first <= day <= last for first, last in windows.values())


def _of_bug(rows: pd.DataFrame, first: dt.date, last: dt.date) -> pd.Series[bool]:
    """Incidents of the bug's step that overlap its days, of phones or of everybody."""
    starts, ends = rows["period_start"].dt.date, rows["period_end"].dt.date
    overlap = (starts <= last) & (ends >= first)
    who = (rows["dimension"] == "all") | (rows["dimension_value"] == "mobile")
    return (rows["kind"] == "incident") & (rows["step"] == BUG_STEP) & overlap & who


def _first_day(wh: Warehouse, day: dt.date) -> bool:
    """Whether friction finds the bug when `day` is the last that is known."""
    found = False
    try:
        with wh.transaction():
            wh.execute("DELETE FROM customers.sessions WHERE business_date > ?", [day])
            build_friction(wh)
            rows = wh.read("kpis.friction")
            found = bool(_of_bug(rows[rows["status"] == "proven"], day, day).any())
            raise _UndoneError
    except _UndoneError:
        return found


def summary(rows: pd.DataFrame) -> list[list[Any]]:
    """Rates over shops: measure, hits, shops, share."""
    planted, quiet = rows[~rows["quiet"]], rows[rows["quiet"]]
    told: list[list[Any]] = []
    for name, label in (
        ("bug_found", "mobile checkout bug found"),
        ("bug_named", "… by its device"),
        ("bug_first_day", "… when only its first day is known"),
        ("slow_phones_top", f"slow phones among the first {TOP} standing losses"),
        ("harvester_exposed", "channel without effect exposed"),
    ):
        hits = int(planted[name].astype(bool).sum())
        told.append([label, hits, len(planted), hits / len(planted) if len(planted) else None])
    for part, name in ((planted, "planted"), (quiet, "quiet")):
        for column in ("false_incidents", "false_standing", "false_late"):
            loud = int((part[column] > 0).sum())
            told.append([f"{name} shops with {column.replace('_', ' ')}", loud, len(part), loud / len(part)])
        years = part["anomaly_series_years"].sum()
        alarms = int(part["false_anomalies"].sum())
        told.append([f"false anomalies per series and year, {name}", alarms, round(years, 1), alarms / years])
    loud = int((quiet["false_insights"] > 0).sum())
    told.append(["quiet shops with false insights", loud, len(quiet), loud / len(quiet)])
    return told
