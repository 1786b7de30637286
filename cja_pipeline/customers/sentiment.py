"""How a text feels, in which language it is, and what it is about.

English: VADER (Hutto and Gilbert 2014) with service words added. German: a small lexicon, summed with
negation and intensity and squeezed like VADER's compound score. Other languages get no score rather than a
wrong one.
"""

from __future__ import annotations

import math
import re
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from pydantic import Field

from cja_pipeline.config import StrictModel, load_config

if TYPE_CHECKING:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

_WORD = re.compile(r"[\w'’-]+")
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*")
_EMOJI = re.compile(r"[\u2600-\u27bf\U0001f300-\U0001faff]")
NEGATION_REACH = 3  # words before a valued word in which a negation turns it
NEGATION_FACTOR = -0.74  # as in VADER: "not good" is less bad than "bad"
SQUEEZE = 15.0  # VADER's normalisation constant
MANY_WORDS = 5  # a text this long with less than two small words of a language is hardly in that language


class German(StrictModel):
    words: dict[str, float]
    phrases: dict[str, float]
    negations: list[str]
    boosters: dict[str, float]


class Topic(StrictModel):
    stage: str
    keywords: list[str] = Field(min_length=1)


class SentimentRules(StrictModel):
    """``sentiment.yml``."""

    languages: list[str]
    english: dict[str, float]
    german: German
    function_words: dict[str, list[str]]
    topics: dict[str, Topic]
    stages: dict[str, str]
    devices: dict[str, list[str]]


class Reader:
    """Reads texts by the rules of ``sentiment.yml``."""

    def __init__(self, rules: SentimentRules) -> None:
        self.rules = rules
        self._small_words = {language: set(words) for language, words in rules.function_words.items()}
        german = {word.casefold(): value for word, value in rules.german.words.items()}
        self._german_exact = {word: value for word, value in german.items() if not word.endswith("*")}
        # longest stem first, so that "unzufrieden*" is tried before a shorter stem
        stems = sorted((word[:-1] for word in german if word.endswith("*")), key=lambda w: (-len(w), w))
        self._german_stems = [(stem, german[f"{stem}*"]) for stem in stems]
        self._topics = [(name, _patterns(topic.keywords)) for name, topic in rules.topics.items()]
        self._devices = [(name, _patterns(words)) for name, words in rules.devices.items()]

    def language(self, text: str, declared: str | None) -> str | None:
        """Language of a text: what its small words say, else what the source says; None if neither."""
        words = _words(text)
        hits = {
            language: sum(word in small for word in words) for language, small in self._small_words.items()
        }
        best = max(hits.values(), default=0)
        leaders = [language for language, count in hits.items() if count == best]
        said = declared.strip().lower()[:2] if declared and declared.strip() else None
        if best == 0 or (best == 1 and len(words) >= MANY_WORDS):
            return self._by_feeling(words) if len(words) >= MANY_WORDS or not said else said
        return said if said in leaders else leaders[0]

    def _by_feeling(self, words: list[str]) -> str | None:
        """Language of a few words by which lexicon values more of them; None if no one values any."""
        german = sum(self._german_value(word) != 0 for word in words)
        english = sum(word in self._vader.lexicon for word in words)
        if not german and not english:
            return None
        return "de" if german > english else "en"

    def sentiment(self, text: str | None, declared: str | None) -> tuple[float | None, str, str | None]:
        """Score from -1 to 1 (or None), its status (scored, empty, unsupported_language), and language."""
        if text is None or not text.strip():
            return None, "empty", declared
        language = self.language(text, declared)
        if language not in self.rules.languages:
            return None, "unsupported_language", language
        # sentence by sentence: a negation in one says nothing about the next
        read = self._german if language == "de" else self._english
        scores = [read(sentence) for sentence in _SENTENCE.findall(text)]
        scores.append(self._english("".join(_EMOJI.findall(text))))
        felt = [score for score in scores if score]
        return round(sum(felt) / len(felt), 4) if felt else 0.0, "scored", language

    def topic(self, text: str | None) -> str:
        """The topic whose keywords occur most, ``other`` without any."""
        return _most(self._topics, text) or "other"

    def device(self, text: str | None) -> str | None:
        """The kind of device that the text mentions, if any."""
        return _most(self._devices, text)

    @cached_property
    def _vader(self) -> SentimentIntensityAnalyzer:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

        analyzer = SentimentIntensityAnalyzer()
        analyzer.lexicon.update(self.rules.english)
        return analyzer

    def _english(self, text: str) -> float:
        return float(self._vader.polarity_scores(text)["compound"]) if text else 0.0

    def _german(self, sentence: str) -> float:
        total = sum(self._german_clause(clause) for clause in re.split(r"[,;:–]", sentence))
        return total / math.sqrt(total * total + SQUEEZE)

    def _german_clause(self, clause: str) -> float:
        words = _words(clause)
        said = " ".join(words)
        total = 0.0
        for phrase, value in self.rules.german.phrases.items():
            if phrase in said:
                total += value
                said = said.replace(phrase, "")
        words = said.split()
        negations, boosters = set(self.rules.german.negations), self.rules.german.boosters
        for place, word in enumerate(words):
            value = self._german_value(word)
            if not value:
                continue
            before = words[max(0, place - NEGATION_REACH) : place]
            value += math.copysign(boosters.get(before[-1], 0.0), value) if before else 0.0
            # a word that is a negation itself ("nie") is not turned by itself
            if any(other in negations for other in before):
                value *= NEGATION_FACTOR
            total += value
        return total

    def _german_value(self, word: str) -> float:
        if word in self._german_exact:
            return self._german_exact[word]
        return next((value for stem, value in self._german_stems if word.startswith(stem)), 0.0)


def _words(text: str) -> list[str]:
    return [word.casefold().replace("ß", "ss") for word in _WORD.findall(text)]


def _patterns(keywords: list[str]) -> list[re.Pattern[str]]:
    return [re.compile(rf"\b{re.escape(keyword)}", re.IGNORECASE) for keyword in keywords]


def _most(choices: list[tuple[str, list[re.Pattern[str]]]], text: str | None) -> str | None:
    if not text:
        return None
    counts = [(sum(1 for pattern in patterns if pattern.search(text)), name) for name, patterns in choices]
    best = max((count for count, _ in counts), default=0)
    return next(name for count, name in counts if count == best) if best else None


@lru_cache(maxsize=1)
def reader() -> Reader:
    """The reader with the rules in use."""
    return Reader(load_config("sentiment.yml", SentimentRules))
