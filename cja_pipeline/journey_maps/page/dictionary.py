"""The data dictionary as one HTML file: key figures, tables and vendor fields, linked to each other."""

from __future__ import annotations

import re
from typing import Any

from cja_pipeline.config import shop
from cja_pipeline.journey_maps import dictionary as entries
from cja_pipeline.journey_maps.labels import Labels, load_labels
from cja_pipeline.journey_maps.lineage import Lineage, Origin, model_file
from cja_pipeline.journey_maps.page import palette
from cja_pipeline.tables import PACKAGE, TABLES, Table
from cja_pipeline.validated.streams import load_streams

Link = dict[str, str]
SOME, MANY = 8, 40  # vendor fields that are named one by one, beside a column and beside a key figure


def dictionary_page(lineage: Lineage, language: str, inputs: str) -> str:
    """The page in a language; names and meanings stand as they are declared.

    Args:
        inputs: hash of what the page is made from, kept in the page.
    """
    from cja_pipeline.journey_maps.page.render import POLICY, environment

    words = load_labels(language)
    tables = [_table(table, lineage, words) for table in entries.ordered_tables()]
    kpis = [_kpi(entry, words) for entry in entries.kpis(lineage)]
    streams = _streams(lineage)
    _drop_idle_anchors(tables, [*kpis, *(field for stream in streams for field in stream["fields"])])
    html = (
        environment()
        .get_template("dictionary.html.j2")
        .render(
            t=words,
            policy=POLICY,
            language=words.language,
            direction=words.direction,
            light=palette.variables(palette.LIGHT),
            dark=palette.variables(palette.DARK),
            shop=shop().name,
            inputs=inputs,
            kpis=kpis,
            published=[table for table in tables if table["published"]],
            kept=[table for table in tables if not table["published"]],
            streams=streams,
        )
    )
    return re.sub(r"\n\s*\n+", "\n", html)


def _drop_idle_anchors(tables: list[dict[str, Any]], others: list[dict[str, Any]]) -> None:
    """A column that no link leads to needs no anchor: they would be a tenth of the page."""
    columns = [column for table in tables for column in table["columns"]]
    links = [link for entry in (*columns, *others) for group in entry["sources"] for link in group["links"]]
    used = {link["anchor"] for link in links}
    for column in columns:
        if column["anchor"] not in used:
            column["anchor"] = ""


def _table(table: Table, lineage: Lineage, words: Labels) -> dict[str, Any]:
    model = model_file(table)
    name = table.published_name or table.full_name
    return {
        "name": name,
        "place": table.full_name,
        "published": table.published_name is not None,
        "description": table.description,
        "grain": table.grain,
        "key": ", ".join(table.key),
        "model": str(model.relative_to(PACKAGE.parent)) if model else "",
        "reads": [_table_link(other) for other in table.reads],
        "fields": _by_stream(lineage.behind(Origin(tables=tuple(table.reads))), words, SOME)
        if table.published_name
        else [],
        "columns": [_column(table, column, lineage, words) for column in table.columns],
    }


def _column(table: Table, column: str, lineage: Lineage, words: Labels) -> dict[str, Any]:
    spec = table.columns[column]
    full = f"{table.full_name}.{column}"
    origin = lineage.origins.get(full, Origin())
    refers = table.references.get(column)
    # what all columns have in common is told once, above them
    common = bool(table.reads) and origin == Origin(tables=tuple(table.reads))
    return {
        "name": column,
        "anchor": entries.public_name(full),
        "type": spec.type,
        "description": spec.description,
        "key": column in table.key,
        "pii": spec.pii,
        "refers": {"name": refers, "anchor": refers} if refers else None,
        "sources": [] if common else _sources(origin, words),
        "made_here": not common and origin == Origin(),
        # of the steps on the way only the next one is told: the links lead on
        "fields": _by_stream(lineage.roots(full), words, SOME) if table.published_name and not common else [],
    }


def _kpi(entry: dict[str, Any], words: Labels) -> dict[str, Any]:
    kpi, origin = entry["kpi"], entry["origin"]
    parts = [{"name": part, "anchor": f"kpi.{part}"} for part in entry["parts"]]
    return {
        "id": kpi.id,
        "name": words.name("kpi", kpi.id, kpi.label),
        "stage": words(f"stage.{kpi.stage}"),
        "description": kpi.description,
        "formula": entry["formula"],
        "owner": kpi.owner,
        "sources": _grouped(parts) if parts else _sources(origin, words),
        "fields": _by_stream(entry["roots"], words, MANY),
    }


def _sources(origin: Origin, words: Labels) -> list[dict[str, Any]]:
    """What a value comes from, as links inside the page; that it is rows of tables is told once."""
    links = [
        *(_column_link(column) for column in origin.columns),
        *({"name": entries.field_name(field), "anchor": _field_anchor(field)} for field in origin.fields),
    ]
    counted = [_table_link(table) for table in origin.tables]
    return _grouped(links) + ([{"table": words("dictionary.rows_of"), "links": counted}] if counted else [])


def _grouped(links: list[Link]) -> list[dict[str, Any]]:
    """Links to columns of one table under the table's name, which is then told once."""
    found: dict[str, list[Link]] = {}
    for link in links:
        table, dot, column = link["name"].rpartition(".")
        known = bool(dot) and link["anchor"] == link["name"]
        found.setdefault(table if known else "", []).append(
            link | {"name": column if known else link["name"]}
        )
    return [{"table": table, "links": several} for table, several in found.items()]


def _column_link(column: str) -> Link:
    name = entries.public_name(column)
    known = column.rpartition(".")[0] in TABLES
    return {"name": name, "anchor": name if known else ""}


def _table_link(table: str) -> Link:
    name = entries.public_table(table)
    return {"name": name, "anchor": name if table in TABLES else ""}


def _field_anchor(field: str) -> str:
    table, _, name = field.partition(":")
    return f"{load_streams()[table].stream}/{name.partition('[')[0]}"


def _by_stream(roots: Any, words: Labels, most: int) -> list[dict[str, str]]:
    """Vendor fields grouped by the stream they arrive in; of too many (an id made of everything that
    identifies somebody) only how many, the links lead to them."""
    found: dict[str, list[str]] = {}
    for root in sorted(roots):
        table, _, field = root.partition(":")
        found.setdefault(load_streams()[table].stream, []).append(field)
    brief = len(roots) > most
    return [
        {
            "stream": stream,
            "fields": words.count("dictionary.count", len(fields), str(len(fields)))
            if brief
            else ", ".join(field for field in fields if field != "*"),
        }
        for stream, fields in sorted(found.items())
    ]


def _streams(lineage: Lineage) -> list[dict[str, Any]]:
    """Every vendor field with the columns that it goes into first."""
    found: list[dict[str, Any]] = []
    for table, stream in load_streams().items():
        goes: dict[str, list[Link]] = {}
        for column, origin in lineage.origins.items():
            for field in origin.fields:
                owner, _, name = field.partition(":")
                if owner == table:
                    goes.setdefault(name, []).append(_column_link(column))
        anchors: set[str] = set()
        rows = []
        for name, links in sorted(goes.items()):
            anchor = _field_anchor(f"{table}:{name}")
            own = "" if anchor in anchors else anchor
            rows.append({"name": name, "anchor": own, "sources": _grouped(links)})
            anchors.add(anchor)
        found.append({"name": stream.stream, "fields": rows})
    return sorted(found, key=lambda one: str(one["name"]))
