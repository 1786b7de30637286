"""The golden record's rules: ``golden_record.yml`` as tables that `golden_values.sql` joins."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from cja_pipeline.config import StrictModel, load_config
from cja_pipeline.warehouse import Warehouse

Rule = Literal["source", "recent", "frequent"]
Source = Literal["crm", "email", "web_analytics"]
Attribute = Literal[
    "first_name",
    "last_name",
    "email",
    "phone",
    "birth_date",
    "address",
    "postcode",
    "city",
    "country",
    "language",
]


class GoldenRecord(StrictModel):
    """``golden_record.yml``: whom to believe, which values say nothing, and the rules of each attribute."""

    sources: list[Source] = Field(min_length=1)
    ignore: list[str]
    attributes: dict[Attribute, list[Rule]]

    @field_validator("attributes")
    @classmethod
    def _each_once(cls, value: dict[Attribute, list[Rule]]) -> dict[Attribute, list[Rule]]:
        for attribute, rules in value.items():
            if sorted(rules) != ["frequent", "recent", "source"]:
                raise ValueError(
                    f"{attribute}: expected source, recent and frequent, each once, in your order"
                )
        return value


def write_rules(wh: Warehouse) -> None:
    """Replace config.survivorship and config.empty_values."""
    import pandas as pd

    record = load_config("golden_record.yml", GoldenRecord)
    rows = [
        (attribute, source, priority, *rules)
        for attribute, rules in record.attributes.items()
        for priority, source in enumerate(record.sources, 1)
    ]
    columns = ["attribute", "source", "priority", "first_rule", "second_rule", "third_rule"]
    wh.write("config.survivorship", pd.DataFrame(rows, columns=columns))
    empty = sorted({value.strip().casefold() for value in record.ignore})
    wh.write("config.empty_values", pd.DataFrame({"value": pd.Series(empty, dtype=object)}))
