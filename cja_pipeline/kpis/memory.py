"""The memory of what nights counted: versions of rows, whole numbers, and the definitions behind them.

Every row is kept as long as a night counts it so; one that changes gets a new version, and the old one stays
until the night after. So the state of the night before can be had again, whatever was run since.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from cja_pipeline.config import config_path
from cja_pipeline.kpis.countings import Counting, digest
from cja_pipeline.tables import PACKAGE
from cja_pipeline.warehouse import Warehouse

TABLES = (
    "kpis.counted_rows", "kpis.counted_values", "kpis.counted_by", "kpis.restatements", "kpis.restated_rows",
)  # fmt: skip
# what the rows of the customer view depend on besides the data; identities have reasons of their own
RULES = (
    "channels.yml", "ga4_source_categories.csv", "journeys.yml", "sentiment.yml", "shop.yml", "stages.yml",
    "touchpoints.yml",
)  # fmt: skip
AGE = ":age"


class Known(NamedTuple):
    """What the night before counted of a source: its measures, and the days of its rows."""

    measures: list[str]
    since: dt.date
    last: dt.date

    @classmethod
    def of(cls, content: dict[str, Any], age: str) -> Known:
        """As it was noted; `age` counts up to tonight."""
        measures = [text.replace(AGE, age) for text in content["measures"]]
        return cls(measures, *(dt.date.fromisoformat(content[day]) for day in ("since", "last")))

    @staticmethod
    def noted(counting: Counting, age: str) -> dict[str, Any]:
        measures = [text.replace(age, AGE) for text in counting.measures]
        return {"measures": measures, "since": counting.since.isoformat(), "last": counting.last.isoformat()}


class Definition(NamedTuple):
    fingerprint: str
    content: Any


@dataclass(frozen=True)
class Memory:
    """What is remembered for the night `night`; `before` is the night to compare with, None on the first."""

    wh: Warehouse
    night: dt.datetime
    before: dt.datetime | None

    @classmethod
    def open(cls, wh: Warehouse, night: dt.datetime) -> Memory:
        """Go back to what was known before this night ran, if it did. Call it inside the transaction."""
        for table in TABLES:
            wh.ensure(table)
        wh.execute("DELETE FROM kpis.counted_rows WHERE counted_from >= ?", [night])
        wh.execute("UPDATE kpis.counted_rows SET counted_until = NULL WHERE counted_until >= ?", [night])
        for table, column in (("counted_values", "night"), ("counted_by", "night"),
                              ("restatements", "restated_at"), ("restated_rows", "restated_at")):  # fmt: skip
            wh.execute(f"DELETE FROM kpis.{table} WHERE {column} >= ?", [night])
        secret = _secret(wh)
        if secret != wh.scalar("SELECT max(fingerprint) FROM kpis.counted_by WHERE part = 'key'"):
            # under another key of the pseudonyms no row is the row it was, and no old one may stay
            for table in ("counted_rows", "counted_values", "counted_by", "restated_rows"):
                wh.execute(f"DELETE FROM kpis.{table}")
        before = wh.scalar("SELECT max(night) FROM kpis.counted_by")
        wh.execute("INSERT INTO kpis.counted_by VALUES (?, 'key', 'pseudonyms', ?, 'null')", [night, secret])
        wh.execute("DELETE FROM kpis.counted_rows WHERE counted_until <= ?", [before])
        for table in ("counted_values", "counted_by"):
            wh.execute(f"DELETE FROM kpis.{table} WHERE night < ?", [before])
        return cls(wh, night, before)

    def definitions(self, part: str) -> dict[str, Definition]:
        """By what the night before counted: kpi, source or rules, by name."""
        rows = self.wh.sql(
            "SELECT name, fingerprint, content FROM kpis.counted_by WHERE part = ? AND night = ?",
            [part, self.before],
        ).fetchall()
        return {name: Definition(fingerprint, json.loads(content)) for name, fingerprint, content in rows}

    def compare(self, counting: Counting, known: Sequence[str], since: dt.date, last: dt.date) -> None:
        """Add the rows of a counting that differ to ``counted_changes``.

        Args:
            known: the measures that the night before counted. since, last: days that both nights counted.
        """
        same = [counting.measures.index(text) + 1 for text in known]
        whole = same == list(range(1, len(counting.measures) + 1))
        now = "measures" if whole else f"[{', '.join(f'measures[{place}]' for place in same)}]"
        days = "source = $source AND day BETWEEN $since AND $last"
        self.wh.execute(
            "INSERT INTO counted_changes (source, row_key, day, unit_before, unit_now, before, now) "
            "SELECT $source, row_key, day, o.customer_id, n.customer_id, o.measures, n.measures FROM "
            f"(SELECT * FROM kpis.counted_rows WHERE {days} AND counted_until IS NULL) o FULL JOIN "
            f"(SELECT row_key, day, customer_id, {now} AS measures FROM counted_now WHERE {days}) n "
            "USING (row_key, day) WHERE o.customer_id IS DISTINCT FROM n.customer_id "
            "OR o.measures IS DISTINCT FROM n.measures",
            {"source": counting.name, "since": max(since, counting.since), "last": min(last, counting.last)},
        )

    def keep(self, countings: Sequence[Counting], compared: Mapping[str, Known]) -> None:
        """Remember the rows of ``counted_now``; what is as it was stays.

        Args:
            compared: what the night before knew of the countings whose rows were compared.
        """
        self.wh.execute(
            "CREATE OR REPLACE TEMP TABLE counted_days (source VARCHAR, own BIGINT, first DATE, since DATE, "
            "last DATE)"
        )
        for one in countings:
            known, since, last = compared.get(one.name), None, None
            if known and known.measures == list(one.measures):
                since, last = max(one.since, known.since), min(one.last, known.last)
            self.wh.execute(
                "INSERT INTO counted_days VALUES (?, ?, ?, ?, ?)",
                [one.name, len(one.measures), one.since, since, last],
            )
        changed = "(SELECT (source, row_key, day) FROM counted_changes)"
        self.wh.execute(
            "UPDATE kpis.counted_rows SET counted_until = ? WHERE counted_until IS NULL AND "
            "source NOT IN (SELECT source FROM counted_days)",
            [self.night],
        )
        self.wh.execute(
            "UPDATE kpis.counted_rows r SET counted_until = $night FROM counted_days d "
            "WHERE d.source = r.source AND r.counted_until IS NULL AND "
            f"(d.since IS NULL OR r.day < d.first OR (r.source, r.row_key, r.day) IN {changed})",
            {"night": self.night},
        )
        self.wh.execute(
            "INSERT INTO kpis.counted_rows (source, row_key, customer_id, day, measures, counted_from) "
            "SELECT source, row_key, customer_id, day, measures[1:own], $night "
            "FROM counted_now n JOIN counted_days d USING (source) "
            "WHERE d.since IS NULL OR n.day NOT BETWEEN d.since AND d.last "
            f"OR (n.source, n.row_key, n.day) IN {changed}",
            {"night": self.night},
        )

    def anonymise(self, erased: Sequence[str]) -> None:
        """Rows of people who are being erased stay countable until the next night, but nobody's."""
        if erased:
            # another erasure may have been finished earlier in the same night: its people keep their numbers
            number = "CAST(substr(customer_id, 8) AS BIGINT)"
            last = self.wh.scalar(
                f"SELECT coalesce(max({number}), 0) FROM kpis.counted_rows WHERE customer_id LIKE 'erased/%'"
            )
            self.wh.execute(
                "UPDATE kpis.counted_rows SET row_key = 'erased/' || rowid, customer_id = 'erased/' || "
                "($last + list_position($gone, customer_id)) WHERE customer_id IN (SELECT unnest($gone))",
                {"gone": list(erased), "last": last},
            )

    def note(self, part: str, found: Mapping[str, Definition]) -> None:
        """Remember by what this night counted."""
        fingerprints = [one.fingerprint for one in found.values()]
        contents = [json.dumps(one.content, sort_keys=True) for one in found.values()]
        self.wh.execute(
            "INSERT INTO kpis.counted_by SELECT ?, ?, unnest(?::VARCHAR[]), unnest(?::VARCHAR[]), "
            "unnest(?::VARCHAR[])",
            [self.night, part, list(found), fingerprints, contents],
        )


def rules() -> dict[str, Definition]:
    """The rules by which the customer view is made of the data: configuration (less comments), models."""
    texts = {}
    for name in RULES:
        lines = config_path(name).read_text(encoding="utf-8").splitlines()
        texts[name] = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    for path in sorted((PACKAGE / "customers").glob("*.sql")):
        texts[path.name] = [path.read_text(encoding="utf-8")]
    return {"customer_view": Definition(digest(texts), None)}


def _secret(wh: Warehouse) -> str:
    state = "customers.identity_state"
    return str(
        wh.scalar(f"SELECT max(value) FROM {state} WHERE name = 'secret'") if wh.exists(state) else None
    )
