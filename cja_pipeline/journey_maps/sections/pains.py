"""Section `pain`: what gets in the way in each stage, from losses and from what customers say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from cja_pipeline.journey_maps.redact import quote
from cja_pipeline.journey_maps.rows import STAGES, Rows
from cja_pipeline.journey_maps.sections.context import Context, number, text
from cja_pipeline.journey_maps.sections.friction import DEVICES, Loss, code, is_proven, per_month, where
from cja_pipeline.journey_maps.suppress import SUPPRESS

CANDIDATES = 40  # texts looked at per topic until one may be quoted
UNHAPPY = -0.05
RANK = {"severe": 3, "serious": 2, "minor": 1}

TOPICS = """
    SELECT
        stage,
        topic,
        count(*) AS n,
        count(*) FILTER (WHERE sentiment < $unhappy) AS unhappy,
        avg(sentiment) AS sentiment,
        avg(score) FILTER (WHERE kind = 'csat') AS csat,
        count(score) FILTER (WHERE kind = 'csat') AS csat_n,
        string_agg(DISTINCT kind, ',' ORDER BY kind) AS kinds
    FROM customers.feedback
    WHERE business_date BETWEEN $first_day AND $last_day AND topic IS NOT NULL
      AND (sentiment IS NOT NULL OR kind = 'csat')
    GROUP BY stage, topic
    ORDER BY stage, topic
"""
# readable at a glance first: sad, of a good length, newest last by id so that ties never depend on storage
TEXTS = """
    SELECT text
    FROM customers.feedback
    WHERE topic = $topic AND stage = $stage AND business_date BETWEEN $first_day AND $last_day
      AND sentiment < $unhappy AND length(text) BETWEEN 20 AND 400
      AND (language = $language OR language IS NULL)
    ORDER BY abs(length(text) - 70), sentiment, feedback_id
    LIMIT $most
"""
NAMES = """
    SELECT DISTINCT lower(name) FROM (
        SELECT first_name AS name FROM validated.contacts_current
        UNION ALL
        SELECT last_name FROM validated.contacts_current
    ) AS names
    WHERE length(name) > 1
"""


@dataclass(frozen=True)
class Pain:
    """One pain point before it is written: what, how bad, how we know."""

    item: str
    severity: str
    weight: float
    title: str
    evidence: str
    quote: str = ""
    source: str = ""
    n: int = 0

    @property
    def told(self) -> bool:
        """Whether customers said so; else their visits show it."""
        return self.item.startswith("topic/")


def pains(context: Context, rows: Rows, found: list[Loss]) -> None:
    """The worst pain points per stage, the worst of what visits show and of what customers say first; a
    stage without any has no row."""
    told = context.once("pains", lambda: _told(context))
    largest = max([per_month(row)[0] or 0.0 for row in found if is_proven(row)] or [0.0])
    wide = f" ({context.words('page.segment_all')})"
    for stage in STAGES:
        lost = [_lost(context, row, largest) for row in found if row["stage"] == stage and is_proven(row)]
        # one loss per step: the same hole seen by browser, country and device is one pain
        lost = list({pain.item.split("/")[1]: pain for pain in sorted(lost, key=lambda p: p.weight)}.values())
        for pain in _chosen(_worst_first(lost), _worst_first(told.get(stage, [])), context):
            elsewhere = context.segment not in (("all",) if pain.told else ("all", *DEVICES))
            rows.add(
                "pain",
                pain.item,
                stage=stage,
                label=pain.title,
                text=pain.quote,
                evidence=pain.evidence,
                owner=pain.source + (wide if elsewhere else ""),
                status=pain.severity,
                n=pain.n or None,
            )


def _worst_first(found: list[Pain]) -> list[Pain]:
    return sorted(found, key=lambda pain: (-RANK[pain.severity], -pain.weight, pain.item))


def _chosen(lost: list[Pain], told: list[Pain], context: Context) -> list[Pain]:
    """As many as fit, in order of weight; where both kinds of evidence exist, both are heard."""
    most = context.config.pains_per_stage
    first = [*lost[:1], *told[:1]] if most > 1 else []
    rest = _worst_first([pain for pain in (*lost, *told) if pain not in first])
    return _worst_first([*first, *rest[: most - len(first)]])


def _lost(context: Context, row: Loss, largest: float) -> Pain:
    loss = per_month(row)[0] or 0.0
    form, words = context.words.formats, context.words
    step = text(row["step"])
    share = loss / largest if largest else 0.0
    severity = "severe" if share >= 0.5 else "serious" if share >= 0.15 else "minor"
    visits = words.count("unit.sessions", number(row["sessions"]), form.number(number(row["sessions"])))
    rates = words(
        "map.rates",
        observed=form.percent(number(row["observed_rate"]), 0),
        expected=form.percent(number(row["expected_rate"]), 0),
    )
    return Pain(
        item=code(row),
        severity=severity,
        weight=share,
        title=words(
            f"loss.{step}" if f"loss.{step}" in words.words else "loss.other",
            where=where(row, words),
            step=words.name("step", step),
        ),
        evidence=f"{visits} · {rates}",
        source=words("source.visits"),
        n=int(number(row["sessions"]) or 0),
    )


def _told(context: Context) -> dict[str, list[Pain]]:
    """Topics with at least 20 unhappy statements, by stage."""
    if not context.has("customers.feedback"):
        return {}
    found: dict[str, list[Pain]] = {}
    names = _names(context)
    form, words = context.words.formats, context.words
    for row in context.df(TOPICS, unhappy=UNHAPPY).to_dict("records"):
        sentiment, unhappy, total = number(row["sentiment"]), int(row["unhappy"]), int(row["n"])
        topic, stage = text(row["topic"]), text(row["stage"])
        if (
            sentiment is None
            or unhappy < SUPPRESS
            or sentiment >= UNHAPPY
            or topic not in context.config.topics
        ):
            continue
        severity = "severe" if sentiment <= -0.5 else "serious" if sentiment <= -0.25 else "minor"
        parts = [
            words.count("unit.mentions", total, form.number(total)),
            words("map.unhappy_share", share=form.percent(unhappy / total, 0)),
        ]
        if int(row["csat_n"]) >= SUPPRESS:
            parts.append(words("map.csat", score=form.number(number(row["csat"]), 1)))
        kinds = [words.name("source", kind) for kind in text(row["kinds"]).split(",") if kind]
        found.setdefault(stage, []).append(
            Pain(
                item=f"topic/{topic}",
                severity=severity,
                weight=unhappy / total,
                title=words.name("pain", topic, words.name("topic", topic)),
                evidence=" · ".join(parts),
                quote=_quote(context, topic, stage, names),
                source=", ".join(kinds[:3]),
                n=total,
            )
        )
    return found


def _names(context: Context) -> set[str]:
    if not context.has("validated.contacts_current"):
        return set()
    return {str(row[0]) for row in context.wh.sql(NAMES).fetchall()}


def _quote(context: Context, topic: str, stage: str, names: set[str]) -> str:
    """The first text that may be quoted after redaction, or nothing."""
    found: list[Any] = context.df(
        TEXTS,
        topic=topic,
        stage=stage,
        unhappy=UNHAPPY,
        language=context.words.language[:2],
        most=CANDIDATES,
    )["text"].tolist()
    for candidate in found:
        words = {word.lower() for word in re.findall(r"[^\W\d_]+", str(candidate))}
        shown = quote(str(candidate), names & words)
        if shown:
            return shown
    return ""
