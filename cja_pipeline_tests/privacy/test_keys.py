"""Keys: pseudonyms change with the key, customers and erasures do not."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from cja_pipeline.cli import main
from cja_pipeline.privacy import rotate as rotation
from cja_pipeline.privacy.erase import note_erasure
from cja_pipeline.privacy.keys import KeyMissingError, Keys
from cja_pipeline.privacy.person import find_person
from cja_pipeline.privacy.rotate import RotationError, check_key, key_in_use, rotate
from cja_pipeline.privacy.suppress import read_suppression
from cja_pipeline.privacy.tombstones import FILE
from cja_pipeline.settings import get_settings
from cja_pipeline_tests.privacy.conftest import Shop
from cja_pipeline_tests.privacy.test_erase import rich


def with_keys(shop: Shop, monkeypatch: pytest.MonkeyPatch, now: str, before: str | None = None) -> None:
    monkeypatch.setenv("CJA_SECRET_KEY", now)
    if before is not None:
        monkeypatch.setenv("CJA_PREVIOUS_KEYS", before)
    get_settings.cache_clear()
    shop.settings = get_settings().prepare()


def hashes(shop: Shop) -> set[str]:
    with shop.open() as wh:
        return {
            row[0] for row in wh.sql("SELECT identifier_hash FROM customers.customer_identifiers").fetchall()
        }


def customers(shop: Shop) -> dict[str, str]:
    with shop.open() as wh:
        return dict(wh.sql("SELECT record_key, customer_id FROM customers.identity_links").fetchall())


def test_another_key_by_accident_is_refused(people: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    check_key(people.settings)
    check_key(people.settings)
    with_keys(people, monkeypatch, "another key")
    with pytest.raises(RotationError) as error:
        check_key(people.settings)
    assert "rotate-key" in str(error.value)
    assert "another key" not in str(error.value)
    with pytest.raises(RotationError, match="CJA_PREVIOUS_KEYS"):
        rotate(people.settings)


@pytest.mark.parametrize("command", ["erase", "export"])
def test_nobody_is_looked_for_under_another_key(
    people: Shop, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    check_key(people.settings)
    customer = min(customers(people).values())
    monkeypatch.delenv("CJA_SECRET_KEY")
    get_settings.cache_clear()
    done = CliRunner().invoke(main, ["privacy", command, customer])
    assert done.exit_code == 1
    assert "CJA_SECRET_KEY is not set" in done.output
    assert not (people.settings.decisions_dir / FILE).exists()


def test_rotation_keeps_customers_and_erased_people_out(
    people: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_key(people.settings)
    email = rich(people)["email"]
    with people.open() as wh:
        note_erasure(people.settings, wh, find_person(wh, Keys.of(people.settings), email), reason="request")
    people.rebuild()
    before, ids = hashes(people), customers(people)
    with_keys(people, monkeypatch, "key of next year", "key-of-the-tests")
    monkeypatch.setattr(
        "cja_pipeline.privacy.erase.rebuild_rooms", lambda settings, reason: not people.rebuild()
    )
    rotated = rotate(people.settings)
    assert rotated.after == Keys.of(people.settings).current == key_in_use(people.settings)
    assert hashes(people).isdisjoint(before)
    assert customers(people) == ids
    assert rotated.identifiers > 0
    # erased people stay recognised, by the old key, and only with it
    assert rotated.needed == [rotated.before]
    assert read_suppression(people.settings).holds("email", email)
    people.night()
    with people.open() as wh:
        assert wh.scalar("SELECT count(*) FROM validated.contacts WHERE email = ?", [email]) == 0
    monkeypatch.delenv("CJA_PREVIOUS_KEYS")
    with_keys(people, monkeypatch, "key of next year")
    with pytest.raises(KeyMissingError, match="CJA_PREVIOUS_KEYS"):
        read_suppression(people.settings)


def test_a_failed_rotation_leaves_the_old_key_in_use(people: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    check_key(people.settings)
    old = key_in_use(people.settings)
    with_keys(people, monkeypatch, "key of next year", "key-of-the-tests")
    monkeypatch.setattr("cja_pipeline.privacy.erase.rebuild_rooms", lambda settings, reason: False)
    with pytest.raises(RotationError, match="failed"):
        rotate(people.settings)
    assert key_in_use(people.settings) == old
    assert rotation.FILE == "key.json"
