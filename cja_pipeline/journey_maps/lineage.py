"""Where each column comes from: column by column from the SQL models, down to the fields of the vendors.

A column is named ``schema.table.column``, a vendor's field ``<table it fills>:<field path>``. The SQL models
and the mappings of room 2 are read by sqlglot; tables that Python makes say in their declaration what they
read (`reads`, `begins`, `made_of`). Only what a value is computed from counts: conditions of joins and
filters decide which rows there are and are not followed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from cja_pipeline.tables import PACKAGE, TABLES, Table
from cja_pipeline.validated.streams import load_streams

DIALECT = "duckdb"
PARSE = PACKAGE / "validated" / "parse"
LANDED = "landed"
META = ("_dt", "_source_file", "_source_row", "_landed_at")  # where a row came from
LOOKUPS = {"customers.channel_map"}  # small tables of names beside the configuration's own
_CONFIG_LOOKUPS = {"country_names": {"name": "VARCHAR", "code": "VARCHAR"}}
_LEAF = re.compile(r'^(?:"?[^".]+"?\.)?"?(.+?)"?$')


@dataclass(frozen=True)
class Origin:
    """What one column is computed from.

    `columns`: columns of other tables; `fields`: fields of a vendor's stream; `tables`: tables whose rows are
    counted or read as a whole, where no single column can be named.
    """

    columns: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()


@dataclass
class Lineage:
    """The origins of all declared columns, and what follows from them."""

    origins: dict[str, Origin]
    _roots: dict[str, frozenset[str]] = field(default_factory=dict)

    def roots(self, column: str) -> frozenset[str]:
        """The vendors' fields behind a column; a stream read as a whole is ``<table>:*``."""
        if column not in self._roots:
            self._roots[column] = frozenset()  # a table that reads its own last state ends here
            self._roots[column] = self.behind(self.origins.get(column, Origin()))
        return self._roots[column]

    def behind(self, origin: Origin) -> frozenset[str]:
        """The vendors' fields behind an origin."""
        found = set(origin.fields)
        for source in origin.columns:
            found |= self.roots(source)
        for table in origin.tables:
            found |= self._rows(table)
        exact = {root.partition(":")[0] for root in found if not root.endswith(":*")}
        return frozenset(root for root in found if not (root.endswith(":*") and root[:-2] in exact))

    def _rows(self, table: str) -> set[str]:
        """What tells the rows of a table apart: the fields behind its key."""
        if table not in TABLES:
            return set()
        found = {root for name in TABLES[table].key for root in self.roots(f"{table}.{name}")}
        if found:
            return found
        columns = {root for name in TABLES[table].columns for root in self.roots(f"{table}.{name}")}
        return {f"{root.partition(':')[0]}:*" for root in columns}


def load_lineage() -> Lineage:
    """The lineage of every declared table."""
    schema = _schema()
    origins: dict[str, Origin] = {}
    for table in TABLES.values():
        for column, origin in _table_origins(table, schema).items():
            origins[f"{table.full_name}.{column}"] = origin
    return Lineage(origins)


def model_file(table: Table) -> Path | None:
    """The SELECT that makes a table, or that Python goes on from; None where there is none."""
    if table.model_path.is_file():
        return table.model_path
    if table.begins:
        return PACKAGE / table.schema_name / table.begins
    parse = PARSE / f"{table.name}.sql"
    return parse if table.schema_name == "validated" and parse.is_file() else None


def select_origins(select: str, schema: Mapping[str, Any], stream: str | None = None) -> dict[str, Origin]:
    """The origins of the columns of one SELECT.

    Args:
        select: one statement in the dialect of the warehouse.
        schema: columns and their types by schema and table.
        stream: the table of room 2 whose fields stand in the relation ``raw``, if the SELECT reads it.
    """
    import sqlglot
    from sqlglot import exp
    from sqlglot.lineage import lineage

    tree = sqlglot.parse_one(select, dialect=DIALECT)
    known = dict(schema)
    if stream is not None:
        paths = field_paths(stream)
        tree = tree.transform(_as_field, frozenset(paths), copy=False)
        known = {
            LANDED: {"raw": dict.fromkeys([*paths, *META, "_record"], "VARCHAR")},
            "config": known["config"],
        }
        for relation in list(tree.find_all(exp.Table)):
            if relation.name == "raw" and not relation.db:
                relation.set("db", exp.to_identifier(LANDED))
    tree = tree.transform(_value_alone, copy=False)
    for inner in tree.find_all(exp.Select):
        _name_keys_of_lookups(inner)
        for place, part in enumerate(inner.expressions):  # a star over this SELECT needs its names
            if not isinstance(part, exp.Alias | exp.Column | exp.Star):
                part.replace(exp.alias_(part.copy(), f"unnamed_{place}"))
    ctes = {cte.alias for cte in tree.find_all(exp.CTE)}
    relations = [table for table in tree.find_all(exp.Table) if table.db and table.name not in ctes]
    read = tuple(sorted({_declared(f"{table.db}.{table.name}") for table in relations}))
    nodes = lineage(None, tree, known, dialect=DIALECT, trim_selects=False, copy=False)
    return {name: _origin(node, read, stream) for name, node in nodes.items()}


def kpi_origin(kpi: Any) -> Origin:
    """What a KPI of the catalogue is counted from: the columns that its expressions name, or rows."""
    import sqlglot
    from sqlglot import exp

    from cja_pipeline.kpis.kpi_sources import load_sources

    source = load_sources()[str(kpi.source)]
    found = _source_origins(str(kpi.source))
    names: dict[str, None] = {}
    for text in (kpi.numerator, kpi.denominator, kpi.where, source.where, kpi.duration):
        if text is not None:
            tree = sqlglot.parse_one(text.replace(":window", "0").replace(":age", "0"), dialect=DIALECT)
            names |= dict.fromkeys(column.name.lower() for column in tree.find_all(exp.Column))
    origins = [found[name] for name in names if name in found]
    columns = dict.fromkeys(column for origin in origins for column in origin.columns)
    tables = dict.fromkeys(table for origin in origins for table in origin.tables)
    if not columns and not tables:
        tables = {source.table: None}
    return Origin(columns=tuple(columns), tables=tuple(tables))


@lru_cache(maxsize=32)
def _source_origins(name: str) -> dict[str, Origin]:
    """The columns of a source of KPIs."""
    from cja_pipeline.kpis.kpi_sources import load_sources

    source = load_sources()[name]
    if source.model is None:
        return {
            column: Origin(columns=(f"{source.table}.{column}",)) for column in TABLES[source.table].columns
        }
    return select_origins(source.text.strip().removeprefix("(").removesuffix(")"), _schema())


def field_paths(stream: str) -> list[str]:
    """The vendor's fields that a stream declares, and the records above them, without list marks."""
    found: dict[str, None] = {}
    for path in load_streams()[stream].fields:
        steps = path.replace("[]", "").split(".")
        for length in range(1, len(steps) + 1):
            found[".".join(steps[:length])] = None
    return list(found)


def _as_field(node: Any, paths: frozenset[str]) -> Any:
    """``raw.properties.email`` is one column named ``properties.email`` of the relation ``raw``."""
    from sqlglot import exp

    if not isinstance(node, exp.Column | exp.Dot):
        return node
    steps = [part.name for part in node.parts]
    if len(steps) < 3 or not all(steps) or ".".join(steps[1:]) not in paths:
        return node
    return exp.column(exp.to_identifier(".".join(steps[1:]), quoted=True), table=steps[0])


def _value_alone(node: Any) -> Any:
    """What decides the order or the choice of rows is no part of a value, unless there is nothing else:
    ``max_by(x, t)`` is x, ``sum(x) over (order by t)`` is x, but ``count(*) filter (where e = 'a')`` is e."""
    from sqlglot import exp

    if isinstance(node, exp.ArgMax | exp.ArgMin | exp.Window | exp.Filter) and node.this.find(exp.Column):
        return node.this.transform(_value_alone, copy=False)
    return node


def _name_keys_of_lookups(select: Any) -> None:
    """Let what is looked up in a small table of the configuration also come from what it is looked up by."""
    from sqlglot import exp

    for join in select.args.get("joins") or ():
        table, condition = join.this, join.args.get("on")
        if not isinstance(table, exp.Table) or condition is None:
            continue
        if table.db != "config" and f"{table.db}.{table.name}" not in LOOKUPS:
            continue
        alias = table.alias_or_name
        keys = [column for column in condition.find_all(exp.Column) if column.table != alias]
        for column in [c for part in select.expressions for c in part.find_all(exp.Column)]:
            if keys and column.table == alias and column.find_ancestor(exp.Select) is select:
                looked_up = exp.func("looked_up", column.copy(), *(key.copy() for key in keys))
                alone = column.parent is select
                column.replace(exp.alias_(looked_up, column.name) if alone else looked_up)


def _origin(node: Any, read: tuple[str, ...], stream: str | None) -> Origin:
    """The leaves below a node: columns of tables, or fields of the stream."""
    from sqlglot import exp

    columns: dict[str, None] = {}
    fields: dict[str, None] = {}
    keys: dict[str, None] = {}
    for step in node.walk():
        keys |= dict.fromkeys(_list_keys(step.expression))
        if step.downstream or not isinstance(step.expression, exp.Table):
            continue
        match = _LEAF.match(step.name)
        name = match[1] if match else step.name
        if step.expression.db == LANDED:
            if name not in META and name != "_record":
                fields[name] = None
        elif name != "*":
            columns[f"{_declared(f'{step.expression.db}.{step.expression.name}')}.{name}"] = None
    found = tuple(f"{stream}:{_marked(name, str(stream), list(keys))}" for name in fields)
    real = tuple(sorted(name for name in columns if not name.startswith("config.")))
    tables = (
        () if columns or found else tuple(name for name in read if not name.startswith((LANDED, "config.")))
    )
    # in alphabetical order: that of the walk is another in each process
    return Origin(columns=real, fields=tuple(sorted({*found})), tables=tables)


def _list_keys(expression: Any) -> Iterator[str]:
    """Texts that a value is picked by out of a list of names and values."""
    from sqlglot import exp

    for bracket in expression.find_all(exp.Bracket):
        for index in bracket.expressions:
            yield from (text.this for text in index.find_all(exp.Literal) if text.is_string)
    for choice in expression.find_all(
        exp.Lambda
    ):  # list_filter(names_and_values, lambda m: m.name = 'reach')
        for equal in choice.this.find_all(exp.EQ):
            yield from (text.this for text in equal.find_all(exp.Literal) if text.is_string)


def _marked(name: str, stream: str, keys: list[str]) -> str:
    """The field as the vendor's documents write it: ``[]`` after lists, the key of the entry in brackets."""
    for path in load_streams()[stream].fields:
        plain = path.replace("[]", "")
        if plain.lower() == name:  # names lose their case on the way: SQL does not tell them apart
            return path
        if plain.lower().startswith(f"{name}.") and path[len(name) :].startswith("[]"):
            return f"{path[: len(name)]}[{', '.join(keys)}]"
    return name


def _declared(table: str) -> str:
    """A view of newest versions has the columns of the table behind it."""
    return table.removesuffix("_current") if table not in TABLES else table


def _table_origins(table: Table, schema: Mapping[str, Any]) -> dict[str, Origin]:
    path = model_file(table)
    found: dict[str, Origin] = {}
    if path is not None:
        stream = table.name if path.parent == PARSE else None
        found = select_origins(path.read_text(encoding="utf-8"), schema, stream)
    rest = Origin(tables=tuple(table.reads))
    return {
        name: Origin(columns=tuple(column.made_of)) if column.made_of else found.get(name, rest)
        for name, column in table.columns.items()
    }


def _schema() -> dict[str, dict[str, dict[str, str]]]:
    """Columns and types as sqlglot wants them, views of newest versions included."""
    found: dict[str, dict[str, dict[str, str]]] = {"config": dict(_CONFIG_LOOKUPS)}
    for table in TABLES.values():
        columns = {name: column.type for name, column in table.columns.items()}
        found.setdefault(table.schema_name, {})[table.name] = columns
        if table.schema_name == "validated":
            found["validated"][f"{table.name}_current"] = columns
    return found
