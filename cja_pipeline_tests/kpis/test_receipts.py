"""Receipts of every KPI in every slice, and the document of the catalogue."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

import cja_pipeline
from cja_pipeline.cli import main
from cja_pipeline.kpis.catalogue import load_catalogue
from cja_pipeline.kpis.describe import interval_of, unit_of
from cja_pipeline.kpis.docs import catalogue_markdown
from cja_pipeline.kpis.explain import NoSuchNumberError, explain_kpi
from cja_pipeline.kpis.kpi_values import build_kpi_values
from cja_pipeline.kpis.objectives import load_objectives
from cja_pipeline.kpis.receipt_text import save_rows, sections
from cja_pipeline.settings import get_settings
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.kpis.shop_data import fill

DOCUMENT = Path(cja_pipeline.__file__).parent / "docs" / "kpis.md"


def largest_slices(values: pd.DataFrame) -> pd.DataFrame:
    """Of every KPI the newest month-like period, as a whole and the largest slice of every dimension."""
    rows = values[values["grain"].isin(["rolling_28d", "month"])]
    newest = rows[rows["period_start"] == rows.groupby(["kpi_id", "grain"])["period_start"].transform("max")]
    newest = newest.sort_values(["kpi_id", "grain", "dimension", "n", "dimension_value"])
    latest = newest.drop_duplicates(["kpi_id", "grain", "dimension"], keep="last")
    # the month stands in where there is no 28-day figure
    return latest.sort_values("grain").drop_duplicates(["kpi_id", "dimension"], keep="last")


@pytest.mark.slow
def test_every_kpi_has_a_receipt_in_every_slice(random_shop) -> None:  # type: ignore[no-untyped-def]
    wh, _, values = random_shop
    catalogue = load_catalogue()
    chosen = largest_slices(values)
    assert set(chosen["kpi_id"]) == set(catalogue.kpis)
    with_value = 0
    for row in chosen.itertuples():
        receipt = explain_kpi(
            wh, row.kpi_id, row.period_start.date(), row.grain, row.dimension, row.dimension_value
        )
        place = (row.kpi_id, row.dimension, row.dimension_value)
        assert receipt.agrees, (place, receipt.published, receipt.recomputed)
        assert receipt.definition["unit"], place
        assert receipt.definition["interval"], place
        assert receipt.tables, place
        assert receipt.sql, place
        if row.value == row.value and not receipt.parts:
            with_value += 1
            assert row.value == 0 or len(receipt.rows), place
            assert receipt.rows["kpi_row"].is_unique, place
    assert with_value > 150


def test_a_wrong_number_is_noticed(warehouse: Warehouse) -> None:
    fill(warehouse, customers=60, days=30)
    build_kpi_values(warehouse)
    assert explain_kpi(warehouse, "orders", grain="rolling_28d").agrees
    warehouse.execute("UPDATE kpis.kpi_values SET value = value + 1 WHERE kpi_id = 'orders'")
    assert not explain_kpi(warehouse, "orders", grain="rolling_28d").agrees
    # and so is a row that is gone since
    warehouse.execute("UPDATE kpis.kpi_values SET value = value - 1 WHERE kpi_id = 'orders'")
    warehouse.execute(
        "DELETE FROM customers.orders WHERE order_id = (SELECT max(order_id) FROM customers.orders)"
    )
    assert not explain_kpi(warehouse, "orders", grain="rolling_28d").agrees


def test_a_receipt_in_words(warehouse: Warehouse, tmp_path: Path) -> None:
    fill(warehouse, customers=60, days=30)
    build_kpi_values(warehouse)
    receipt = explain_kpi(warehouse, "tickets_per_100_orders", grain="rolling_28d")
    text = "\n".join(line for title, lines in sections(receipt) for line in (title, *lines))
    assert text.startswith("Tickets per 100 orders, ")
    assert "100 x (is_ticket) / (not is_ticket)" in text
    assert "None" not in text
    assert "agrees with the published value" in text
    # a KPI made of a KPI made of others: the rows are those at the bottom, and they give its parts again
    receipt = explain_kpi(warehouse, "clv_to_cac", grain="rolling_28d")
    count = save_rows(receipt, tmp_path / "rows.csv")
    rows = pd.read_csv(tmp_path / "rows.csv")
    assert len(rows) == count
    new = rows[rows["kpi_id"] == "new_customers"]["numerator"].sum()
    assert new == explain_kpi(warehouse, "new_customers", grain="rolling_28d").published["value"] > 0
    assert "acquisition_costs" in set(rows["kpi_id"])
    with pytest.raises(NoSuchNumberError, match="country only by week, month, rolling_28d"):
        explain_kpi(warehouse, "visitors", grain="day", dimension="country", dimension_value="DE")


def test_a_source_that_is_not_there_has_an_empty_receipt(warehouse: Warehouse) -> None:
    fill(warehouse, customers=60, days=30)
    warehouse.execute("DROP TABLE customers.media")
    build_kpi_values(warehouse)
    receipt = explain_kpi(warehouse, "impressions", grain="rolling_28d")
    assert receipt.agrees
    assert receipt.rows.empty
    assert receipt.published["null_reason"] == "incomplete"
    assert not receipt.tables[0]["rows"]


def test_units_and_intervals_are_those_of_the_published_rows(random_shop) -> None:  # type: ignore[no-untyped-def]
    _, _, values = random_shop
    catalogue = load_catalogue()
    for kpi_id, rows in values[values["ci_method"].notna()].groupby("kpi_id"):
        assert set(rows["ci_method"]) == {interval_of(catalogue[kpi_id])}, kpi_id
    known = values[(values["kpi_id"] == "sessions") & (values["grain"] == "rolling_28d")]
    assert unit_of(catalogue["sessions"]) == "customer"
    assert (known["n"] <= known["numerator"]).all()


def test_what_is_withheld_from_the_published_table_is_in_no_receipt(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    fill(warehouse, customers=60, days=30)
    build_kpi_values(warehouse)
    where = warehouse.sql(
        "SELECT kpi_id, period_start, grain, dimension, dimension_value FROM kpis.kpi_values "
        "WHERE null_reason = 'suppressed_small_n' AND kpi_id = 'conversion_rate' AND numerator > 0 LIMIT 1"
    ).fetchall()[0]
    receipt = explain_kpi(warehouse, *where)
    assert receipt.agrees
    assert receipt.published["n"] > 0
    told = receipt.as_dict(public=True)
    for name in ("value", "numerator", "denominator"):
        assert told["published"][name] is None
    assert told["published"]["null_reason"] == "suppressed_small_n"
    assert (told["row_count"], told["rows"], told["recomputed"]) == (None, [], None)
    text = "\n".join(line for title, lines in sections(receipt) for line in (title, *lines))
    assert "no value (suppressed_small_n)" in text
    assert "numerator  " not in text
    assert f"{len(receipt.rows):,} rows" not in text.partition("\nRows\n")[2]
    assert not [row for row in receipt.rows["kpi_row"] if str(row) in text]
    with pytest.raises(NoSuchNumberError, match="withheld"):
        save_rows(receipt, tmp_path / "rows.csv")
    assert not (tmp_path / "rows.csv").exists()


def test_receipts_name_checks_and_run(night: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CJA_HOME", str(night))
    get_settings.cache_clear()
    command = [
        "explain",
        "kpi",
        "conversion_rate",
        "--grain",
        "rolling_28d",
        "--slice",
        "device=mobile",
        "--json",
    ]
    result = CliRunner().invoke(main, command)
    missing = CliRunner().invoke(main, ["explain", "kpi", "conversion_rate", "--slice", "device=fridge"])
    unknown = CliRunner().invoke(main, ["explain", "kpi", "conversionrate"])
    get_settings.cache_clear()
    assert result.exit_code == 0, result.output
    receipt = json.loads(result.output)
    assert receipt["agrees"] is True
    assert receipt["published"]["dimension_value"] == "mobile"
    sessions = next(table for table in receipt["tables"] if table["table"] == "customers.sessions")
    assert sessions["checks"] > 0
    assert sessions["checks_failed"] == 0
    assert sessions["run_id"]
    assert (missing.exit_code, unknown.exit_code) == (1, 1)
    assert "it is split by" in missing.output
    assert "there are:" in unknown.output


def test_the_document_is_that_of_the_catalogue() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text == catalogue_markdown(load_catalogue()), (
        "run: cja kpis --markdown > cja_pipeline/docs/kpis.md"
    )
    for kpi in load_catalogue():
        assert f"(`{kpi.id}`)" in text
    assert text.count("- Target") == len(load_objectives())


@pytest.fixture
def ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder of settings with one KPI more."""
    (tmp_path / "kpis").mkdir()
    (tmp_path / "kpis" / "ours.yml").write_text(
        "stage: purchase\nowner: team:web\nkpis:\n  - id: tablet_order_share\n    label: Orders on tablets\n"
        "    description: Orders placed on a tablet, per web order.\n    kind: ratio\n    source: orders\n"
        "    where: sales_channel = 'web'\n    numerator: device = 'tablet'\n    denominator: '1'\n"
        "    format: percent\n    better: up\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("CJA_CONFIG", str(tmp_path))
    get_settings.cache_clear()
    yield
    monkeypatch.undo()
    get_settings.cache_clear()


@pytest.mark.usefixtures("ours")
def test_one_more_entry_is_in_the_document_and_on_the_command_line() -> None:
    shown = CliRunner().invoke(main, ["kpis", "tablet_order_share", "--json"])
    assert json.loads(shown.output)["owner"] == "team:web"
    listed = json.loads(CliRunner().invoke(main, ["kpis", "--json"]).output)
    assert {"tablet_order_share", "orders"} <= {row["kpi"] for row in listed}
    text = CliRunner().invoke(main, ["kpis", "--markdown"]).output
    assert "### Orders on tablets (`tablet_order_share`)" in text
    assert "- Interval: wilson_clustered" in text
    assert CliRunner().invoke(main, ["kpis", "nothing"]).exit_code == 2
