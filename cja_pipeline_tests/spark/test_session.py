"""What is told when Spark cannot be had; nothing of Spark is needed to see it."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest

from cja_pipeline.doctor.finding import Place
from cja_pipeline.doctor.machine import machine_findings
from cja_pipeline.settings import Settings
from cja_pipeline.spark.session import SparkUnavailableError, cluster, master_of


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if pyspark and Java were there."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setenv("JAVA_HOME", "/somewhere")


def test_masters_are_named_as_spark_names_them():
    assert master_of("spark://local[2]") == "local[2]"
    assert master_of("spark://yarn") == "yarn"
    assert master_of("spark://k8s://https://host:443") == "k8s://https://host:443"
    assert master_of("spark://host:7077") == "spark://host:7077"


def test_without_pyspark_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SparkUnavailableError, match=r"pip install 'cja_pipeline\[spark\]'"):
        cluster("spark://local[1]", tmp_path)


def test_without_java_it_is_said(installed: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(SparkUnavailableError, match="there is no Java"):
        cluster("spark://local[1]", tmp_path)


@pytest.mark.parametrize("url", ["spark://127.0.0.1:9", "sc://127.0.0.1:9"])
def test_a_cluster_that_does_not_answer_is_named(installed: None, tmp_path: Path, url: str):
    with pytest.raises(SparkUnavailableError, match=r"127\.0\.0\.1:9, but nobody answers"):
        cluster(url, tmp_path)


def test_a_token_of_spark_connect_is_told_nobody(installed: None, tmp_path: Path):
    with pytest.raises(SparkUnavailableError, match="nobody answers") as refused:
        cluster("sc://127.0.0.1:9/;token=s3cret;use_ssl=true", tmp_path)
    assert "s3cret" not in str(refused.value)


def test_the_doctor_says_it(installed: None, home: Path):
    settings = Settings(home=home, warehouse="spark://127.0.0.1:9")
    found = {one.name: one for one in machine_findings(Place(settings, night_running=False))}
    assert found["spark"].state == "problem"
    assert "nobody answers" in found["spark"].words
    local = Settings(home=home, warehouse="spark://local[1]")
    found = {one.name: one for one in machine_findings(Place(local, night_running=False))}
    assert found["spark"].state == "ok"
