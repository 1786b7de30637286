"""Channel of a visit from its source, medium and campaign: Google's default channel groups, as data.

Distinct combinations are few, so the ordered rules run in Python on each of them once and the result is a
small lookup table that the session model joins.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from cja_pipeline.customers import config
from cja_pipeline.warehouse import Warehouse

DIRECT = ("(direct)", "(none)")
PARTS = 5  # of a traffic key: source, medium, campaign, referring host, click id
_EMPTY = {"", "(not set)", "(not provided)", "null", "undefined"}


@dataclass(frozen=True)
class Traffic:
    """Where a visit came from. `is_informative` is False where nothing outside the shop is named."""

    source: str | None
    medium: str | None
    campaign: str | None
    is_informative: bool = True


class ChannelRules:
    """The rules of ``channels.yml`` with the lists of known sources, ready to be asked."""

    def __init__(self, rules: config.Channels, categories: dict[str, str]) -> None:
        self.rules = rules
        self._categories = categories
        self._compiled: dict[str, re.Pattern[str]] = {}
        self._own = {host.removeprefix("www.") for host in rules.own_hosts}

    def channel(self, source: str | None, medium: str | None, campaign: str | None) -> str:
        """Channel by the first rule that matches; blanks count as missing.

        >>> channel_rules().channel("google", "cpc", None)
        'Paid Search'
        """
        values = {"source": _clean(source), "medium": _clean(medium), "campaign": _clean(campaign)}
        for rule in self.rules.rules:
            if any(self._holds(condition, values) for condition in rule.when):
                return rule.channel
        return self.rules.unassigned

    def _holds(self, condition: config.Condition, values: dict[str, str | None]) -> bool:
        if any(values[name] is not None for name in condition.missing):
            return False
        if condition.category is not None:
            source = values["source"]
            if source is None or self._categories.get(source.lower()) != condition.category:
                return False
        return all(
            pattern is None or self._matches(pattern, values[name])
            for name, pattern in (
                ("source", condition.source),
                ("medium", condition.medium),
                ("campaign", condition.campaign),
            )
        )

    def _matches(self, pattern: str, value: str | None) -> bool:
        if pattern not in self._compiled:
            self._compiled[pattern] = self.rules.compiled(pattern)
        return value is not None and self._compiled[pattern].fullmatch(value) is not None

    def traffic(self, key: str) -> Traffic:
        """What a traffic key stands for: tags first, then the click id, then the referring host."""
        parts = (key.split("|") + [""] * PARTS)[:PARTS] if key.count("|") < PARTS else _rejoin(key)
        source, medium, campaign, host, click_id = (part.strip() or None for part in parts)
        source, medium = source and source.lower(), medium and medium.lower()
        host = host and host.lower().partition("?")[0].partition(":")[0]
        if click_id and not _known(medium):
            clicked = self.rules.click_ids.get(click_id)
            if clicked:
                return Traffic(clicked.source, clicked.medium, campaign)
        if (source, medium) == DIRECT or (source == DIRECT[0] and not _known(medium)):
            return Traffic(source, medium, campaign, is_informative=False)
        if _known(source) or _known(medium) or _known(campaign):
            return Traffic(source, medium, campaign)
        return self._referred(host.removeprefix("www.") if host else None)

    def _referred(self, host: str | None) -> Traffic:
        if host is None or host in self._own or any(host.endswith(f".{own}") for own in self._own):
            return Traffic(None, None, None, is_informative=False)
        if any(host == pay or host.endswith(f".{pay}") for pay in self.rules.ignored_referrers):
            return Traffic(None, None, None, is_informative=False)
        if host in self.rules.assistant_referrers:
            return Traffic(host, "ai-assistant", None)
        # google.co.uk and search.yahoo.com are listed as google and yahoo
        for candidate in (host, *reversed(host.split(".")[:-1])):
            if self._categories.get(candidate) == "search":
                return Traffic(candidate.removesuffix(".com"), "organic", None)
        return Traffic(host, "referral", None)


def _clean(value: str | None) -> str | None:
    stripped = value.strip() if value is not None else ""
    return stripped or None


def _known(value: str | None) -> bool:
    return value is not None and value.strip().lower() not in _EMPTY


def _rejoin(key: str) -> list[str]:
    """A key whose campaign holds the separator: everything in the middle is the campaign."""
    parts = key.split("|")
    return [parts[0], parts[1], "|".join(parts[2:-2]), parts[-2], parts[-1]]


@lru_cache(maxsize=1)
def channel_rules() -> ChannelRules:
    """The rules in use (``channels.yml`` and ``ga4_source_categories.csv``)."""
    return ChannelRules(config.channels(), config.source_categories())


def build_channel_map(wh: Warehouse) -> int:
    """Write ``customers.channel_map`` for every traffic key of ``customers.web_activity``; returns its rows.

    The empty key stands for direct traffic and is always there.
    """
    import pandas as pd

    rules = channel_rules()
    keys = wh.df(
        "SELECT DISTINCT traffic_key FROM customers.web_activity WHERE traffic_key IS NOT NULL ORDER BY 1"
    )["traffic_key"]
    rows = []
    for key in dict.fromkeys(["", *keys]):
        found = rules.traffic(key)
        rows.append(
            {
                "traffic_key": key,
                "channel": rules.channel(found.source, found.medium, found.campaign),
                "source": found.source,
                "medium": found.medium,
                "campaign": found.campaign,
                "is_informative": found.is_informative,
            }
        )
    return wh.write("customers.channel_map", pd.DataFrame(rows).astype({"source": object}))
