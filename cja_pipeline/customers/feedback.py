"""What customers say: one row per ticket, survey answer and comment, with topic and sentiment."""

from __future__ import annotations

from importlib.resources import files

from cja_pipeline.customers.sentiment import reader
from cja_pipeline.warehouse import Warehouse


def build_feedback(wh: Warehouse) -> int:
    """Replace ``customers.feedback``; returns its rows. Each distinct text is read once."""
    import pandas as pd

    read = reader()
    said = wh.df(
        (files("cja_pipeline.customers") / "feedback_said.sql").read_text(encoding="utf-8")
    ).sort_values("feedback_id", ignore_index=True)

    def word(value: object) -> str | None:
        return value if isinstance(value, str) else None  # missing values arrive as NaN or None

    pairs = said[["text", "language"]].astype(object).itertuples(index=False)
    texts = [(word(text), word(language)) for text, language in pairs]
    known: dict[tuple[str | None, str | None], dict[str, object]] = {}
    for text, language in texts:
        if (text, language) not in known:
            sentiment, status, found = read.sentiment(text, language)
            known[text, language] = {
                "sentiment": sentiment,
                "sentiment_status": status,
                "read_language": found,
                "topic": read.topic(text),
                "device": read.device(text),
            }
    columns = ["sentiment", "sentiment_status", "read_language", "topic", "device"]
    judged = pd.DataFrame([known[pair] for pair in texts], columns=columns).astype(
        {"sentiment": "float64", "sentiment_status": object, "topic": object, "device": object}
    )
    said = said.assign(**{column: judged[column] for column in columns})
    said["language"] = said["read_language"].astype(object)
    rules = read.rules
    by_topic = said["topic"].map({name: topic.stage for name, topic in rules.topics.items()})
    said["stage"] = by_topic.astype(object).fillna(said["kind"].map(rules.stages)).astype(object)
    wh.connection.register("said_frame", said.drop(columns="read_language"))
    try:
        return wh.replace(
            "customers.feedback",
            "SELECT s.*, CASE WHEN s.occurred_at < d.boundary_at THEN d.date_before ELSE d.date_after END"
            " AS business_date FROM said_frame s"
            " JOIN config.business_days d ON d.utc_date = CAST(s.occurred_at AS DATE)",
        )
    finally:
        wh.connection.unregister("said_frame")
