"""Both shipped languages are complete, and further ones can be added by file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
import yaml

from cja_pipeline.config import ConfigError
from cja_pipeline.journey_maps import labels as module
from cja_pipeline.journey_maps.labels import flatten, load_labels
from cja_pipeline.journey_maps.rows import STAGES
from cja_pipeline.kpis.catalogue import load_catalogue
from cja_pipeline.kpis.journey_config import VisitTrait
from cja_pipeline.settings import get_settings

ROOM = Path(module.__file__).parent
DURATION = r"\{(?:days|half|low|range)\}"  # figures that come with their unit: "1 Tag", "88 Tage"
DATIVE = r"nach|seit|vor|in|binnen|mit|von|bei|aus|zu"


def words(language: str) -> dict[str, str]:
    data = yaml.safe_load((module.SHIPPED / f"{language}.yml").read_text(encoding="utf-8"))
    data.pop("formats")
    return flatten(data, module.SHIPPED)


def test_both_languages_have_the_same_keys_and_the_same_names_in_them() -> None:
    english, german = words("en"), words("de")
    names = {f"kpi.{kpi}" for kpi in load_catalogue().kpis}  # the English name of a KPI is its own label
    assert set(english) - names == set(german) - names
    for key, text in english.items():
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", german[key])), key
        assert text.count("*") == german[key].count("*"), key


def test_every_shipped_kpi_has_a_german_name_of_its_own() -> None:
    german = words("de")
    names = {kpi: german.get(f"kpi.{kpi}", "") for kpi in load_catalogue().kpis}
    assert not [kpi for kpi, name in names.items() if not name]
    assert len(set(names.values())) == len(names)
    assert max(map(len, names.values())) <= 40


def test_german_words_before_a_duration_ask_for_no_dative() -> None:
    """A duration is written "88 Tage"; "nach" would need "88 Tagen"."""
    wrong = re.compile(rf"\b(?:{DATIVE}) {DURATION}(?! Tagen)")
    assert wrong.search("nach {days}")
    assert not [key for key, text in words("de").items() if wrong.search(text)]


def test_german_words_are_short_enough_for_a_phone() -> None:
    for key, text in words("de").items():
        longest = max((len(word) for word in re.findall(r"[^\W\d_]+", text)), default=0)
        assert longest <= 26, key
    for stage in STAGES:  # a column of the map is narrow and its title large
        assert len(words("de")[f"stage.{stage}"]) <= 12, stage


def test_every_trait_of_a_visit_that_can_stop_people_has_words() -> None:
    for language in ("en", "de"):
        known = words(language)
        assert {f"dimension.{trait}" for trait in get_args(VisitTrait)} <= set(known), language


def test_both_languages_have_the_same_formats() -> None:
    formats = [
        yaml.safe_load((module.SHIPPED / f"{name}.yml").read_text(encoding="utf-8"))["formats"]
        for name in ("en", "de")
    ]
    assert set(formats[0]) == set(formats[1])
    assert all(len(form[key]) == 12 for form in formats for key in ("months", "months_short"))


def test_every_word_that_the_page_asks_for_by_name_exists() -> None:
    known = set(words("en"))
    source = "\n".join(
        path.read_text(encoding="utf-8") for path in ROOM.rglob("*") if path.suffix in (".py", ".j2")
    )
    asked = set(re.findall(r"\b(?:t|words|context\.words)\(\s*['\"]([a-z_]+\.[a-z_]+)['\"]", source))
    assert len(asked) > 60
    assert asked <= known


def test_a_file_of_the_user_adds_a_language_and_english_fills_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "fr.yml").write_text("stage: {purchase: Achat}\nformats: {decimal: ','}\n")
    monkeypatch.setattr(get_settings(), "config", tmp_path)
    french = load_labels("fr")
    assert french("stage.purchase") == "Achat"
    assert french("stage.retention") == "Retention"
    assert french.formats.number(1.5, 1) == "1,5"


@pytest.mark.parametrize("content", ["stage: [a, b]", "stage: {purchase: 7}", "- x", "a: {b"])
def test_a_wrong_file_is_named_in_the_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "fr.yml").write_text(content)
    monkeypatch.setattr(get_settings(), "config", tmp_path)
    with pytest.raises(ConfigError, match=r"fr\.yml"):
        load_labels("fr")


def test_a_code_may_name_a_channel_or_a_touchpoint() -> None:
    german = load_labels("de")
    assert german.any_name(("touch", "channel"), "Referral") == "Verweis"
    assert german.any_name(("touch", "channel"), "referral") == "Empfehlung"
    assert german.any_name(("touch", "channel"), "Carrier pigeon") == "Carrier pigeon"


@pytest.mark.parametrize("language", ["xx", "../en", "EN", ""])
def test_an_unknown_language_is_an_error(language: str) -> None:
    with pytest.raises(ConfigError):
        load_labels(language)


def test_a_labels_file_cannot_reach_into_objects() -> None:
    loaded = load_labels("en")
    assert module._fill("{n.__class__} {n}", {"n": "x"}) == "{n.__class__} x"
    assert loaded.name("topic", "{0}", "") == "{0}"
