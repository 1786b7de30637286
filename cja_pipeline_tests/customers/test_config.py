"""The room's configuration: faults are named, and the tables made from it say the same as the files."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml

from cja_pipeline.config import SHIPPED, ConfigError, load_file
from cja_pipeline.customers import config
from cja_pipeline.customers.parameters import business_days, stage_rules

ROOM = Path(config.__file__).parent


def broken(tmp_path: Path, name: str, change) -> Path:  # type: ignore[no-untyped-def]
    data = yaml.safe_load((SHIPPED / name).read_text(encoding="utf-8"))
    change(data)
    path = tmp_path / name
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "model", "change", "message"),
    [
        ("channels.yml", config.Channels, lambda d: d["rules"][0].update(when=[]), "rules.0.when"),
        (
            "channels.yml",
            config.Channels,
            lambda d: d["rules"][1].update(when=[{"medium": "(cpc"}]),
            "expected a regular expression",
        ),
        (
            "channels.yml",
            config.Channels,
            lambda d: d["rules"][1].update(when=[{}]),
            "expected at least one condition",
        ),
        ("stages.yml", config.Stages, lambda d: d["rules"][0].update(stage="loyalty"), "got 'loyalty'"),
        ("stages.yml", config.Stages, lambda d: d["rules"][0].update(id="checkout"), "every rule id once"),
        ("stages.yml", config.Stages, lambda d: d.update(stages=["a"]), "published tables rely on"),
        (
            "touchpoints.yml",
            config.Touchpoints,
            lambda d: d["sessions"].update(timeout_minutes=0),
            "sessions.timeout_minutes",
        ),
        ("identity.yml", config.Identity, lambda d: d["devices"].update(dominance=0.4), "devices.dominance"),
        ("identity.yml", config.Identity, lambda d: d.update(crm_duplicates="always"), "crm_duplicates"),
    ],
)
def test_faults_are_named(tmp_path: Path, name: str, model, change, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError, match=message) as caught:
        load_file(broken(tmp_path, name, change), model)
    assert f"{name}, line " in str(caught.value)


def test_stage_cells_do_not_overlap() -> None:
    cells = stage_rules()
    for _, group in cells.groupby(["touchpoint_type", "state"]):
        rows = group.to_dict("records")
        for place, one in enumerate(rows):
            for other in rows[place + 1 :]:
                counts = one["min_count"] <= other["max_count"] and other["min_count"] <= one["max_count"]
                scores = one["min_score"] < other["max_score"] and other["min_score"] < one["max_score"]
                assert not (counts and scores)
    # every type has a stage whatever the customer's state
    assert len(cells.groupby(["touchpoint_type", "state"])) == 3 * len(config.touchpoints().types)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland"])
def test_business_days_agree_with_the_calendar(zone: str) -> None:
    days = business_days(ZoneInfo(zone)).set_index("utc_date")
    moment = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    while moment.year == 2026:
        row = days.loc[moment.date()]
        before = moment.replace(tzinfo=None) < row["boundary_at"]
        found = row["date_before"] if before else row["date_after"]
        assert found == moment.astimezone(ZoneInfo(zone)).date()
        moment += dt.timedelta(hours=1)


@pytest.mark.parametrize("model", sorted(ROOM.rglob("*.sql")), ids=lambda path: path.stem)
def test_models_are_one_portable_select(model: Path) -> None:
    sqlglot = pytest.importorskip("sqlglot")
    text = model.read_text(encoding="utf-8")
    statements = sqlglot.parse(text, read="duckdb")
    assert len(statements) == 1
    assert isinstance(statements[0], (sqlglot.exp.Select, sqlglot.exp.Union))
    level = sqlglot.ErrorLevel.RAISE
    assert sqlglot.transpile(text, read="duckdb", write="spark", unsupported_level=level)[0]
