"""Country and number of a phone: the library's answer, read from its tables where they leave no question.

The library tries every way of writing a number, which takes longer than all else that is done to a record.
Most are written in one of two plain ways, whose answer follows from its tables; it is asked about the others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

BETWEEN = re.compile(r"[ ()/.\-]+")
PLAIN = re.compile(r"(?:\+|00?)([1-9][0-9]{4,14})")
ABROAD = "00"  # how most countries begin a number abroad; others ask the library


@dataclass(frozen=True)
class Plan:
    """How the numbers of one country look. prefix: dialled before a number within the country."""

    region: str
    code: str
    prefix: str
    lengths: frozenset[int]
    national: re.Pattern[str]
    abroad: str | None


def country_and_number(value: str, region: str) -> tuple[str, str] | None:
    """Country code and national digits of a number, or None if it cannot be one.

    Args:
        region: two capital letters; reads numbers without a country code.
    """
    compact = BETWEEN.sub("", value)
    plain = PLAIN.fullmatch(compact)
    return (_by_table(compact, plain[1], region) if plain else None) or _by_library(value, region)


def _by_table(compact: str, digits: str, region: str) -> tuple[str, str] | None:
    plan, number = plan_of(region), digits
    if compact[0] != "+" and (plan is None or plan.abroad != ABROAD):
        return None
    if compact.startswith(("+", ABROAD)):
        plan = plan_of_start(digits[:3])
        number = digits[len(plan.code) :] if plan else ""
    elif plan is None or plan.prefix != "0":
        return None
    if plan is None or len(number) not in plan.lengths or number[0] in ("0", plan.prefix):
        return None
    return (plan.code, number) if plan.national.fullmatch(number) else None


def _by_library(value: str, region: str) -> tuple[str, str] | None:
    import phonenumbers

    try:
        parsed = phonenumbers.parse(value, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(parsed):
        return None
    return str(parsed.country_code), phonenumbers.national_significant_number(parsed)


@cache
def plan_of_start(digits: str) -> Plan | None:
    """The plan of the country whose code an international number begins with."""
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

    for size in (1, 2, 3):
        regions = COUNTRY_CODE_TO_REGION_CODE.get(int(digits[:size]))
        plan = plan_of(regions[0]) if regions else None
        if plan is not None:
            return plan
    return None


@cache
def plan_of(region: str) -> Plan | None:
    """None for countries whose numbers change by further rules than a prefix."""
    from phonenumbers import PhoneMetadata

    found: Any = PhoneMetadata.metadata_for_region(region)
    if found is None or found.national_prefix_for_parsing != found.national_prefix:
        return None
    numbers = found.general_desc
    if len(found.national_prefix or "") > 1 or not numbers.national_number_pattern:
        return None
    pattern = re.compile(numbers.national_number_pattern)
    lengths = frozenset(numbers.possible_length)
    code, prefix = str(found.country_code), found.national_prefix or ""
    return Plan(region, code, prefix, lengths, pattern, found.international_prefix)
