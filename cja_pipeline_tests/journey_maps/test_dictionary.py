"""The dictionary: lineage that is known by hand, a page whose links all lead somewhere, a table to read."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from cja_pipeline.journey_maps.dictionary import build_dictionary, kpis, write_dictionary
from cja_pipeline.journey_maps.labels import load_labels
from cja_pipeline.journey_maps.lineage import Lineage, load_lineage, select_origins
from cja_pipeline.journey_maps.page.dictionary import dictionary_page
from cja_pipeline.tables import TABLES
from cja_pipeline.warehouse import Warehouse
from cja_pipeline_tests.journey_maps.test_page import Reader

SCHEMA = {
    "config": {"names": {"code": "VARCHAR", "name": "VARCHAR"}},
    "room": {
        "a": {"id": "VARCHAR", "x": "DOUBLE", "at": "TIMESTAMP", "land": "VARCHAR"},
        "b": {"id": "VARCHAR", "y": "DOUBLE"},
    },
}


@pytest.fixture(scope="module")
def lineage() -> Lineage:
    return load_lineage()


@pytest.mark.parametrize(
    ("select", "columns", "tables"),
    [
        ("SELECT a.x + b.y AS v FROM room.a JOIN room.b ON b.id = a.id", {"room.a.x", "room.b.y"}, ()),
        ("WITH c AS (SELECT x AS z FROM room.a) SELECT max(z) AS v FROM c", {"room.a.x"}, ()),
        ("SELECT max_by(x, at) AS v FROM room.a", {"room.a.x"}, ()),
        ("SELECT sum(x) OVER (PARTITION BY id ORDER BY at) AS v FROM room.a", {"room.a.x"}, ()),
        ("SELECT x AS v FROM room.a UNION ALL SELECT y FROM room.b", {"room.a.x", "room.b.y"}, ()),
        ("SELECT count(*) AS v FROM room.a WHERE x > 1", set(), ("room.a",)),
        ("SELECT count(*) FILTER (WHERE x > 1) AS v FROM room.a", {"room.a.x"}, ()),
        ("SELECT n.name AS v FROM room.a JOIN config.names n ON n.code = a.land", {"room.a.land"}, ()),
    ],
)
def test_origins_of_a_select(select: str, columns: set[str], tables: tuple[str, ...]) -> None:
    found = select_origins(select, SCHEMA)["v"]
    assert set(found.columns) == columns
    assert found.tables == tables


@pytest.mark.parametrize(
    ("column", "roots"),
    [
        ("validated.contacts.email", {"contacts:properties.email"}),
        ("validated.web_events.device", {"web_events:device.category"}),
        ("validated.web_events.page_url", {"web_events:event_params[page_location]"}),
        ("validated.web_events.country", {"web_events:geo.country"}),
        ("validated.ad_insights.spend", {"ad_insights:spend"}),
        ("customers.sessions.landing_page", {"web_events:event_params[page_location]"}),
        ("journey_maps.customers.language", {"contacts:properties.hs_language"}),
    ],
)
def test_vendor_fields_behind_a_column(lineage: Lineage, column: str, roots: set[str]) -> None:
    assert lineage.roots(column) == roots


def test_every_column_of_a_model_has_an_origin_and_every_origin_exists(lineage: Lineage) -> None:
    for table in TABLES.values():
        for column in table.columns:
            origin = lineage.origins[f"{table.full_name}.{column}"]
            for source in origin.columns:
                place, _, name = source.rpartition(".")
                assert place in TABLES, (table.full_name, column, source)
                assert name in TABLES[place].columns, (table.full_name, column, source)
    for column in ("channel", "campaign", "stage", "value", "customer_id", "touchpoint_type"):
        assert lineage.roots(f"customers.touchpoints.{column}"), column


def test_what_declarations_name_exists() -> None:
    published = TABLES.published()
    for table in TABLES.values():
        assert all(other in TABLES for other in table.reads), table.full_name
        assert set(table.references) <= set(table.columns)
        assert all(len(published[other].key) == 1 for other in table.references.values())
        for column in table.columns.values():
            for source in column.made_of:
                place, _, name = source.rpartition(".")
                assert name in TABLES[place].columns, source


def test_every_kpi_leads_to_a_vendor(lineage: Lineage) -> None:
    found = {entry["kpi"].id: entry for entry in kpis(lineage)}
    assert all(entry["roots"] for entry in found.values())
    assert found["media_spend"]["roots"] == {"ad_insights:spend"}
    assert found["net_promoter_score"]["origin"].columns[0] == "customers.feedback.score"
    assert "surveys:properties.hs_value" in found["net_promoter_score"]["roots"]
    parts = found["customer_acquisition_cost"]
    assert parts["parts"] == ["acquisition_costs", "new_customers"]
    assert "ad_insights:spend" in parts["roots"]


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_page_is_whole_and_its_links_lead_somewhere(lineage: Lineage, language: str) -> None:
    html = dictionary_page(lineage, language, "inputs")
    reader = Reader(html)
    assert not reader.stack
    assert not {tag for tag, _ in reader.elements} & {"script", "img", "iframe", "link", "form"}
    ids = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {str(attributes["href"]) for _, attributes in reader.elements if "href" in attributes}
    assert {target[1:] for target in targets if target.startswith("#")} <= set(ids)
    outward = {target for target in targets if not target.startswith("#")}
    assert outward == {"journey_map.html", "processing.html"}
    assert {"touchpoints.channel", "customers.nowhere"} & set(ids) == {"touchpoints.channel"}
    for table in TABLES.values():
        assert (table.published_name or table.full_name) in ids
    assert load_labels(language)("dictionary.title") in html
    assert len(html.encode()) < 470_000


def test_the_page_is_written_once_per_declaration(tmp_path: Path) -> None:
    path = write_dictionary(tmp_path, "en")
    first = path.stat().st_mtime_ns
    assert write_dictionary(tmp_path, "en").stat().st_mtime_ns == first
    assert write_dictionary(tmp_path, "de").stat().st_mtime_ns != first
    assert re.search(r'<html lang="de"', path.read_text(encoding="utf-8"))


def test_the_table_has_every_published_column_and_no_personal_one(warehouse: Warehouse) -> None:
    rows = build_dictionary(warehouse)
    expected = sum(not spec.pii for t in TABLES.published().values() for spec in t.columns.values())
    assert rows == expected
    found = warehouse.sql(
        "SELECT comes_from, vendor_fields FROM journey_maps.data_dictionary "
        "WHERE table_name = 'sessions' AND column_name = 'landing_page'"
    ).fetchall()
    assert found == [("customers.web_activity.page_path", "ga4/events event_params[page_location]")]
    warehouse.execute("DELETE FROM journey_maps.data_dictionary WHERE table_name <> 'sessions'")
    assert build_dictionary(warehouse) < expected  # declarations are the same: nothing is done again


class Rows(HTMLParser):
    """The links in each row and card that has an anchor."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: dict[str, list[str]] = {}
        self.here: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag in ("tr", "section"):
            self.here.append(found.get("id") or "")
        if tag == "a" and str(found.get("href")).startswith("#"):
            for place in filter(None, self.here):
                self.links.setdefault(place, []).append(str(found["href"])[1:])

    def handle_endtag(self, tag: str) -> None:
        if tag in ("tr", "section") and self.here:
            self.here.pop()


@pytest.mark.parametrize(
    ("kpi", "field"),
    [
        ("conversion_rate", "ga4/events/ecommerce.transaction_id"),
        ("net_revenue", "hubspot/orders/properties.hs_total_price"),
        ("customer_acquisition_cost", "meta/insights/spend"),
        ("net_promoter_score", "hubspot/feedback_submissions/properties.hs_value"),
        ("impressions", "meta/insights/impressions"),
        ("engagement_rate", "ga4/events/event_params"),
    ],
)
def test_a_reader_can_walk_from_a_key_figure_to_the_vendors_field(
    lineage: Lineage, kpi: str, field: str
) -> None:
    """By clicking alone: from the entry of the KPI over the columns to the field of the vendor."""
    links = Rows(dictionary_page(lineage, "en", "inputs")).links
    seen = {f"kpi.{kpi}"}
    front = [f"kpi.{kpi}"]
    for _ in range(12):
        front = [to for place in front for to in links.get(place, []) if to not in seen]
        seen |= set(front)
    assert field in seen
