"""The definitions load cheaply, read well in the UI, and keep to the layering of the rooms."""

from __future__ import annotations

import ast
import datetime as dt
import re
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

import cja_pipeline
from cja_pipeline.orchestration.jobs import NIGHTLY

PACKAGE = Path(cja_pipeline.__file__).parent
GROUPS = ["1_sources", "2_validated", "3_customer_view", "4_kpis", "5_journey_maps"]
HEAVY = [
    "pandas",
    "great_expectations",
    "scipy",
    "phonenumbers",
    "vaderSentiment",
    "jinja2.sandbox",
    "PIL",
    "pyspark",
]


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    from cja_pipeline.definitions import build_definitions

    return build_definitions()


@pytest.fixture(scope="module")
def specs(definitions: dg.Definitions) -> list[dg.AssetSpec]:
    return list(definitions.resolve_all_asset_specs())


def test_they_load(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)  # raises on a broken edge, job, schedule or resource
    assert definitions.resolve_job_def(NIGHTLY).name == NIGHTLY


def test_each_asset_reads_its_own_room_and_the_one_before(specs: list[dg.AssetSpec]) -> None:
    group = {spec.key: spec.group_name for spec in specs}
    for spec in specs:
        room = GROUPS.index(spec.group_name)
        for dep in spec.deps:
            above = GROUPS.index(group[dep.asset_key])
            allowed = {room, room - 1} | ({2} if room > 2 else set())
            assert above in allowed, f"{spec.key} in {spec.group_name} reads {dep.asset_key}"


def test_each_asset_is_described_for_a_manager(specs: list[dg.AssetSpec]) -> None:
    assert {spec.group_name for spec in specs} == set(GROUPS)
    assert 25 <= len(specs) <= 30
    for spec in specs:
        name = spec.key.to_user_string()
        assert re.fullmatch(r"[a-z_]{3,18}", name), name
        first = re.split(r"(?<=\.)\s", spec.description or "")[0]
        assert 10 <= len(first) <= 60, f"{name}: {first!r}"
        assert spec.owners, name
        assert 2 <= len(spec.kinds) <= 3, name


def test_each_table_shows_its_columns(specs: list[dg.AssetSpec]) -> None:
    pages = {"scorecard", "journey_map", "privacy"}  # they open with what they show
    tables = [
        spec for spec in specs if spec.group_name != "1_sources" and spec.key.to_user_string() not in pages
    ]
    for spec in tables:
        schema = spec.metadata["dagster/column_schema"]
        assert schema.columns, spec.key
        assert all(column.description for column in schema.columns), spec.key


def test_each_asset_after_the_sources_is_checked(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    checked = {key.asset_key.to_user_string() for key in graph.asset_check_keys}
    assert {"web_events", "customers", "touchpoints", "sessions", "stage_spells", "kpi_values"} <= checked


def test_the_night_is_scheduled_and_on(definitions: dg.Definitions) -> None:
    schedule = definitions.resolve_schedule_def("nightly")
    assert schedule.cron_schedule == "0 4 * * *"
    assert schedule.execution_timezone == "Europe/Berlin"
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING


@pytest.mark.parametrize("day", [dt.date(2026, 3, 29), dt.date(2026, 10, 25)])
def test_the_night_after_a_clock_change_runs_that_day_once(
    home: Path, monkeypatch: pytest.MonkeyPatch, day: dt.date
) -> None:
    from cja_pipeline.config import shop
    from cja_pipeline.definitions import build_definitions
    from cja_pipeline.orchestration import partitions

    monkeypatch.setattr(partitions, "first_day", lambda: dt.date(2026, 1, 1))
    definitions = build_definitions()
    schedule = definitions.resolve_schedule_def("nightly")
    tick = dt.datetime.combine(day + dt.timedelta(days=1), dt.time(4), tzinfo=shop().zone)
    with dg.build_schedule_context(scheduled_execution_time=tick) as context:
        data = schedule.evaluate_tick(context)
    assert [request.partition_key for request in data.run_requests] == [day.isoformat()]
    window = partitions.daily().time_window_for_partition_key(day.isoformat())
    hours = (window.end.astimezone(dt.UTC) - window.start.astimezone(dt.UTC)) / dt.timedelta(hours=1)
    assert hours == {3: 23, 10: 25}[day.month]


def test_only_thin_files_import_dagster() -> None:
    for path in PACKAGE.rglob("*.py"):
        thin = (
            path.name in {"assets.py", "checks.py", "definitions.py"} or path.parent.name == "orchestration"
        )
        roots = {
            (node.module or "").split(".")[0]
            if isinstance(node, ast.ImportFrom)
            else alias.name.split(".")[0]
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        assert thin or "dagster" not in roots, path


def test_loading_imports_nothing_heavy() -> None:
    code = f"import sys, cja_pipeline.definitions; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_missed_days_are_found_once_history_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    from cja_pipeline.orchestration import partitions
    from cja_pipeline.orchestration.sensors import missed_days

    monkeypatch.setattr(partitions, "first_day", lambda: dt.date(2026, 3, 1))
    now = dt.datetime(2026, 3, 12, 9, tzinfo=dt.UTC)
    anchor = dg.AssetKey("web_events")
    with dg.DagsterInstance.ephemeral() as instance:
        assert missed_days(instance, now, anchor) == []  # nothing yet: a backfill is a person's decision
        for day in ("2026-03-05", "2026-03-06", "2026-03-09"):
            instance.report_runless_asset_event(dg.AssetMaterialization(asset_key=anchor, partition=day))
        assert missed_days(instance, now, anchor) == ["2026-03-07", "2026-03-08", "2026-03-10", "2026-03-11"]


def test_the_job_holds_every_asset(definitions: dg.Definitions, specs: list[dg.AssetSpec]) -> None:
    job = definitions.resolve_job_def(NIGHTLY)
    assert job.asset_layer.selected_asset_keys == {spec.key for spec in specs}
