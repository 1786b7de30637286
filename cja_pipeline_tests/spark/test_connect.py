"""A whole night through a Spark Connect server ends in the published tables of the DuckDB night."""

from __future__ import annotations

import datetime as dt
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cja_pipeline.simulator.ensure import ensure_world
from cja_pipeline_tests.conftest import START
from cja_pipeline_tests.test_nightly import assert_same, tables

pytestmark = [pytest.mark.slow, pytest.mark.spark]
CUSTOMERS, DAYS, PATIENCE_SECONDS = 200, 14, 120


@pytest.fixture(scope="module")
def server(java: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Spark Connect server in a process of its own, as a cluster would have one."""
    import pyspark
    from splink.internals.spark.jar_location import similarity_jar_location

    folder = tmp_path_factory.mktemp("connect")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": port,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.jars": similarity_jar_location(),
        "spark.sql.shuffle.partitions": 2,
        "spark.sql.warehouse.dir": folder,
        "spark.ui.enabled": "false",
    }
    options = [word for key, value in settings.items() for word in ("--conf", f"{key}={value}")]
    submit = str(Path(pyspark.__file__).parent / "bin" / "spark-submit")
    service = "org.apache.spark.sql.connect.service.SparkConnectServer"
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [submit, "--class", service, "--master", "local[2]", *options, "spark-internal"],
            env=os.environ | {"SPARK_LOCAL_IP": "127.0.0.1"},
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    try:
        _wait_for(port, process, folder / "log")
        yield f"sc://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while process.poll() is None and time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.5)
        else:
            return
    pytest.fail(f"the server did not start: {log.read_text()[-2000:]}")


def test_a_night_through_spark_connect_publishes_what_the_duckdb_night_does(server: str, tmp_path: Path):
    duckdb, connect = tmp_path / "duckdb", tmp_path / "connect"
    _night(duckdb, {})
    _night(connect, {"CJA_WAREHOUSE": server})
    assert_same(tables(duckdb), tables(connect))
    assert list((connect / "lake" / "customers" / "touchpoints").rglob("*.parquet"))
    assert not (duckdb / "lake").exists()


def _night(home: Path, settings: dict[str, str]) -> None:
    """The nightly job in a process of its own: one that has a local Spark cannot have a remote one."""
    ensure_world(home / "world", customers=CUSTOMERS, days=DAYS, seed=7, start=START)
    others = {key: value for key, value in os.environ.items() if not key.startswith(("CJA_", "DAGSTER_"))}
    own = {"CJA_HOME": str(home), "CJA_SECRET_KEY": "key-of-the-tests", **settings}
    last = START + dt.timedelta(days=DAYS - 1)
    subprocess.run(
        [sys.executable, "-m", "cja_pipeline.cli", "run", "--from", str(START), "--to", str(last)],
        env=others | own,
        check=True,
        stdout=subprocess.DEVNULL,
    )
