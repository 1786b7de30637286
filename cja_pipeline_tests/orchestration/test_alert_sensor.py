"""The sensor that hands the ends of nights to the alerts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from cja_pipeline.orchestration.jobs import NIGHTLY
from cja_pipeline.orchestration.sensors import alert_sensor
from cja_pipeline.settings import get_settings
from cja_pipeline_tests.alerts.servers import WebhookServer, running


@pytest.fixture
def hook(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebhookServer]:
    with running(WebhookServer()) as server:
        monkeypatch.setenv("CJA_ALERT_WEBHOOK", server.url)
        get_settings.cache_clear()
        get_settings().prepare()
        yield server


def ended(instance: dg.DagsterInstance, status: dg.DagsterRunStatus) -> str:
    run = dg.DagsterRun(job_name=NIGHTLY, status=status)
    instance.add_run(run)
    return run.run_id


def test_each_end_of_a_night_is_looked_at_once(hook: WebhookServer) -> None:
    sensor = alert_sensor()
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance)
        failed = ended(instance, dg.DagsterRunStatus.FAILURE)
        for _ in range(3):
            sensor(context)
        assert context.cursor == failed
        assert [one["title"] for one in hook.received[0]["began"]] == [
            "nightly_refresh failed: before its first step"
        ]
        assert failed in hook.received[0]["began"][0]["link"]
        ended(instance, dg.DagsterRunStatus.STARTED)  # still running: nothing to say
        sensor(context)
        assert len(hook.received) == 1
        ended(instance, dg.DagsterRunStatus.SUCCESS)
        sensor(context)
        sensor(context)
        assert len(hook.received) == 2
        assert hook.received[1]["over"][0]["kind"] == "failure"
