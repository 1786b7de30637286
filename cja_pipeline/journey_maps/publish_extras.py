"""What makes the published tables pleasant for a BI tool: foreign keys that hold, views in plain words."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection

import sqlalchemy as sa

from cja_pipeline.tables import Table
from cja_pipeline.warehouse import Warehouse

MEANING = {
    "v_scorecard": "The key figures with their definition, figures also as text in their unit.",
    "v_journey_map": "The journey map of every customer group, figures also as text in their unit.",
}


def references(warehouse: Warehouse, published: dict[str, Table]) -> dict[str, dict[str, str]]:
    """The declared references between published tables that hold tonight: column -> table, per table.

    One that does not hold is left out, so that a loose end upstream does not cost the night's figures.
    """
    found: dict[str, dict[str, str]] = {}
    for name, table in published.items():
        for column, other in table.references.items():
            target = published.get(other)
            if target is None or not all(warehouse.exists(t.full_name) for t in (table, target)):
                continue
            key = target.key[0]
            loose = warehouse.scalar(
                f"SELECT count(*) FROM {table.full_name} AS a ANTI JOIN {target.full_name} AS b "
                f'ON a."{column}" = b."{key}" WHERE a."{column}" IS NOT NULL'
            )
            if not loose:
                found.setdefault(name, {})[column] = other
    return found


def drop_keys(connection: sa.Connection, targets: dict[str, sa.Table], outdated: set[str]) -> None:
    """On PostgreSQL, drop foreign keys that no longer hold, or all before `outdated` tables are altered or
    dropped. SQLite has them in its CREATE TABLE."""
    for name, present in _present_keys(connection, targets.keys() | outdated).items():
        wanted = set() if outdated else {key.name for key in targets[name].foreign_key_constraints}
        for key in present - wanted:
            connection.exec_driver_sql(f'ALTER TABLE "{name}" DROP CONSTRAINT "{key}"')


def add_keys(connection: sa.Connection, targets: dict[str, sa.Table]) -> None:
    """On PostgreSQL, add the foreign keys that are missing, once all rows are there."""
    for name, present in _present_keys(connection, targets.keys()).items():
        for key in targets[name].foreign_key_constraints:
            if key.name not in present:
                # a table with checks that wait for the end of the transaction cannot be altered
                connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
                connection.execute(sa.schema.AddConstraint(key, isolate_from_table=False))


def _present_keys(connection: sa.Connection, tables: Collection[str]) -> dict[str, set[str]]:
    """Names of the foreign keys that a PostgreSQL database has, by table; nothing elsewhere."""
    if connection.dialect.name != "postgresql":
        return {}
    inspector = sa.inspect(connection)
    present = [name for name in tables if inspector.has_table(name)]
    return {name: {str(key["name"]) for key in inspector.get_foreign_keys(name)} for name in present}


def view_texts(dialect: str, tables: set[str]) -> dict[str, str]:
    """The queries of the views whose tables are published."""
    texts = _Texts(dialect)
    return {name: make(texts) for name, (reads, make) in _views().items() if reads <= tables}


def outdated_views(dialect: str, known: dict[str, str], tables: set[str], changed: set[str]) -> list[str]:
    """The views that must go before tables are altered: their query is not the one of `known` (name and
    hash), or a table they read has changed. The others stay, with what people built on them.

    On SQLite all go: a view holds nothing there, and everybody's views find the new one by its name.
    """
    texts, reads = view_texts(dialect, tables), {name: tables for name, (tables, _) in _views().items()}
    return [
        name
        for name in reads
        if dialect == "sqlite" or known.get(name) != view_hash(texts.get(name, "")) or reads[name] & changed
    ]


def create_view(connection: sa.Connection, name: str, text: str) -> None:
    """Create a view, with a word on what it is where the database keeps one."""
    connection.execute(sa.text(f'CREATE VIEW "{name}" AS {text}'.replace(":", "\\:")))
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"COMMENT ON VIEW \"{name}\" IS '{MEANING[name]}'")


def view_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class _Texts:
    """Figures as text in the SQL of SQLite or PostgreSQL."""

    def __init__(self, dialect: str) -> None:
        self.postgres = dialect == "postgresql"

    def fixed(self, value: str, digits: int) -> str:
        if self.postgres:
            shape = "FM999999999999990" + ("." + "0" * digits if digits else "")
            return f"to_char(round(cast({value} as numeric), {digits}), '{shape}')"
        return f"printf('%.{digits}f', {value})"

    def figure(self, value: str, unit: str = "unit", currency: str = "currency") -> str:
        """A figure in its unit: ``4.12 %``, ``EUR 1234``, ``3.5 days``, ``1520``."""
        amount = f"CASE WHEN abs({value}) < 1000 THEN {self.fixed(value, 2)} ELSE {self.fixed(value, 0)} END"
        return (
            f"CASE WHEN {value} IS NULL THEN NULL "
            f"WHEN {unit} IN ('share', 'percent') THEN {self.fixed(f'100 * {value}', 2)} || ' %' "
            f"WHEN {unit} = 'money' THEN coalesce({currency}, '') || ' ' || ({amount}) "
            f"WHEN {unit} = 'seconds' THEN {self.fixed(value, 0)} || ' s' "
            f"WHEN {unit} IN ('days', 'duration') THEN {self.fixed(value, 1)} || ' days' "
            f"WHEN {unit} = 'count' OR {value} = round({value}) THEN {self.fixed(value, 0)} "
            f"ELSE {self.fixed(value, 2)} END"
        )


def scorecard_view(texts: _Texts) -> str:
    """The key figures with their definition, one row each, figures also as text in their unit."""
    return (
        "SELECT s.position, s.kpi_id, s.label AS kpi, s.stage, "
        f"{texts.figure('s.value', 's.unit', 's.currency')} AS value_text, "
        f"{texts.figure('s.previous', 's.unit', 's.currency')} AS previous_text, "
        f"{texts.figure('s.target', 's.unit', 's.currency')} AS target_text, "
        f"{texts.figure('s.low', 's.unit', 's.currency')} AS low_text, "
        f"{texts.figure('s.high', 's.unit', 's.currency')} AS high_text, "
        "CASE s.status WHEN 'on' THEN 'on target' WHEN 'near' THEN 'near target' "
        "WHEN 'off' THEN 'off target' WHEN 'doubtful' THEN 'model refuted' "
        "WHEN 'no_data' THEN 'no data' ELSE 'no target' END AS status_text, "
        "CASE WHEN s.change IS NULL OR s.change = 0 THEN 'unchanged' "
        "WHEN (s.change > 0) = (s.better = 'up') THEN 'better' ELSE 'worse' END AS direction, "
        "s.value, s.previous, s.change, s.target, s.low, s.high, s.n, s.n_unit, s.unit, s.currency, "
        "s.status, s.null_reason, s.period_start, s.period_end, k.description AS definition, "
        "k.formula, k.owner "
        "FROM scorecard AS s LEFT JOIN kpi_catalogue AS k ON k.kpi_id = s.kpi_id"
    )


def journey_map_view(texts: _Texts) -> str:
    """The map's figures for every customer group, without its technical rows, figures also as text."""
    return (
        "SELECT segment, CASE stage WHEN 'awareness' THEN 1 WHEN 'consideration' THEN 2 "
        "WHEN 'purchase' THEN 3 WHEN 'retention' THEN 4 WHEN 'advocacy' THEN 5 END AS stage_order, "
        "nullif(stage, '') AS stage, section, position, item, coalesce(nullif(label, ''), item) AS label, "
        "nullif(text, '') AS description, "
        f"{texts.figure('value')} AS value_text, {texts.figure('low')} AS low_text, "
        f"{texts.figure('high')} AS high_text, {texts.figure('target')} AS target_text, "
        f"{texts.figure('previous')} AS previous_text, "
        "value, low, high, n, share, target, previous, nullif(unit, '') AS unit, "
        "nullif(currency, '') AS currency, nullif(status, '') AS status, nullif(evidence, '') AS evidence, "
        "nullif(owner, '') AS owner, "
        "period_start, period_end FROM journey_map WHERE section <> 'header'"
    )


def _views() -> dict[str, tuple[set[str], Callable[[_Texts], str]]]:
    """Each view: the tables it reads, and how its query is made."""
    return {
        "v_scorecard": ({"scorecard", "kpi_catalogue"}, scorecard_view),
        "v_journey_map": ({"journey_map"}, journey_map_view),
    }
