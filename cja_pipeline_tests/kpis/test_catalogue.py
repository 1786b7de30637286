"""The catalogue: what is shipped holds together, and a faulty entry is named with file and line."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cja_pipeline.config import ConfigError
from cja_pipeline.journey_maps.build import build_journey_map
from cja_pipeline.kpis.catalogue import load_catalogue
from cja_pipeline.kpis.docs import catalogue_markdown
from cja_pipeline.kpis.explain import explain_kpi
from cja_pipeline.kpis.kpi_sources import load_sources
from cja_pipeline.kpis.kpi_values import build_kpi_values
from cja_pipeline.kpis.objectives import load_objectives
from cja_pipeline.settings import get_settings
from cja_pipeline.validated.gx import validate
from cja_pipeline.validated.suites import load_suite
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.kpis.shop_data import FIRST, fill

GOOD = """
stage: purchase
owner: team:web
kpis:
  - id: mobile_order_share
    label: Orders on phones
    description: Orders placed on a phone, per web order.
    kind: ratio
    source: orders
    where: sales_channel = 'web'
    numerator: device = 'mobile'
    denominator: "1"
    min_n: 1
    format: percent
    better: up
"""

Write = Callable[[str, str], Path]


@pytest.fixture
def override(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write a file of the override folder."""
    (tmp_path / "kpis").mkdir()
    monkeypatch.setenv("CJA_CONFIG", str(tmp_path))
    monkeypatch.setenv("CJA_HOME", str(tmp_path / "home"))
    get_settings.cache_clear()

    def put(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    yield put
    monkeypatch.undo()
    get_settings.cache_clear()


def fault(load: Callable[[], object] = load_catalogue) -> str:
    """What a load complains about. Keeping the error itself would keep its frames until the process ends."""
    try:
        load()
    except ConfigError as error:
        return str(error)
    return ""


def test_shipped_catalogue_is_whole() -> None:
    catalogue = load_catalogue()
    stages = {kpi.stage for kpi in catalogue}
    assert stages == {"awareness", "consideration", "purchase", "retention", "advocacy"}
    for kpi in catalogue:
        assert kpi.owner
        assert kpi.owner.startswith("team:")
        assert kpi.description.endswith(".")
        assert len(kpi.label) <= 34, kpi.id
        assert catalogue.tables(kpi)
        assert catalogue.grains(kpi)
    assert len({catalogue.definition_hash(kpi) for kpi in catalogue}) == len(catalogue.kpis)
    for source in load_sources().values():
        assert source.table in source.reads


def test_one_entry_adds_a_kpi_everywhere(override: Write) -> None:
    override("kpis/ours.yml", GOOD)
    with Warehouse(":memory:") as wh:
        tables = fill(wh, customers=60, days=20)
        build_kpi_values(wh)
        orders = tables["customers.orders"].merge(
            tables["customers.sessions"][["session_id", "device"]], on="session_id"
        )
        last = FIRST + dt.timedelta(days=19)
        receipt = explain_kpi(wh, "mobile_order_share", last, "rolling_28d")
        assert receipt.published["value"] == pytest.approx((orders["device"] == "mobile").mean())
        assert receipt.agrees
        assert wh.scalar("select label from kpis.kpi_catalogue where kpi_id = 'mobile_order_share'")
        assert wh.scalar("select count(*) from kpis.kpi_values where kpi_id = 'net_revenue'")
        page = build_journey_map(wh)
        figures = page[(page["section"] == "figure") & (page["item"] == "mobile_order_share")]
        everybody = figures[figures["segment"] == "all"].iloc[0]
        assert (everybody["label"], everybody["stage"]) == ("Orders on phones", "purchase")
        assert everybody["value"] == pytest.approx(receipt.published["value"])
        assert not missing_rows(wh)
        wh.execute("delete from kpis.kpi_values where kpi_id = 'mobile_order_share'")
        assert missing_rows(wh)
    catalogue = load_catalogue()
    assert "### Orders on phones (`mobile_order_share`)" in catalogue_markdown(catalogue)


def missing_rows(wh: Warehouse) -> bool:
    """Whether the check of the KPI table finds a KPI without rows."""
    suite = load_suite("kpis.kpi_values")
    assert suite is not None
    mine = [each for each in suite.expectations if each.code == "every_kpi_has_rows"]
    found = validate(wh, "kpis.kpi_values", mine, {})
    return not found["every_kpi_has_rows"]["success"]


@pytest.mark.parametrize(
    ("before", "after", "line", "says"),
    [
        ("device = 'mobile'", "devise = 'mobile'", 11, "devise"),
        ("source: orders", "source: ordres", 9, "expected one of the sources"),
        ("sales_channel = 'web'", "saleschannel = 'web'", 10, "saleschannel"),
        ("min_n: 1", "dimensions: [weather]", 13, "weather"),
        ("kind: ratio", "kind: rate", 8, "'ratio'"),
        ("better: up", "beter: up", 15, "unknown key"),
        ('denominator: "1"', 'denominator: "1; drop table x"', 12, "one SQL expression"),
        ('    denominator: "1"\n', "", 5, "needs denominator"),
        ("device = 'mobile'", "order_number > :window", 11, "window_days is required"),
    ],
)
def test_faults_name_file_and_line(override: Write, before: str, after: str, line: int, says: str) -> None:
    assert before in GOOD
    path = override("kpis/ours.yml", GOOD.replace(before, after))
    message = fault()
    assert f"{path}, line {line}: " in message
    assert says in message
    assert len(message.splitlines()) <= 3


def test_duplicates_and_broken_derivations_are_named(override: Write) -> None:
    path = override("kpis/ours.yml", GOOD.replace("mobile_order_share", "orders"))
    assert "declared again at" in fault()
    assert f"{path}, line 5" in fault()
    derived = GOOD.split("    kind:")[0] + (
        "    kind: derived\n    numerator: sessions\n    denominator: no_such_kpi\n"
        "    format: number\n    better: up\n"
    )
    path.write_text(derived, encoding="utf-8")
    _forget()
    assert "there is no KPI 'no_such_kpi'" in fault()
    path.write_text(derived.replace("no_such_kpi", "mobile_order_share"), encoding="utf-8")
    _forget()
    assert "made of itself" in fault()


def test_sources_and_objectives_are_checked(override: Write) -> None:
    path = override(
        "objectives.yml",
        "objectives:\n"
        "  - {objective: More, kpi: conversion_rat, target: 0.1, owner: web, effective_from: 2026-01-01}\n",
    )
    message = fault(load_objectives)
    assert "there is no KPI 'conversion_rat'" in message
    assert f"{path}, line 2: objectives.0.kpi" in message
    override(
        "kpi_sources.yml",
        "keep_days: {}\nsources:\n  visits:\n    description: x\n    table: customers.sessions\n"
        "    key: session_id\n    day: bizness_date\n",
    )
    _forget()
    assert "bizness_date" in fault()
    assert "kpi_sources.yml, line 3: sources.visits" in fault()


def test_definition_hash_follows_the_definition_only(override: Write) -> None:
    def hash_of(text: str) -> str:
        override("kpis/ours.yml", text)
        _forget()
        catalogue = load_catalogue()
        return catalogue.definition_hash(catalogue["mobile_order_share"])

    assert hash_of(GOOD) == hash_of(GOOD.replace("Orders on phones", "Orders on mobiles"))
    assert hash_of(GOOD) != hash_of(GOOD.replace("'mobile'", "'tablet'"))


def _forget() -> None:
    """Files of the same folder changed: read them again."""
    from cja_pipeline.kpis import catalogue, kpi_sources, objectives

    for module in (catalogue, kpi_sources, objectives):
        module._load.cache_clear()
